"""The register: every place of ours that may hold personal data, and what becomes of it.

Purging a run (`coa.retention.purge`) and deleting one person's data (`coa.retention.person`) walk this and nothing
else. Tests hold it to the database as it is: a table, column or kind of file that is not here fails them.

| place | holds | a purge of the run |
|---|---|---|
| tables of the run (`RUN_TABLES`) | records of both orgs, texts about them | drops them with their schema |
| permanent tables (`PERMANENT`) | texts, examples, values that differ | empties or deletes them, run by run |
| artifacts (`PROOF`, `SEALED`) | records, texts, the salts of the evidence | deletes all files but the proof |
| logs (`coa.retention.places`) | what tasks wrote | deletes them where they can be reached |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from coa.config.params import FREE_TEXTS, RunParams
from coa.evidence.coa_verify_evidence import (
    FILES,
    FOLDER,
    LEAVES,
    PROGRAM,
    SIGNATURE,
    STATEMENT,
    SUMMARY,
)
from coa.staging.tables import Table

# ---- permanent tables ----------------------------------------------------------------------------
CODE_PARAMS = tuple(name for name in RunParams.model_fields if name not in FREE_TEXTS)
"""Params whose values are words of ours, numbers or ids."""
_PARAMS = """(SELECT COALESCE(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each({column})
              WHERE key = ANY ('{{{names}}}') AND value #>> '{{}}' ~ '^[A-Za-z0-9_.%%-]{{0,40}}$')"""


def _codes_only(column: str) -> str:
    """SQL for the params that are no texts: what somebody typed under a known name must look like a code as well."""
    return _PARAMS.format(column=column, names=",".join(CODE_PARAMS))


@dataclass(frozen=True)
class Kept:
    """A permanent table, with each of its columns in one of three lists.

    `plain`: ids, codes, counts, hashes, times; nothing that a record's field held. `deciders`: the users who triggered,
    approved and granted: who decided is part of the proof and stays. `emptied`: column -> SQL of what a purge leaves.
    `deleted`: a purge takes the rows away as a whole, whatever their columns hold.
    `of_run`: SQL condition for the rows that belong to the run %(run)s; empty where none does.
    """

    plain: tuple[str, ...]
    deciders: tuple[str, ...] = ()
    emptied: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False
    of_run: str = "run_id = %(run)s"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the table."""
        return (*self.plain, *self.deciders, *self.emptied)


_TEXT, _TEXTS, _JSON, _NOTHING = "''", "'{}'", "'{}'", "NULL"

PERMANENT: dict[str, Kept] = {
    "schema_version": Kept(("version", "name", "coa_version", "applied_at"), of_run=""),
    "org_pair": Kept(("pair_id", "source_org_id", "target_org_id", "masked"), of_run=""),
    # Random bytes: they name nobody, and without them a rehearsal's next delta would mask anew.
    "masking_key": Kept(("target_org_id", "key", "fingerprint", "made_at"), of_run=""),
    "fields_removed": Kept(("target_org_id", "removed_at"), of_run=""),
    "run": Kept(
        (
            *("run_id", "pair_id", "dag_id", "airflow_run_id", "mode", "stage", "state", "plan_hash"),
            # Names and addresses of the two orgs and the id of the user who read and wrote: no record's.
            *("source_org", "target_org", "schema_version"),
            *("started_at", "loaded_at", "finished_at", "purged_at", "erased_at"),
            *("policies_of", "mapping_sha256", "stopped_state", "artifacts", "headless_token", "born"),
            *("deployment", "airflow_started_at", "airflow_clears", "conf_sha256"),
            *(
                "coa_version",
                "airflow_version",
                "python_version",
                "dag_bundle",
                "source_package",
                "target_package",
            ),
        ),
        deciders=("triggered_by",),
        emptied={
            "given_params": _codes_only("given_params"),
            "params": _codes_only("params"),
            "mapping_name": _TEXT,
            "message": _TEXT,
            "triggered_for": _TEXT,
            "summary": 'summary || \'{"message": ""}\'',
        },
    ),
    "lease": Kept(("pair_id", "run_id", "expires_at")),
    "target_lease": Kept(("target_org_id", "run_id", "expires_at")),
    "event": Kept(("event_id", "run_id", "at", "level", "event"), emptied={"data": _JSON}, deleted=True),
    "finding": Kept(
        ("run_id", "code", "sobject", "field", "severity", "stage", "count"),
        emptied={"examples": _TEXTS, "message": _TEXT, "next_step": _TEXT},
    ),
    "describe": Kept(("run_id", "org", "sobject"), emptied={"describe": _JSON}, deleted=True),
    "plan_count": Kept(
        ("run_id", "sobject", "action", "reason_code", "records"),
        emptied={"reason": _TEXT, "next_step": _TEXT, "examples": _TEXTS},
    ),
    "approval": Kept(
        ("approval_id", "run_id", "plan_hash", "kind", "approved", "answered_at", "observed_hash"),
        deciders=("answered_by",),
        emptied={"reason": _TEXT, "form": _JSON},
    ),
    # A run whose grant is in force is not purged: its terms are what scheduled runs are held to.
    "standing_approval": Kept(
        (
            *("standing_id", "pair_id", "granted_in", "granted_at", "expires_at", "max_records"),
            *("actions", "revoked_at"),
        ),
        deciders=("granted_by",),
        emptied={"terms": _NOTHING},
        of_run="granted_in = %(run)s",
    ),
    "job": Kept(
        (
            *("job_key", "pair_id", "run_id", "step", "sobject", "operation", "chunk_no", "rows_planned"),
            *("bytes", "job_id", "state", "org_state", "accepted", "rejected", "created_at", "updated_at"),
        ),
        emptied={"message": _TEXT},
    ),
    # Which record became which: without it the next run would create everything a second time.
    "ledger": Kept(
        (
            *("pair_id", "sobject", "source_id", "target_id", "origin", "inserted_run", "last_run", "step"),
            *(
                "job_key",
                "attempts",
                "error_code",
                "draft_since",
                "draft_until",
                "verified_hash",
                "updated_at",
            ),
        ),
        emptied={"error": _NOTHING},
        of_run="last_run = %(run)s",
    ),
    # Which file, note or activity became which. A hash of a file's bytes tells nothing of them
    # but whether they are known.
    "attached": Kept(
        (
            *("pair_id", "sobject", "source_id", "parent_id", "target_id", "target_parent", "state", "bytes"),
            *("sha256", "stamp", "sent_at", "inserted_run", "last_run"),
        ),
        of_run="last_run = %(run)s",
    ),
    "progress": Kept(
        (*("run_id", "step", "sobject", "total", "done", "rejected", "bytes", "started_at", "updated_at"),),
        deleted=True,
    ),
    "api_usage": Kept(("run_id", "org", "kind", "calls")),
    "stage_time": Kept(("run_id", "stage", "started_at", "seconds")),
    "explained": Kept(
        ("run_id", "sobject", "source_id", "field", "cause"),
        emptied={"source_value": _NOTHING, "target_value": _NOTHING, "reason": _TEXT},
        deleted=True,
    ),
    "difference": Kept(
        ("run_id", "sobject", "source_id", "target_id", "field", "kind", "cause"),
        emptied={"source_value": _NOTHING, "target_value": _NOTHING, "reason": _TEXT},
        deleted=True,
    ),
    # By status, type, contract, year and currency; no record's own value.
    "total": Kept(
        (*("run_id", "side", "dimension", "label", "currency", "orders", "details", "quantity", "value"),)
    ),
    "rejection": Kept(
        ("run_id", "sobject", "source_id", "step", "error_code", "fields", "at"),
        emptied={"error": _TEXT},
        deleted=True,
    ),
    "canary": Kept(
        (
            *("run_id", "orders", "verified", "careful", "learned", "observed_hash", "proved", "reused_from"),
            *("ended_at", "resumed_at", "rechecked", "much_mended"),
        ),
        # Values that its orders held. Without these a canary stands for no later run's.
        emptied={"strata": _NOTHING, "fingerprint": _NOTHING},
    ),
    "one_pass": Kept(("run_id", "ended_at", "seen_late"), emptied={"why": _TEXT}),
    # Records of ours that `coa_contract` made and deleted, and what an org answered, without a value of anybody's.
    "contract_key": Kept(("key", "org_id", "run_id", "made_at", "cleaned_at")),
    "contract_record": Kept(("key", "sobject", "mark", "record_id"), of_run=""),
    "contract_job": Kept(("key", "job_id"), of_run=""),
    "contract_cassette": Kept(
        (
            *("run_id", "org_id", "role", "made_at", "cassette", "made", "deleted", "in_recycle_bin"),
            "remaining",
        )
    ),
    # Of the pair of orgs, not of a run: who looks after a case, and who wrote that down.
    "case_work": Kept(
        ("pair_id", "topic", "state", "case_number", "scenario", "changed_at"),
        deciders=("owner", "changed_by"),
        of_run="",
    ),
    "observed": Kept(
        ("run_id", "sobject", "field", "step", "effect", "surprise", "records", "example"),
        emptied={"becomes": _NOTHING},
    ),
}
"""The tables of the schema `coa`. A purge takes them in this order."""


# ---- tables of a run -----------------------------------------------------------------------------
class Holds(Enum):
    """What the rows of a run's table are. A purge drops all of them; one person's deletion goes by this."""

    RECORDS = "records"
    """A row is a record, or values of one: the row of a person goes as a whole."""
    TEXTS = "texts"
    """The run needs the row; what names a person inside its texts is overwritten."""
    PLAIN = "plain"
    """Ids, codes, counts, times."""


RUN_TABLES: dict[Table, Holds] = {
    Table.SOURCE: Holds.RECORDS,
    Table.TARGET: Holds.RECORDS,
    Table.VERIFY: Holds.RECORDS,
    Table.CHANGED_SOURCE: Holds.RECORDS,
    Table.CHANGED_TARGET: Holds.RECORDS,
    Table.CHANGED_VERIFY: Holds.RECORDS,
    Table.EXTRACT_STATE: Holds.PLAIN,
    Table.EXTRACT_PAGE: Holds.PLAIN,
    Table.POINTING: Holds.PLAIN,
    Table.POINTING_RAW: Holds.RECORDS,
    Table.LICENSES: Holds.RECORDS,
    Table.SOURCE_LICENSES: Holds.RECORDS,
    Table.MAPPING_FILE: Holds.TEXTS,
    Table.MAP: Holds.TEXTS,
    Table.DESIRED: Holds.RECORDS,
    Table.CUSTOM: Holds.PLAIN,
    Table.PROBLEM: Holds.TEXTS,
    Table.REFERENCE: Holds.RECORDS,
    Table.TEXT_LINK: Holds.RECORDS,
    Table.PLAN: Holds.TEXTS,
    Table.DELETION: Holds.TEXTS,
    Table.EXPECTED_CORRECTIONS: Holds.RECORDS,
    Table.CHANGED_SINCE_PLAN: Holds.TEXTS,
    Table.CANARY: Holds.PLAIN,
    Table.ONE_PASS: Holds.PLAIN,
    Table.SEEN: Holds.RECORDS,
    Table.EFFECT: Holds.RECORDS,
    Table.MEND: Holds.PLAIN,
    Table.CHUNK: Holds.PLAIN,
    Table.WORK: Holds.TEXTS,
    Table.REREAD: Holds.RECORDS,
    Table.EXPECTED: Holds.PLAIN,
    Table.SAMPLE: Holds.PLAIN,
    Table.ROLLBACK: Holds.TEXTS,
    Table.ATTACHED: Holds.RECORDS,
    Table.ATTACHED_UNDO: Holds.TEXTS,
    Table.HISTORY: Holds.RECORDS,
    Table.RELINK: Holds.TEXTS,
    # The secret that the salts follow from goes with the first person whose data is deleted.
    Table.EVIDENCE: Holds.PLAIN,
    Table.WRITTEN: Holds.PLAIN,
    Table.LEDGER: Holds.PLAIN,
}

# ---- files ---------------------------------------------------------------------------------------
PROOF = frozenset({SUMMARY, "id_map.csv"})
"""Artifacts that stay: counts, hashes, pairs of record ids. Every other file goes, those of later versions too."""
SEALED = frozenset({LEAVES, FILES, PROGRAM, STATEMENT, SIGNATURE})
"""Of `evidence/`, what stays. Without the salts nobody can try values against the hashes."""


def is_proof(folder: str, name: str) -> bool:
    """Whether an artifact stays; `folder`: where it lies below the folder of its run, empty for that itself."""
    return name in (SEALED if folder == FOLDER else PROOF if not folder else ())
