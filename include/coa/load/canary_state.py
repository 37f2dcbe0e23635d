"""What is known of a run's canary: its row of `coa.canary`, and how many records it has."""

from __future__ import annotations

from psycopg import sql

from coa.model import CUSTOMER, DETAIL, ORDER
from coa.staging.database import Row
from coa.staging.runs import Run
from coa.staging.tables import Table

CHOSEN = "chosen"
UNFINISHED = "unfinished"


def canary_of(run: Run) -> Row | None:
    """The run's row of `coa.canary`; None where it has no canary."""
    return run.db.row("SELECT * FROM coa.canary WHERE run_id = %s", [run.run_id])


def much_mended_before(run: Run) -> set[str]:
    """sObjects of which the last run on this pair had to mend much: what a canary shows of them is not worth much."""
    found = run.db.value(
        """SELECT c.much_mended FROM coa.canary c JOIN coa.run r USING (run_id)
           WHERE r.pair_id = %s AND c.run_id <> %s AND r.loaded_at IS NOT NULL ORDER BY r.loaded_at DESC LIMIT 1""",
        [run.pair_id, run.run_id],
    )
    return set(found or [])


def counts(run: Run) -> dict[str, int]:
    """`orders`, `details`, `customers` that were chosen, and `unfinished` orders that come before them."""
    if not run.has_table(Table.CANARY):
        return {"orders": 0, "details": 0, "customers": 0, "unfinished": 0}
    found = {
        (r["sobject"], r["part"]): int(r["n"])
        for r in run.db.rows(
            sql.SQL("SELECT sobject, part, count(*) AS n FROM {} GROUP BY 1, 2").format(
                run.table(Table.CANARY)
            )
        )
    }
    return {
        "orders": found.get((ORDER, CHOSEN), 0),
        "details": found.get((DETAIL, CHOSEN), 0),
        "customers": found.get((CUSTOMER, CHOSEN), 0),
        "unfinished": found.get((ORDER, UNFINISHED), 0),
    }
