"""What the DAGs' pages in Airflow tell their user."""

from __future__ import annotations

MIGRATE = """
### Moves Channel Order App orders from the org `coa_source` to the org `coa_target`

Orders, their details and customers arrive with their dates, prices, statuses and links; then all of it is
read back and compared field by field. What cannot be moved is listed with the reason and what to do.

1. Define the connections `coa_source` and `coa_target` (type Salesforce), deploy the package in
   `include/salesforce_metadata` to the target, and start with a **dry run**.
2. Read the plan in the run's artifacts folder, settle what is blocked, and trigger the real run.
3. When the task `approve` waits (*Required Actions*), read the plan and approve or reject it. Nothing is
   written to the target before that.
4. A run that failed or was stopped can be triggered again at any time: no record is created twice.

| state of the run | means |
|---|---|
| `verified` | everything in the plan was written and proved equal |
| `dry_run` | the plan is ready, nothing was written |
| `blocked` | a finding, or too many blocked records; nothing was written |
| `not_approved` | rejected, expired or never asked; nothing was written |
| `rows_rejected` | the org refused rows; see `rejected_rows.csv` |
| `differences` | written, but not everything is equal; see `differences.csv` |
| `failed` | the run could not go on; trigger it again |

Artifacts: `report.html`, `summary.json`, `plan.json`, `id_map.csv`, `rejected_rows.csv`, `differences.csv`.
"""

PREFLIGHT = """
### Would a migration run through? Writes nothing to any org.

Checks both orgs, reads them, matches, and computes the plan with every finding: the same steps and the
same policies as `coa_migrate` up to its gate. The report and `plan.json` are in the run's artifacts folder.
"""

VERIFY = """
### Is what was moved still equal? Writes nothing to any org.

Reads the source and the target again and compares every record that was moved, field by field. With
`run_id` only what that run moved. Differences are in `differences.csv` of this run's artifacts folder.
"""
