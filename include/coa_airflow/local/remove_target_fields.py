"""`make remove-target-fields CONFIRM=00D...`: takes the migration's fields and permission set out of the target again.

    CONFIRM=00D... python -m coa_airflow.local.remove_target_fields       EXPORT=path/id_map.csv: where the id map goes

Refused while a run into this target is unfinished or a standing approval stands. Exports the id map first and says
where. Exit status 0 when the fields are gone.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from coa.config import Settings
from coa.errors import ConfigurationError
from coa.private_files import keep_files_private
from coa.target_fields.remove import file_name, moved_from, remove, require_confirmed, steps
from coa.target_fields.setup import require_no_source
from coa.target_fields.state import look
from coa.wording import counted
from coa_airflow.environment import artifacts_root
from coa_airflow.local.target import Surroundings, carried_out


def main() -> int:
    """Exit status of the command."""
    keep_files_private()
    return carried_out(_work)


def _work(found: Surroundings) -> None:
    state = look(found.target)
    require_no_source(found.staging, state.org_id, found.sources)
    todo = steps(state, moved_from(found.staging, state.org_id))
    print(f"Target {state.identity['connection']}: {state.identity['name']} {state.org_id}.")
    if not todo:
        print("Nothing to do: the target has neither the fields nor the permission set.")
        return
    print("\n".join(["To do:", *(f"  - {one}" for one in todo)]), flush=True)
    require_confirmed(state, os.environ.get("CONFIRM", "").strip())
    done = remove(found.staging, found.target, state, _file(state.org_id))
    deleted = sum(one.deleted for one in done.deployed.components)
    print(f"Deployment {done.deployed.id}: {counted(deleted, 'component')} deleted.")
    print(f"Id map of {counted(done.records, 'record')}, to be kept: {done.file}")


def _file(target_id: str) -> Path:
    given = os.environ.get("EXPORT", "")
    if given:
        return Path(given).expanduser().absolute()
    folder = artifacts_root(Settings.from_environment("artifacts_path").artifacts_path)
    if not isinstance(folder, Path):
        raise ConfigurationError(
            "The artifacts are in an object store; the id map is written to a file of this machine.",
            next_step="name it: EXPORT=path/id_map.csv.",
        )
    return folder / file_name(target_id, datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
