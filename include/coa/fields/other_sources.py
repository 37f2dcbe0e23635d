"""Records of the target that came from another source, as the ledgers of the target's other pairs show.

Ids of two sources can be equal (copies of one org), and then their migration keys would be equal, too.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import LedgerOrigin
from coa.staging.runs import Run


def other_pairs(run: Run) -> list[int]:
    """The pairs of the run's target with other sources."""
    return [
        int(r["pair_id"])
        for r in run.db.rows(
            """SELECT p.pair_id FROM coa.org_pair p JOIN coa.org_pair mine USING (target_org_id)
               WHERE mine.pair_id = %s AND p.pair_id <> mine.pair_id ORDER BY 1""",
            [run.pair_id],
        )
    ]


def held_by_others(run: Run, sobject: str, target_id: sql.Composable) -> sql.Composed:
    """SQL: whether a migration from another source inserted the target's record of this id."""
    return sql.SQL(
        """EXISTS (SELECT FROM {ledgers} other WHERE other.pair_id = ANY ({pairs}) AND other.sobject = {sobject}
                     AND other.target_id = {target} AND other.origin = {inserted})"""
    ).format(
        ledgers=run.ledger,
        pairs=sql.Literal(other_pairs(run)),
        sobject=sql.Literal(sobject),
        target=target_id,
        inserted=sql.Literal(LedgerOrigin.INSERTED.value),
    )


def inserted_by_others(run: Run, sobject: str, target_ids: list[str]) -> set[str]:
    """Which of these records of the target (18 characters) a migration from another source inserted."""
    return {
        str(r["id"])
        for r in run.db.rows(
            sql.SQL("SELECT x.id FROM unnest(%s::text[]) AS x (id) WHERE {}").format(
                held_by_others(run, sobject, sql.SQL("x.id"))
            ),
            [target_ids],
        )
    }
