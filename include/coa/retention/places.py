"""What a run left outside of the staging database: its artifacts, the logs of its tasks, its row in Airflow.

The engine knows what lies on this machine. Airflow's part, and artifacts in an object store, are reached by
`coa_airflow.retention`, which gives `Places` of its own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from coa.artifacts import Folder, as_json
from coa.evidence.coa_verify_evidence import FOLDER, STATEMENT, SUMMARY
from coa.retention.register import is_proof
from coa.staging.database import Row
from coa.staging.folders import local_folder

TOKEN_IN_NAME = 6
"""Characters of a headless run's token in the name of its log."""


def local_artifacts(row: Row) -> Folder | None:
    """The run's artifacts folder when it is one of this machine and really that of the run."""
    text = str(row["artifacts"]).removeprefix("file://")
    folder = Path(text)
    if not text or "://" in text or folder.name != row["run_id"] or not folder.is_dir():
        return None
    return folder


def local_logs(row: Row) -> list[Path]:
    """Logs of the run on this machine: the folder of its tasks, and the output of a headless run."""
    base = os.environ.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER") or str(local_folder() / "airflow" / "logs")
    return [*task_logs(Path(base), row), *_headless_logs(row)]


def task_logs(base: Path, row: Row) -> list[Path]:
    """Below Airflow's log folder; the layout is that of its `log_filename_template`."""
    names = (f"dag_id={row['dag_id']}", f"run_id={row['airflow_run_id']}")
    # An id that steps out of the folder is none of ours.
    if not row["airflow_run_id"] or any(name != Path(name).name for name in names):
        return []
    folder = base.joinpath(*names)
    return [folder] if folder.is_dir() else []


def _headless_logs(row: Row) -> list[Path]:
    token = str(row["headless_token"])[:TOKEN_IN_NAME]
    return sorted((local_folder() / "logs").glob(f"*-{row['dag_id']}-{token}.log")) if token.isalnum() else []


@dataclass(frozen=True)
class Places:
    """How to find what a run left; the defaults know this machine only."""

    artifacts: Callable[[Row], Folder | None] = local_artifacts
    logs: Callable[[Row], list[Path]] = local_logs
    forget_in_airflow: Callable[[Row], str] | None = None
    """Deletes what Airflow's metadata database keeps of the run; a sentence on what became of it."""


def files(folder: Folder, below: str = "") -> Iterator[tuple[str, Folder]]:
    """(folder below the run's, file) of every artifact."""
    for entry in list(folder.iterdir()):
        if entry.is_dir():
            yield from files(entry, f"{below}/{entry.name}" if below else entry.name)
        else:
            yield below, entry


def purge_artifacts(folder: Folder) -> int:
    """Deletes all but the proof; how many files."""
    doomed = [file for below, file in files(folder) if not is_proof(below, file.name)]
    for file in doomed:
        file.unlink(missing_ok=True)
    return len(doomed) + _empty_message(folder)


def _empty_message(folder: Folder) -> int:
    """Why a run ended is a sentence that may quote an org or an approver. 1 where `summary.json` had to go for it."""
    path = folder / SUMMARY
    try:
        with path.open("rb") as file:
            summary = json.load(file)
    except FileNotFoundError:
        return 0
    if not summary.get("message"):
        return 0
    if any(below == FOLDER and file.name == STATEMENT for below, file in files(folder)):
        # Its hash is sealed: a file that is not there is "not checked", one that was changed is a forgery.
        path.unlink(missing_ok=True)
        return 1
    with path.open("wb") as file:
        file.write((as_json({**summary, "message": ""}) + "\n").encode())
    return 0


def delete_logs(paths: list[Path]) -> int:
    """How many files went."""
    gone = 0
    for path in paths:
        if path.is_dir():
            gone += sum(1 for one in path.rglob("*") if one.is_file())
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
            gone += 1
    return gone
