"""The proof by another path: a sample of the records is read again by REST and compared in Python.

The proof itself reads by Bulk and compares in the database, so a fault there could deceive it: what the reader
loses in the extract is missing in the proof as well, and what a canonical function treats as equal is equal in
both. So both orgs are asked again for the sampled records, by another API, another parser and another
comparison (`coa.verify.values_by_type`). Where the two ways disagree, that is a difference of the kind
`disagreement`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

from psycopg import sql

from coa.codes import DifferenceKind
from coa.errors import ConfigurationError, RetryableError
from coa.explanations import Cause
from coa.fields.compare import is_compared
from coa.fields.field_map import FieldMapping
from coa.fields.saved import saved_carried
from coa.fields.text_links import cut_up, fits, orgs_of, rewritten
from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.masking.of_run import masked_record, masks_of
from coa.model import LOADED
from coa.salesforce.composite import MOST_QUERIES, Read, granted, read_together, records_of
from coa.salesforce.session import Org, id18
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.fragments import ledger_of
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from coa.verify.values_by_type import plain

DISAGREEMENT = DifferenceKind.DISAGREEMENT
AT_LEAST = 200
"""Records of each sObject, if there are so many."""
MOST_DIFFERENT = 10_000
"""Records with differences of each sObject that are read again: of a run that went wrong altogether a part tells."""
IDS_A_QUERY = 200
"""Ids of 18 characters and some hundred field names stay below the 16,000 characters of a URL (REST API guide)."""
STAMP = "SystemModstamp"
READ_AGAIN = "read_again"
"""Event of a run: how many records and values were compared on the second path, and what came of it."""


@dataclass
class Reading:
    """What the second path found; `skipped`: records that somebody changed between the two readings."""

    records: int = 0
    values: int = 0
    skipped: int = 0
    disagreements: Counter[str] = field(default_factory=Counter)
    source_read: bool = False


@dataclass(frozen=True)
class _Found:
    """A disagreement about one record: about a field, or about its being there (field '')."""

    source_id: str
    target_id: str
    field: str
    first: Any
    second: Any
    reason: str


def read_again(run: Run, mapping: Mapping, target: Org, source: Org | None) -> Reading:
    """Draws the sample, compares, and writes the differences; afterwards the run's finding.

    Without `source` (or when it does not answer) only the target is read again. Raises `RetryableError` when the
    target does not answer. Repeated as a whole: the differences of an earlier try are replaced.
    """
    run.db.execute("DELETE FROM coa.difference WHERE run_id = %s AND kind = %s", [run.run_id, DISAGREEMENT])
    reading = Reading()
    if run.params.verify_sample != 0:
        _draw(run, mapping)
        batches = [
            _batches(run, sobject, [f for f in fields if is_compared(f, run.params)])
            for sobject, fields in saved_carried(run, mapping).items()
        ]
        # Of each sObject the next ones: a small sample then costs a call an org.
        for together in zip_longest(*batches):
            source = _compare(run, [batch for batch in together if batch], target, source, reading)
        reading.source_read = source is not None
        _unprove(run)
        run.events.add(
            READ_AGAIN,
            records=reading.records,
            values=reading.values,
            skipped=reading.skipped,
            source_read=reading.source_read,
            disagreements=reading.disagreements.total(),
        )
    run.findings.replace("verify_sample", _findings(run, reading))
    return reading


def reading_of(run: Run) -> dict[str, Any]:
    """What `summary.json` says of the last second reading; zeros where there was none."""
    found = run.db.value(
        "SELECT data FROM coa.event WHERE run_id = %s AND event = %s ORDER BY event_id DESC LIMIT 1",
        [run.run_id, READ_AGAIN],
    )
    nothing = {"records": 0, "values": 0, "skipped": 0, "source_read": False, "disagreements": 0}
    return nothing | (found or {})


# ---- the sample ---------------------------------------------------------------------------------
def _draw(run: Run, mapping: Mapping) -> None:
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.SAMPLE)
    seed = str(run.record.plan_hash or run.run_id)
    for sobject, fields in saved_carried(run, mapping).items():
        _draw_share(run, sobject, seed)
        _draw_different(run, sobject)
        _draw_fields(run, sobject, fields, seed)


def sample_size(records: int, share: int | str) -> int:
    """Of so many records of one sObject; `share`: the param `verify_sample`.

    >>> sample_size(1000, "1%"), sample_size(50_000, "1%"), sample_size(90, "1%"), sample_size(1000, 300)
    (200, 500, 90, 300)
    """
    wanted = math.ceil(records * float(share.rstrip("%")) / 100) if isinstance(share, str) else share
    return min(records, max(AT_LEAST, wanted))


def _draw_share(run: Run, sobject: str, seed: str) -> None:
    """By the hash of plan and record: nobody can know the sample before the plan is made, anybody can check it."""
    expected = run.table(Table.EXPECTED, sobject)
    records = int(
        run.db.value(sql.SQL("SELECT count(*) FROM {} WHERE target_id IS NOT NULL").format(expected))
    )
    _insert_sample(
        run,
        sobject,
        sql.SQL(
            """SELECT source_id, target_id, 'drawn' FROM {} WHERE target_id IS NOT NULL
               ORDER BY md5(%s || source_id) LIMIT %s"""
        ).format(expected),
        [seed, sample_size(records, run.params.verify_sample)],
    )


def _draw_different(run: Run, sobject: str) -> None:
    """The records of ours with a difference, then those that are one too many: nobody's counterparts, so of these only
    the two readings are compared.
    """
    expected = run.table(Table.EXPECTED, sobject)
    _insert_sample(
        run,
        sobject,
        sql.SQL(
            """SELECT DISTINCT e.source_id, e.target_id, 'different'
               FROM coa.difference x JOIN {} e ON e.source_id = x.source_id AND e.target_id IS NOT NULL
               WHERE x.run_id = %s AND x.sobject = %s AND x.kind <> 'explained'
               ORDER BY 1, 2 LIMIT %s"""
        ).format(expected),
        [run.run_id, sobject, MOST_DIFFERENT],
    )
    _insert_sample(
        run,
        sobject,
        sql.SQL(
            """SELECT DISTINCT '', x.target_id, 'extra' FROM coa.difference x
               WHERE x.run_id = %s AND x.sobject = %s AND x.kind <> 'explained' AND x.target_id <> ''
                 AND NOT EXISTS (SELECT FROM {} e WHERE e.target_id = x.target_id)
               ORDER BY 2 LIMIT %s"""
        ).format(expected),
        [run.run_id, sobject, MOST_DIFFERENT],
    )


def _draw_fields(run: Run, sobject: str, fields: list[FieldMapping], seed: str) -> None:
    """A record more for each field that no sampled record has a value in, if any record has one."""
    names = [f.name for f in fields]
    filled = sql.SQL(", ").join(
        sql.SQL("count(d.{f}) AS {f}").format(f=sql.Identifier(name)) for name in names
    )
    counts = run.db.row(
        sql.SQL("SELECT {} FROM {} d JOIN {} p ON p.sobject = %s AND p.source_id = d.source_id").format(
            filled, run.table(Table.DESIRED, sobject), run.table(Table.SAMPLE)
        ),
        [sobject],
    )
    for name in names:
        if (counts or {}).get(name):
            continue
        _insert_sample(
            run,
            sobject,
            sql.SQL(
                """SELECT e.source_id, e.target_id, 'field' FROM {} e JOIN {} d ON d.source_id = e.source_id
                   WHERE e.target_id IS NOT NULL AND d.{} IS NOT NULL ORDER BY md5(%s || e.source_id) LIMIT 1"""
            ).format(
                run.table(Table.EXPECTED, sobject),
                run.table(Table.DESIRED, sobject),
                sql.Identifier(name),
            ),
            [seed],
        )


def _insert_sample(run: Run, sobject: str, query: sql.Composed, params: list[Any]) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO {} (sobject, source_id, target_id, why)
               SELECT {}, q.* FROM ({}) q ON CONFLICT DO NOTHING"""
        ).format(run.table(Table.SAMPLE), sql.Literal(sobject), query),
        params,
    )


