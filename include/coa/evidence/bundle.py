"""Writes `evidence/` into the artifacts of a run: leaves and salts first, the signed statement when everything
else is written.

The other artifacts are written in between: `summary.json` contains the root, and the statement contains the
hash of `summary.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import sql

import coa
from coa.approval.record import approvals
from coa.artifacts import Folder, Hashed, as_json, hash_of
from coa.errors import ConfigurationError
from coa.evidence import coa_verify_evidence as checker
from coa.evidence.records import carried, ensure_secret, hashed_fields, records
from coa.evidence.signing import Signature, sign
from coa.load.observed import observed_document
from coa.model import LOADED
from coa.staging.database import json_value
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.states import RunState

EVIDENCED = frozenset(
    {RunState.VERIFIED, RunState.DIFFERENCES, RunState.ROWS_REJECTED, RunState.CANARY_VERIFIED}
)
"""States that can have evidence: of runs whose proof came to its end. The others claim nothing of any record."""
ANSWER = ("kind", "approved", "answered_by", "answered_at", "plan_hash", "observed_hash")
TEXT_PARAMS = frozenset({"orders_where"})
TEXT_VERSIONS = frozenset({"mapping"})
"""What the statement says of an answer, and what it leaves out: texts that may name a person. They stand in
`audit.json`, whose hash is in the statement. So a purge can take them away and leave the signature whole."""
FILES = (checker.LEAVES, checker.SALTS, checker.FILES, checker.PROGRAM, checker.STATEMENT, checker.SIGNATURE)


def proof_is_whole(run: Run) -> bool:
    """Whether the run's verification came to its end, and its tables are still there."""
    kinds = (Table.SOURCE, Table.DESIRED, Table.EXPECTED, Table.VERIFY)
    return all(run.has_table(kind, name) for name in LOADED for kind in kinds)


def write_records(run: Run, artifacts: Folder, state: str) -> bool:
    """Hashes every record to the tree and writes `leaves.tsv` and `salts.tsv`; False when the state has no evidence.

    Memory does not grow with the records: they come in batches and the tree keeps one hash a level.
    """
    withdraw(artifacts)
    if state not in EVIDENCED or not proof_is_whole(run):
        return False
    folder = artifacts / checker.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    ensure_secret(run)
    tree, counts = checker.Tree(), Counter[tuple[str, str, str]]()
    files: list[dict[str, Any]] = []
    with _file(folder, checker.LEAVES, files) as leaves, _file(folder, checker.SALTS, files) as salts:
        leaves.write(_line(checker.COLUMNS) + b"\n")
        for row in records(run):
            line = _line([row[name] for name in checker.COLUMNS])
            tree.add(line)
            counts[row["sobject"], row["action"], row["outcome"]] += 1
            leaves.write(line + b"\n")
            salts.write(_line([row["source_id"], row["salt"]]) + b"\n")
    if run.has_table(Table.ATTACHED):
        with _file(folder, checker.FILES, files) as attached:
            attached.write(_line(checker.FILE_COLUMNS) + b"\n")
            for file in carried(run):
                attached.write(_line(file) + b"\n")
    with _file(folder, checker.PROGRAM, files) as program:
        program.write(Path(str(checker.__file__)).read_bytes())
    document = {
        "format": checker.FORMAT,
        "root": tree.root().hex(),
        "leaves": tree.size,
        "order": "customers, orders, details; within each by the bytes of the source id",
        "counts": [
            {"sobject": sobject, "action": action, "outcome": outcome, "records": n}
            for (sobject, action, outcome), n in sorted(counts.items())
        ],
    }
    run.db.execute(
        sql.SQL("UPDATE {} SET tree = %s, files = %s").format(run.table(Table.EVIDENCE)),
        [json_value(document), json_value(files)],
    )
    return True


def evidence_of(run: Run) -> dict[str, Any]:
    """What `summary.json` says of it: root (null: no evidence) and number of records."""
    tree = _tree(run)
    return {"root": tree["root"], "leaves": tree["leaves"]} if tree else {"root": None, "leaves": 0}


