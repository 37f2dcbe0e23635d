"""Writes the artifacts of a contract into its folder."""

from __future__ import annotations

from typing import Any

from coa.contract.report import (
    CASSETTE_FILE,
    COLUMNS,
    answers_of,
    cassette_text,
    contract_markdown,
    fact_rows,
    kept_cassette,
    summarize_contract,
)
from coa.report.csv_files import write_csv_file
from coa.report.summary import _api_calls, _seconds
from coa.report.write import Folder, write_json, write_text
from coa.staging.runs import Run


def write_contract_artifacts(run: Run, folder: Folder, state: str) -> dict[str, Any]:
    """All files of a contract as it stands now; the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = kept_cassette(run)
    write_csv_file(folder, "facts.csv", COLUMNS, fact_rows(run))
    if kept:
        write_text(folder, CASSETTE_FILE, cassette_text(kept))
    summary = summarize_contract(run, state, _api_calls(run), _seconds(run))
    write_text(folder, "contract.md", contract_markdown(summary, answers_of(kept)))
    write_json(folder, "summary.json", summary)
    return summary
