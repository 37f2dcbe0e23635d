"""`make setup-target`: the migration's fields and permission set in the target, deployed and assigned after a yes.

    YES=1 python -m coa_airflow.local.setup_target      IMPORT=id_map.csv: takes an exported id map into the ledger

Shows what it will do and asks; without a terminal YES=1 has to say so. What is there already is left alone. Exit
status 0 when all is in place.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from coa.errors import ConfigurationError
from coa.private_files import keep_files_private
from coa.target_fields.id_map import import_id_map
from coa.target_fields.setup import require_no_source, set_up, steps, told
from coa.target_fields.state import look
from coa.wording import counted
from coa_airflow.environment import metadata_folder
from coa_airflow.local.target import Surroundings, carried_out


def main() -> int:
    """Exit status of the command."""
    keep_files_private()
    return carried_out(_work)


def _work(found: Surroundings) -> None:
    state = look(found.target)
    require_no_source(found.staging, state.org_id, found.sources)
    who = state.identity
    kind = "sandbox" if who["is_sandbox"] else "production"
    print(f"Target {who['connection']}: {who['name']} {state.org_id} ({kind}), {who['instance_url']}.")
    if found.not_asked:
        print(f"Not compared with a source: {found.not_asked}")
    todo = steps(state)
    if todo:
        print("\n".join(["To do:", *(f"  - {one}" for one in todo)]), flush=True)
        _require_yes()
        deployed = set_up(found.target, state, metadata_folder())
        print(f"{told(deployed)} The user sees and may write every field." if deployed else "Assigned.")
    else:
        print("Nothing to do: fields and permission set are there, and the user has it.")
    if file := os.environ.get("IMPORT", ""):
        taken = import_id_map(found.staging, state.org_id, Path(file).expanduser())
        print(f"{file}: {counted(taken, 'record')} taken into the ledger.")


def _require_yes() -> None:
    """Raises `ConfigurationError` unless a person at the terminal, or YES=1, says so."""
    if os.environ.get("YES") == "1":
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "Nothing was deployed: there is no terminal to ask at.", next_step="make setup-target YES=1"
        )
    if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ConfigurationError("Nothing was deployed.", next_step="answer y, or set YES=1.")


if __name__ == "__main__":
    sys.exit(main())
