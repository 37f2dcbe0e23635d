"""What the DAGs' pages in Airflow tell their user; `{source}`, `{target}` and `{prefix}` are those of the DAG."""

from __future__ import annotations

MIGRATE = """
### Moves Channel Order App orders from the org `{source}` to the org `{target}`

Orders, their details and customers arrive with their dates, prices, statuses and links. Then everything is read back
and compared field by field. What cannot be moved is listed with the reason and the next step.

1. Define the connections `{source}` and `{target}` (type Salesforce), deploy the migration's fields to
   the target (`make setup-target`), and start with a **dry run**.
2. Read the plan in the run's artifacts folder, resolve what is blocked, and trigger the real run.
3. When the task `approve` waits (*Required Actions*), read the plan and approve or reject it. Nothing is
   written to the target before that.
4. You can trigger a run that failed or was stopped again at any time: no record is created twice.

| state of the run | means |
|---|---|
| `verified` | everything in the plan was written and proved equal |
| `canary_verified` | only the canary was written (`canary_gate: only`) and proved equal |
| `dry_run` | the plan is ready, nothing was written |
| `blocked` | a finding, or too many blocked records; nothing was written |
| `not_approved` | rejected, expired or never asked; nothing was written |
| `rows_rejected` | the org refused rows; see `rejected_rows.csv` |
| `differences` | written, but not everything is equal; see `differences.csv` |
| `failed` | the run could not go on; trigger it again |

Artifacts: `report.html`, `summary.json`, `plan.json`, `id_map.csv`, `rejected_rows.csv`, `differences.csv`.
"""

PREFLIGHT = """
### Checks whether a migration would run, and computes its plan. Writes nothing to any org.

The task `check` answers within seconds whether connections, fields and rights are in order. Then come the same steps
as in `{prefix}_migrate`, with the same policies, up to the plan: both orgs are read, records are matched, and every
finding is listed with its next step. The report and `plan.json` are in the run's artifacts folder.
"""

VERIFY = """
### Compares what was moved with the source, at any time. Writes nothing to any org.

Reads the source and the target again and compares every record that was moved, field by field. With `run_id`, only
the records of that run. Differences are in `differences.csv` in this run's artifacts folder.
"""

ROLLBACK = """
### Undoes one run: deletes what it inserted, restores what it updated in the target

Name the run in `run_id`, by its own id or that of its Airflow run. The DAG reads the target, plans what to delete,
restore or leave, and asks for a separate approval. Records that somebody has changed since, and records that belong to
them, are left alone and listed. `force` includes changed records, but never deletes a record that the run did not
insert. If a roll-back is interrupted, trigger it again: it continues with what is left. Roll back the newest run first.

Artifacts: `report.html`, `plan.json`, `rolled_back.csv`, `rejected_rows.csv` (what was left, and why),
`differences.csv`, `summary.json`.
"""

RELINK = """
### Sets lookups of other records in the target to what was moved

A partner's own objects, licenses and opportunities may point at customers, orders and details. Where the old id stands
in a text field of such a record, this DAG sets its lookup to the moved record, by the rules of the section `relink` of
the mapping file. It sets a lookup only where it is empty, or where its rule says `replace`, never a managed field, and
asks for a separate approval. Without rules it ends as `blocked` and leaves `relink_template.yaml`, filled in from the
records of the target.
`{prefix}_rollback` takes such a run back.

Artifacts: `report.html`, `plan.json`, `relinked.csv`, `rejected_rows.csv` (what was left, and why), `differences.csv`,
`summary.json`.
"""

SYNC = """
### Scheduled deltas until cut-over, under a standing approval

Works like `{prefix}_migrate` with `mode` = `delta`, without asking anybody: the run is covered by the standing approval
that was granted in the approval form of a `{prefix}_migrate` run, within its limits (expiry date, records per run,
actions). Without such an approval, or beyond its limits, the run ends as `not_approved`.

Set the environment variable `COA_SYNC_SCHEDULE` (a cron expression, or `@hourly`) and unpause the DAG.
Runs on one pair of orgs never overlap, whichever DAG they are of.
"""

CONTRACT = """
### Tests how a sandbox behaves, and records the answers

About a hundred questions: what an insert does to status, dates and prices, what stays of texts and numbers, how the
APIs answer. The records that it takes (at most 150) bear a mark, are counted and approved beforehand, and are
deleted at the end, also after a kill; a query proves that none is left. No record that is there is changed, no order is
submitted, `Send_Order__c` is never set. Orders stay Drafts unless `status_probes` is on and confirmed. An org that is
no sandbox is refused unless `allow_production` is on.

`role`: `target` asks `{target}`, `source` only reads `{source}`.

Artifacts: `cassette.json` (the answers, without ids, names and texts of yours: read it, and send it to the project),
`contract.md` (what differs from the catalogue and what follows), `facts.csv`, `plan.json`, `summary.json`.
A fact that differs is a result: the run ends as `verified` when every question was answered or told as not askable,
and nothing is left.
"""

SETUP_TARGET = """
### Deploys the migration's three fields and its permission set to the org `{target}`

Looks at what is there, lists what is missing, and asks for an approval. Then it deploys by the Metadata API and
assigns the permission set to the connection's user. What is there already is left alone; a second run has nothing to
do and asks nobody. No record is touched. An org that orders are moved from (`{source}`) is refused. The same as
`make setup-target`.

The user needs *Modify Metadata Through Metadata API Functions* (or *Modify All Data*) and *Assign Permission Sets*: the
task `preflight` says so before anything is deployed. Afterwards run `{prefix}_preflight`.

Artifacts: `plan.json` (what is to be done), `summary.json`.
"""