# ---- the records --------------------------------------------------------------------------------
def _batches(run: Run, sobject: str, fields: list[FieldMapping]) -> Iterator[_Batch]:
    """The sampled records of an sObject, in bounded batches."""
    rows = run.db.stream(
        sql.SQL("SELECT source_id, target_id FROM {} WHERE sobject = %s ORDER BY target_id").format(
            run.table(Table.SAMPLE)
        ),
        [sobject],
    )
    watermarks = {
        role: run.db.value(
            sql.SQL("SELECT max({}) FROM {}").format(sql.Identifier(STAMP), run.table(kind, sobject))
        )
        for role, kind in (("source", SOURCE), ("target", Table.VERIFY))
    }
    while batch := list(islice(rows, IDS_A_QUERY * MOST_QUERIES)):
        yield _Batch(run, sobject, fields, batch, watermarks)


def _compare(
    run: Run, batches: list[_Batch], target: Org, source: Org | None, reading: Reading
) -> Org | None:
    """Reads these records again and compares them; the source, None once it did not answer."""
    again = read_by_rest(target, [batch.of_target() for batch in batches])
    for batch, records in zip(batches, again, strict=True):
        batch.target_again = records
    if source is not None:
        try:
            again = read_by_rest(source, [batch.of_source() for batch in batches])
        except (RetryableError, ConfigurationError) as error:
            run.events.add("source_not_read_again", level="warning", message=error.message)
            source = None
        else:
            for batch, records in zip(batches, again, strict=True):
                masks = masks_of(run, SOURCE, batch.sobject)
                batch.source_again = {key: masked_record(one, masks) for key, one in records.items()}
    for batch in batches:
        found = list(batch.disagreements(reading))
        _write(run, batch.sobject, found)
        reading.disagreements[batch.sobject] += len(found)
    return source


