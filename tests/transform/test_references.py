"""What a text says about the source org is found, whatever stands around it; nothing else is."""

from __future__ import annotations

import re

import pytest

from coa.model import DETAIL, NS, ORDER
from coa.transform.references import host_pattern
from tests.delta.conftest import pair  # noqa: F401 - a fixture
from tests.engine.harness import Migrator
from tests.reconcile.pairs import table
from tests.reconcile.test_gaps import rows

TEXT = NS + "Invoice_Description__c"


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("acme.my.salesforce.com", True),
        ("acme.lightning.force.com", True),
        ("acme--c.documentforce.com", True),
        ("acme--c.na139.content.force.com", True),
        ("acme--sandbox.sandbox.my.salesforce.com", True),
        ("acme.file.force.com", True),
        ("acmecorp.my.salesforce.com", False),
        ("my.acme.com", False),
        ("other.my.salesforce.com", False),
        ("acme.my.salesforce.com.evil.example", False),
    ],
)
def test_hosts_of_one_my_domain(host: str, own: bool) -> None:
    assert bool(re.fullmatch(host_pattern("https://acme.my.salesforce.com"), host)) is own


def test_references_are_found_counted_and_listed(pair: Migrator) -> None:  # noqa: F811
    """One text a kind, and texts that only look like one."""
    blocked = pair.source.control("GET", "planted")["blocked_orders"]
    orders = [r["Id"] for r in table(pair.source, ORDER).values() if r["Id"] not in blocked]
    other, base = orders[9], pair.source.url
    lines = next(r["Id"] for r in table(pair.source, DETAIL).values())
    texts = {
        "link": (f'see <a href="{base}/{other}">this</a>', {("link", f"{base}/{other}", other)}),
        "view": (f"{base}/lightning/r/x/{other}/view ok", {("link", f"{base}/lightning/r/x/{other}/view", other)}),
        "image": (
            f'<img src="/servlet/rtaImage?eid={other}&amp;feoid=1">',
            {("image", f"/servlet/rtaImage?eid={other}&amp;feoid=1", other)},
        ),
        "ids": (f"replaces {other} and {lines[:15]}.", {("id", other, other), ("id", lines[:15], lines)}),
        "home": (f"log in at {base}/", {("link", f"{base}/", "")}),
        "none": (f"PO {other[:15]}AAA, internationalize12 https://example.com/{'x' * 18} 2024-01-01", set()),
    }  # fmt: skip
    if other[15:] == "AAA":
        texts.pop("none")
    planted = dict(zip(orders, texts.values(), strict=False))
    for source_id, (text, _) in planted.items():
        pair.source.control("PATCH", f"records/{ORDER}/{source_id}", {TEXT: text}, raw="true")

    done = pair.migrate(draft_orders="load")

    assert done.state == "verified", done.error
    listed = [r for r in rows(done, "references.csv") if r["field"] == TEXT and r["source_id"] in planted]
    for source_id, (text, wanted) in planted.items():
        found = {(r["kind"], r["found"], r["record_id"]) for r in listed if r["source_id"] == source_id}
        assert found == wanted, text
    moved = {r["record_target_id"] for r in listed if r["record_id"] == other}
    assert moved == {i for i, r in table(pair.target, ORDER).items() if r["COA_Source_Id__c"] == other}
    template = (done.folder / "mapping_template.yaml").read_text("utf-8")
    assert f'#     "{TEXT}": rewrite_links  # 2 records' in template
    finding = done.run.db.row(
        "SELECT count, severity FROM coa.finding WHERE run_id = %s AND code = 'reference_in_text' AND field = %s",
        [done.run.run_id, TEXT],
    )
    assert finding == {"count": 5, "severity": "warning"}
