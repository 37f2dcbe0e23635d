"""Whether a canary that an earlier run proved can serve for this run: the target must be the same in every
respect that counts.

What was compared is kept with each canary as its `fingerprint`. If part of it could not be read, there is no
fingerprint and no reuse. Only what the canary showed is known, so new strata of a plan need a canary of their
own. The first chunk after a reuse is read back in full; anything that the plan did not expect ends the reuse.

One pass is never reused: where preflight finds the package's Draft rule switched off, each run tries it with
its own canary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from psycopg import sql

from coa.approval.terms import OF_THE_RUN, terms_of
from coa.fields.field_map import FieldMapping
from coa.findings.finding import Finding, finding
from coa.load.canary_choice import Candidate, Stratum
from coa.load.canary_state import canary_of
from coa.load_steps import (
    CORRECTIONS,
    CORRECTIONS_EXACT,
    FROZEN_TERMS,
    FROZEN_TERMS_EXACT,
    RECEIVED_DATES,
    STATUSES,
)
from coa.model import LOADED, ORDER
from coa.plan.expected_corrections import DEFAULT_FILLED, RECEIVED_STAMPED
from coa.plan.one_pass import may_be_tried
from coa.policies import Policies
from coa.staging.database import Row
from coa.staging.fragments import ledger_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

WRITES_THE_SAME = frozenset(
    {
        "canary",
        "canary_gate",
        "chunk_size",
        "lanes",
        "max_blocked",
        "orders_where",
        "verify_sample",
        "mapping",
    }
)
"""Params that change which orders are written, or when, and nothing of what is written of an order. The mapping file
counts by its hash."""
CHANCE = "longest"
"""A stratum that another plan shows by other records: no reuse hangs on it."""
CORRECTED_BY = (CORRECTIONS, CORRECTIONS_EXACT, RECEIVED_DATES, FROZEN_TERMS, FROZEN_TERMS_EXACT)


# ---- under what a canary was loaded ------------------------------------------------------------------
def fingerprint(run: Run, carried: dict[str, list[FieldMapping]]) -> dict[str, Any] | None:
    """Hash of everything that must be equal; None where part of it cannot be read."""
    target, terms = run.record.target_org, terms_of(run)
    rules = target.get("workflow_rules")
    readable = (
        not target.get("not_told", ["never asked"])
        and target.get("permission_sets")
        and target.get("user_id")
        and target.get("api_version")
        and all(terms["package"].values())
        and rules is not None
        and None not in rules.values()
        and target.get("inactive_validation_rules") is not None
    )
    if not readable:
        return None
    params = {
        name: value
        for name, value in run.params.model_dump().items()
        if name not in OF_THE_RUN and name not in WRITES_THE_SAME
    }
    return {
        "target_org": target["id"],
        "writing_user": target["user_id"],
        "permission_sets": target["permission_sets"],
        "package": terms["package"],
        "api_version": target["api_version"],
        "field_map": _hash_of_fields(carried),
        "mapping": terms["mapping_sha256"],
        "params": params,
        "embedded_cr": run.settings.embedded_cr,
        "automation": terms["automation"],
    }


def _hash_of_fields(carried: dict[str, list[FieldMapping]]) -> str:
    """Over each carried field: what the describe of the target says of it, and the rule by which it is mapped."""
    fields = [
        [name, one.name, one.kind, repr(one.rule), one.target.raw] for name in LOADED for one in carried[name]
    ]
    return sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


def strata_document(candidates: Iterable[Candidate], chosen: Sequence[str]) -> list[list[str]]:
    """What a canary holds, for its row."""
    return sorted(
        [s.kind, s.sobject, s.field, s.value]
        for s in _shown(one for one in candidates if one.source_id in chosen)
    )


def _shown(candidates: Iterable[Candidate]) -> set[Stratum]:
    return {s for one in candidates for s in one.strata if s.kind != CHANCE}


# ---- an earlier one -------------------------------------------------------------------------------------
def reusable(run: Run, carried: dict[str, list[FieldMapping]]) -> Row | None:
    """The newest canary of this pair that can serve for this run: run_id, learned, careful, strata.

    None where the run needs its own canary: somebody is to see it (`canary_gate`), one pass is to be tried,
    or nothing is to be learnt.
    """
    tries_one_pass = may_be_tried(run, {f.name: f for f in carried[ORDER]})
    policies = Policies(run.params)
    if policies.needs_canary or not policies.learns_from_canary or tries_one_pass:
        return None
    now = fingerprint(run, carried)
    if now is None:
        return None
    return run.db.row(
        """SELECT c.run_id, c.learned, c.careful, c.strata FROM coa.canary c JOIN coa.run r USING (run_id)
           WHERE r.pair_id = %s AND c.run_id <> %s AND c.proved AND c.reused_from IS NULL AND c.strata IS NOT NULL
             AND c.fingerprint = %s::jsonb AND c.much_mended = '{}'
             AND c.ended_at > clock_timestamp() - make_interval(days => %s)
             AND NOT EXISTS (SELECT FROM coa.run b WHERE b.mode = 'rollback' AND b.loaded_at IS NOT NULL
                               AND b.params ->> 'run_id' IN (r.run_id, r.airflow_run_id))
             AND NOT EXISTS (SELECT FROM coa.canary later WHERE later.reused_from = c.run_id
                               AND (later.rechecked IS FALSE OR later.proved IS FALSE))
           ORDER BY c.ended_at DESC LIMIT 1""",
        [run.pair_id, run.run_id, json.dumps(now), run.settings.canary_days],
    )


def what_is_new(candidates: Sequence[Candidate], held: Iterable[Sequence[str]]) -> list[Candidate]:
    """Those of the candidates that show what an earlier canary did not hold, with that alone; and their originals."""
    known = {Stratum(*one) for one in held}
    new = [
        replace(one, strata=frozenset(s for s in one.strata if s.kind != CHANCE) - known)
        for one in candidates
    ]
    showing = {one.source_id for one in new if one.strata}
    originals = {one.original for one in new if one.strata}
    return [one for one in new if one.source_id in showing | originals]


# ---- the first chunk after a reuse --------------------------------------------------------------------
def is_rechecked(canary: Row) -> bool:
    """Whether what was taken over from another run has been seen to hold in this one."""
    return canary["reused_from"] is None or bool(canary["rechecked"])


def recheck(run: Run, chunk_no: int) -> None:
    """After a chunk that was read back in full: a surprise in it ends the reuse for the rest of the load."""
    canary = canary_of(run)
    if canary is None or canary["reused_from"] is None or canary["rechecked"] is not None:
        return
    surprised = _surprised(run, chunk_no)
    run.db.execute(
        """UPDATE coa.canary SET rechecked = %s, learned = CASE WHEN %s THEN learned ELSE '{}' END, careful = %s
           WHERE run_id = %s AND rechecked IS NULL""",
        [not surprised, not surprised, sorted({*canary["careful"], *surprised}), run.run_id],
    )
    if surprised:
        run.findings.replace("canary_reuse", [_ended(canary["reused_from"], surprised)])


def _surprised(run: Run, chunk_no: int) -> list[str]:
    """sObjects of which a new record of the chunk was corrected otherwise than the plan expected."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT w.sobject FROM {work} w JOIN {plan} p USING (sobject, source_id)
               CROSS JOIN LATERAL unnest(w.changed) f
               WHERE w.chunk_no = %(chunk)s AND w.step = ANY (%(steps)s) AND p.action = 'insert' AND NOT EXISTS (
                 SELECT FROM {expected} x WHERE {x_is_w} AND x.field = f)
               UNION
               SELECT x.sobject FROM {expected} x JOIN {plan} p USING (sobject, source_id)
               JOIN coa.ledger l ON {ledger}
               WHERE p.chunk_no = %(chunk)s AND p.action = 'insert' AND x.step = ANY (%(expected_in)s)
                 AND l.target_id IS NOT NULL
                 -- Of a default that is a formula nobody knows whether it fills anything.
                 AND (x.effect <> %(default)s OR x.becomes IS NOT NULL)
                 AND (x.effect <> %(stamped)s OR EXISTS (SELECT FROM {work} s WHERE s.step = %(statuses)s
                        AND {s_is_x} AND s.state = 'accepted'))
                 AND NOT EXISTS (SELECT FROM {work} w WHERE {w_is_x}
                                   AND w.step = ANY (%(steps)s) AND x.field = ANY (w.changed))
               ORDER BY 1"""
        ).format(
            work=run.table(Table.WORK),
            plan=run.table(Table.PLAN),
            expected=run.table(Table.EXPECTED_CORRECTIONS),
            ledger=ledger_of(run.pair_id, "x"),
            x_is_w=same_record("x", "w"),
            s_is_x=same_record("s", "x"),
            w_is_x=same_record("w", "x"),
        ),
        {
            "chunk": chunk_no,
            "steps": [step.name for step in CORRECTED_BY],
            "expected_in": [CORRECTIONS.name, RECEIVED_DATES.name],
            "default": DEFAULT_FILLED,
            "stamped": RECEIVED_STAMPED,
            "statuses": STATUSES.name,
        },
    )
    return [str(r["sobject"]) for r in rows]


def _ended(reused_from: str, surprised: list[str]) -> Finding:
    return finding(
        "warning", "canary_reuse_ended", run_id=reused_from, objects=surprised, count=len(surprised)
    )