@dataclass(frozen=True)
class _Wanted:
    """Records of one sObject that are read again."""

    sobject: str
    ids: list[str]
    fields: list[str]

    def queries(self) -> list[Read]:
        ids = [i for i in self.ids if i.isalnum()]  # Anything else is no id, and no text for a query.
        names = ", ".join(dict.fromkeys(["Id", STAMP, *self.fields]))
        return [
            Read(soql=f"SELECT {names} FROM {self.sobject} WHERE Id IN ('" + "', '".join(part) + "')")
            for part in (ids[n : n + IDS_A_QUERY] for n in range(0, len(ids), IDS_A_QUERY))
        ]


def read_by_rest(org: Org, wanted: list[_Wanted]) -> list[dict[str, dict[str, Any]]]:
    """For each: record id -> its fields as JSON; without those that the org does not have (any more)."""
    queries = [(place, query) for place, one in enumerate(wanted) for query in one.queries()]
    found: list[dict[str, dict[str, Any]]] = [{} for _ in wanted]
    for (place, _), answer in zip(queries, read_together(org, [q for _, q in queries]), strict=True):
        found[place] |= {str(record["Id"]): record for record in records_of(org, granted(answer))}
    return found


class _Batch:
    """Some sampled records of one sObject: as the first path has them, and as REST gives them."""

    def __init__(
        self,
        run: Run,
        sobject: str,
        fields: list[FieldMapping],
        batch: list[Row],
        watermarks: dict[str, str | None],
    ) -> None:
        self.run, self.sobject, self.fields, self.batch = run, sobject, fields, batch
        self.watermarks = watermarks
        self.source_ids = [r["source_id"] for r in batch if r["source_id"]]
        self.target_ids = [r["target_id"] for r in batch]
        self.source = self._staged(SOURCE, "Id", self.source_ids)
        self.desired = self._staged(Table.DESIRED, "source_id", self.source_ids)
        self.target = self._staged(Table.VERIFY, "Id", self.target_ids)
        self.target_again: dict[str, dict[str, Any]] = {}
        self.source_again: dict[str, dict[str, Any]] | None = None
        self.orgs = orgs_of(run)
        self.told = self._told()
        self.parents = self._parents()

    def of_target(self) -> _Wanted:
        return _Wanted(self.sobject, self.target_ids, [f.name for f in self.fields])

    def of_source(self) -> _Wanted:
        columns = set(self.run.columns(SOURCE, self.sobject))
        self.source_fields = {
            one.name: one.type
            for f in self.fields
            for one in (f.source, f.fallback)
            if one is not None and one.name in columns
        }
        return _Wanted(self.sobject, self.source_ids, list(self.source_fields))

    # ---- what the first path has ----------------------------------------------------------------
    def _staged(self, kind: str, key: str, ids: list[str]) -> dict[str, Row]:
        rows = self.run.db.rows(
            sql.SQL("SELECT * FROM {} WHERE {} = ANY (%s)").format(
                self.run.table(kind, self.sobject), sql.Identifier(key)
            ),
            [ids],
        )
        return {r[key]: r for r in rows}

    def _told(self) -> dict[tuple[str, str], set[str]]:
        """(source id, field) -> kinds of the differences that the first path listed."""
        told: dict[tuple[str, str], set[str]] = {}
        kept = set()
        for r in self.run.db.rows(
            """SELECT source_id, field, cause FROM coa.explained
               WHERE run_id = %s AND sobject = %s AND source_id = ANY (%s)""",
            [self.run.run_id, self.sobject, self.source_ids],
        ):
            if r["cause"] == Cause.TARGET_WINS:
                kept.add((r["source_id"], r["field"]))
            else:
                told.setdefault((r["source_id"], r["field"]), set()).add("explained")
        for r in self.run.db.rows(
            """SELECT source_id, field, kind FROM coa.difference
               WHERE run_id = %s AND sobject = %s AND source_id = ANY (%s)""",
            [self.run.run_id, self.sobject, self.source_ids],
        ):
            place = (r["source_id"], r["field"])
            # What was changed in the target on purpose is a difference of values all the same.
            kind = "kept" if r["kind"] == "explained" and place in kept else r["kind"]
            told.setdefault(place, set()).add(kind)
        return told

    def _parents(self) -> dict[tuple[str, str], str]:
        """(sObject, source id) -> target id of the records that the sampled ones point at."""
        wanted = {
            id18(str(row[f.source.name]))
            for f in self.fields
            if f.kind == "parent" and f.source is not None
            for row in self.source.values()
            if row.get(f.source.name)
        }
        return self._counterparts(wanted)

    def _counterparts(self, source_ids: set[str]) -> dict[tuple[str, str], str]:
        return {
            (r["sobject"], r["source_id"]): r["target_id"]
            for r in self.run.db.rows(
                """SELECT sobject, source_id, target_id FROM coa.ledger
                   WHERE pair_id = %s AND source_id = ANY (%s) AND target_id IS NOT NULL""",
                [self.run.pair_id, sorted(source_ids)],
            )
        }

    # ---- the second comparison ------------------------------------------------------------------
    def disagreements(self, reading: Reading) -> Iterator[_Found]:
        for record in self.batch:
            source_id, target_id = record["source_id"], record["target_id"]
            again = self.target_again.get(target_id)
            if self._changed("target", again) or self._changed("source", self._source_again(source_id)):
                reading.skipped += 1
                continue
            reading.records += 1
            if (again is None) != (target_id not in self.target):
                yield _Found(
                    source_id, target_id, "", *_presence(again), "one reader finds the record, the other none"
                )
            elif again is not None:
                yield from self._fields(source_id, target_id, again, reading)
            yield from self._source_fields(source_id, target_id, reading)

    def _source_again(self, source_id: str) -> dict[str, Any] | None:
        return (self.source_again or {}).get(source_id)

    def _changed(self, role: str, again: dict[str, Any] | None) -> bool:
        """Whether somebody touched the record after the first reading of its org began to end:
        by the org's own stamps."""
        watermark = self.watermarks[role]
        if again is None or not watermark:
            return False
        return str(plain("datetime", again.get(STAMP))) > str(plain("datetime", watermark))

    def _fields(
        self, source_id: str, target_id: str, again: dict[str, Any], reading: Reading
    ) -> Iterator[_Found]:
        first = self.target[target_id]
        for one in self.fields:
            reading.values += 1
            kind = one.target.type
            second = plain(kind, again.get(one.name))
            if plain(kind, first[one.name]) != second:
                reason = "of the target, Bulk and REST give different values"
                yield _Found(source_id, target_id, one.name, first[one.name], again.get(one.name), reason)
                continue
            if source_id not in self.source or source_id not in self.desired:
                continue
            told = self.told.get((source_id, one.name), set())
            expected, wanted = self._expected(one, source_id, told)
            if expected is _ANY:
                continue
            if (wanted != second) != bool(told - {"explained", "duplicate", "unexpected"}):
                reason = "the comparison in the database and the one of the second reading do not agree"
                yield _Found(source_id, target_id, one.name, expected, again.get(one.name), reason)

    def _source_fields(self, source_id: str, target_id: str, reading: Reading) -> Iterator[_Found]:
        if self.source_again is None or source_id not in self.source:
            return
        again = self._source_again(source_id)
        if again is None:
            return  # Deleted since: the next delta's business.
        first = self.source[source_id]
        for name, kind in self.source_fields.items():
            reading.values += 1
            if plain(kind, first[name]) != plain(kind, again.get(name)):
                reason = "of the source, Bulk and REST give different values"
                yield _Found(source_id, target_id, name, first[name], again.get(name), reason)

    def _expected(self, one: FieldMapping, source_id: str, told: set[str]) -> tuple[Any, Any]:
        """What the field should hold (as text, and comparable): from the source's own value wherever no rule, policy
        or matching came between, else from the plan."""
        kind = one.target.type
        planned = self.desired[source_id][one.name]
        if one.name in ("OwnerId", "CreatedById") and planned is None:
            return _ANY, None
        if one.kind == "parent":
            parent = _mapped(one, self.source[source_id])
            names = LOADED[self.sobject].parents.get(one.name)
            candidates = [names] if names else [r for r in one.refers_to if r in LOADED]
            found = next(
                (self.parents[k] for k in ((c, id18(str(parent))) for c in candidates) if k in self.parents),
                None,
            )
            return found, plain(kind, found)
        value = planned
        if one.kind != "lookup" and "explained" not in told and one.source is not None:
            value = _mapped(one, self.source[source_id])
        if one.rule.rewrite_links and value:
            value = self._with_links(one, value)
        return value, plain(kind, value)

    def _with_links(self, one: FieldMapping, text: str) -> str:
        pieces = cut_up(text, self.orgs)
        if not pieces or not fits(pieces, one.target.length, self.run.settings):
            return text
        return rewritten(pieces, self._counterparts({p.record_id for p in pieces}))


