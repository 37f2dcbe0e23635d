"""API calls of a run, by org and kind, as they are made: what the report and the page show."""

from __future__ import annotations

from coa.salesforce.session import Org
from coa.staging.runs import Run


def count_calls(run: Run, role: str, org: Org) -> None:
    """Writes down the calls that `org` made since this was asked last; `role` is `source` or `target`."""
    for kind, calls in org.drain_call_counts().items():
        run.db.execute(
            """INSERT INTO coa.api_usage (run_id, org, kind, calls) VALUES (%s, %s, %s, %s)
               ON CONFLICT (run_id, org, kind) DO UPDATE SET calls = coa.api_usage.calls + EXCLUDED.calls""",
            [run.run_id, role, kind, calls],
        )
