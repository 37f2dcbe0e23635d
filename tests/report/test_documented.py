"""docs/report.md names every file and every column, in their order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coa.attachments.history import COLUMNS as HISTORY_COLUMNS
from coa.attachments.totals import COLUMNS as ATTACHED_COLUMNS
from coa.readiness.assess import READINESS_COLUMNS
from coa.report.corrections import COLUMNS as CORRECTION_COLUMNS
from coa.report.csv_files import (
    DIFFERENCE_COLUMNS,
    ID_MAP_COLUMNS,
    OPEN_ORDER_COLUMNS,
    REFERENCE_COLUMNS,
    REJECTED_COLUMNS,
)
from coa.report.licenses import COVERAGE_COLUMNS, GAP_COLUMNS
from coa.report.relink import RELINK_COLUMNS
from coa.report.totals import TOTAL_COLUMNS
from coa.verify.totals import ORDER_COLUMNS
from coa.what_if.difference import COLUMNS as WHAT_IF_COLUMNS

TABLES = {
    "id_map.csv": ID_MAP_COLUMNS,
    "rejected_rows.csv": REJECTED_COLUMNS,
    "differences.csv": DIFFERENCE_COLUMNS,
    "relink.csv": RELINK_COLUMNS,
    "open_orders.csv": OPEN_ORDER_COLUMNS,
    "references.csv": REFERENCE_COLUMNS,
    "license_coverage.csv": COVERAGE_COLUMNS,
    "license_gaps.csv": GAP_COLUMNS,
    "corrections.csv": CORRECTION_COLUMNS,
    "totals.csv": TOTAL_COLUMNS,
    "orders.csv": ORDER_COLUMNS,
    "gtm_readiness.csv": READINESS_COLUMNS,
    "what_if.csv": WHAT_IF_COLUMNS,
    "attached.csv": ATTACHED_COLUMNS,
    "history/field_history.csv": tuple(HISTORY_COLUMNS),
}


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_documented_in_their_order(project: Path, name: str) -> None:
    text = (project / "docs" / "report.md").read_text()
    section = text.split(f"### `{name}`")[1].split("\n#")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == TABLES[name]


def test_the_reports_navigation_leads_to_every_section_in_its_order(project: Path) -> None:
    folder = project / "include" / "coa" / "report" / "templates"
    page = (folder / "report.html.j2").read_text()
    nav = page.split('<nav aria-label="Sections">')[1].split("</nav>")[0]
    sections = re.findall(r'<h2 id="([\w-]+)">', (folder / "summary.html.j2").read_text() + page)
    assert re.findall(r'\("([\w-]+)", "[^"]+", [\w.]+\)', nav) == sections