_ANY = object()
"""Of a field for which nobody asked for a value: whatever the org filled in is right."""


def _presence(again: dict[str, Any] | None) -> tuple[str, str]:
    return ("present", "absent") if again is None else ("absent", "present")


def _mapped(one: FieldMapping, row: Row) -> str | None:
    """The source's value after the mapping file: constant, fallback, value map, default."""
    rule = one.rule
    if rule.constant is not None:
        return str(rule.constant) or None
    value = row.get(one.source.name) if one.source is not None else None
    if not value and one.fallback is not None:
        value = row.get(one.fallback.name)
    if value and rule.values:
        value = rule.values.get(value, value)
    return value or rule.default or None


# ---- what comes of it ---------------------------------------------------------------------------
def _write(run: Run, sobject: str, found: list[_Found]) -> None:
    with run.db.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                [
                    run.run_id,
                    sobject,
                    f.source_id,
                    f.target_id,
                    f.field,
                    None if f.first is None else str(f.first),
                    None if f.second is None else str(f.second),
                    DISAGREEMENT,
                    f.reason,
                ]
                for f in found
            ],
        )


def _unprove(run: Run) -> None:
    """Marks a record that the two readings disagree about as not proved.

    Only a migration records proofs in the ledger; a verification of its own changes nothing there.
    """
    if not run.has_table(Table.PLAN):
        return
    run.db.execute(
        sql.SQL(
            """UPDATE coa.ledger l SET verified_hash = NULL FROM coa.difference x
               WHERE x.run_id = %s AND x.kind = %s AND {}"""
        ).format(ledger_of(run.pair_id, "x")),
        [run.run_id, DISAGREEMENT],
    )


def _findings(run: Run, reading: Reading) -> list[Finding]:
    findings = []
    for sobject, count in reading.disagreements.items():
        if count:
            findings.append(
                finding(
                    "warning",
                    "readers_disagree",
                    sobject=sobject,
                    count=count,
                    examples=_examples(run, sobject),
                )
            )
    if reading.skipped > reading.records:
        findings.append(finding("warning", "sample_changed", count=reading.skipped, compared=reading.records))
    return findings


def _examples(run: Run, sobject: str) -> list[str]:
    return [
        str(r["id"])
        for r in run.db.rows(
            """SELECT DISTINCT COALESCE(NULLIF(source_id, ''), target_id) AS id FROM coa.difference
               WHERE run_id = %s AND sobject = %s AND kind = %s
               ORDER BY 1 LIMIT 10""",
            [run.run_id, sobject, DISAGREEMENT],
        )
    ]