def seal(run: Run, artifacts: Folder, state: str) -> None:
    """Writes and signs the statement over records and artifacts as they are now; does nothing where there
    are no records.

    If the key can no longer be used, the bundle is left unsigned: the run is over, and its evidence says
    that it is unsigned.
    """
    tree = _tree(run)
    if tree is None or state not in EVIDENCED:
        return
    folder = artifacts / checker.FOLDER
    statement = as_json(_statement(run, artifacts, state, tree)).encode() + b"\n"
    try:
        signed = sign(statement)
    except ConfigurationError as error:
        run.events.add("evidence_unsigned", level="error", message=error.message)
        signed = Signature()
    files: list[dict[str, Any]] = []
    with _file(folder, checker.STATEMENT, files) as file:
        file.write(statement)
    document = {
        "algorithm": "Ed25519" if signed.signature else "none",
        "public_key": signed.public_key,
        "signature": signed.signature,
        "statement_sha256": files[0]["sha256"],
    }
    with _file(folder, checker.SIGNATURE, files) as file:
        file.write(checker.signature_document(document))
    run.events.add("evidence_sealed", root=tree["root"], leaves=tree["leaves"], public_key=signed.public_key)


def withdraw(artifacts: Folder) -> None:
    """Removes the evidence of an earlier end of the run, which no longer fits the artifacts."""
    for name in FILES:
        (artifacts / checker.FOLDER / name).unlink(missing_ok=True)


def _statement(run: Run, artifacts: Folder, state: str, tree: dict[str, Any]) -> dict[str, Any]:
    # A tree of before there were two forms does not name its own.
    form = tree.get("format", checker.EARLIER)
    facts = ("run_id", "dag_id", "mode", "triggered_by", "started_at", "loaded_at", "finished_at")
    files = run.db.value(sql.SQL("SELECT files FROM {}").format(run.table(Table.EVIDENCE)))
    return {
        "format": form,
        "run": {name: getattr(run.record, name) for name in facts} | {"state": state},
        "source_org": run.record.source_org,
        "target_org": run.record.target_org,
        "plan_hash": run.record.plan_hash,
        "approvals": [{name: answer[name] for name in ANSWER} for answer in approvals(run)],
        "params": {name: value for name, value in run.record.params.items() if name not in TEXT_PARAMS},
        "mapping": _mapping(run),
        "code": {
            **{name: value for name, value in run.record.versions().items() if name not in TEXT_VERSIONS},
            "coa-migration": coa.__version__,
        },
        "tree": {name: value for name, value in tree.items() if name != "format"},
        # What the target was seen to do with the first records; null for a run without a canary.
        "observed": observed_document(run),
        "fields": hashed_fields(run),
        "files": files,
        "artifacts": sorted(_hashes(artifacts), key=lambda entry: str(entry["name"])),
    }


def _tree(run: Run) -> dict[str, Any] | None:
    if not run.has_table(Table.EVIDENCE):
        return None
    found: dict[str, Any] | None = run.db.value(
        sql.SQL("SELECT tree FROM {}").format(run.table(Table.EVIDENCE))
    )
    return found


def _mapping(run: Run) -> dict[str, Any] | None:
    """SHA-256 of the mapping file; None where the run had none."""
    return {"sha256": run.record.mapping_sha256} if run.record.mapping_sha256 else None


def _hashes(folder: Folder, prefix: str = "") -> Iterator[dict[str, Any]]:
    """Every file below the artifacts but the evidence itself, by what stands there."""
    for entry in folder.iterdir():
        if entry.is_dir():
            if prefix or entry.name != checker.FOLDER:
                yield from _hashes(entry, f"{prefix}{entry.name}/")
        else:
            digest, size = hash_of(entry)
            yield {"name": prefix + entry.name, "bytes": size, "sha256": digest}


@contextmanager
def _file(folder: Folder, name: str, files: list[dict[str, Any]]) -> Iterator[Hashed]:
    with (folder / name).open("wb") as raw:
        hashed = Hashed(raw)
        yield hashed
    files.append({"name": name, "bytes": hashed.size, "sha256": hashed.digest.hexdigest()})


def _line(cells: Iterable[str]) -> bytes:
    return "\t".join(cells).encode()
