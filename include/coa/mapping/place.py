"""Where mapping files and custom rules may be read from, depending on who named the file.

If COA_MAPPING_FOLDER is set, everything must be below it. If not, a file that the deployment itself names
(COA_MAPPING, or PARAMS of a headless run, whose user could read it anyway) may be anywhere. A file named by a
trigger form or by a variable of a served Airflow must be below the project's `mappings/`.

COA_CUSTOM_RULES=true allows `custom:`. Rules are code, and are read only below that folder, whoever names the
file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from coa.config import Settings
from coa.files import NotReadable, OutsideFolder, read_regular
from coa.mapping.faults import unusable
from coa.staging.folders import project_folder

FILE = "COA_MAPPING"
FOLDER = "COA_MAPPING_FOLDER"
CUSTOM_RULES = "COA_CUSTOM_RULES"
DEFAULT_FOLDER = "mappings"
MAX_BYTES = 5_000_000


class NamedBy(Enum):
    """Who named the mapping file."""

    DEPLOYMENT = "deployment"
    """The environment of the workers, or PARAMS of a headless run."""
    AIRFLOW = "airflow"
    """A trigger form, a run's conf or a variable of a served Airflow: anybody who may trigger."""


@dataclass(frozen=True)
class Place:
    """`folder`: custom rules lie below it, and everything where the place is `confined`, from which relative paths then
    go out. `custom_rules`: whether the file may name code.
    """

    folder: Path
    confined: bool = True
    custom_rules: bool = False

    def path(self, named: str) -> Path:
        """A path as somebody named it."""
        return self.folder / named if self.confined else Path(named).expanduser()

    def read(self, where: Path, what: str) -> str:
        """The text of a mapping file or of a list that it names; `what` is how messages call it.
        Raises `InvalidParams`."""
        return _text(where, what, self.folder if self.confined else None)

    def read_rules(self, where: Path, what: str) -> str:
        """The text of a module of custom rules. Raises `InvalidParams`."""
        return _text(where, what, self.folder)


def place_for(path: str, named_by: NamedBy) -> Place:
    """By this process's environment. Raises `InvalidParams` for a setting that cannot be used."""
    settings = Settings.from_environment("mapping", "mapping_folder", "custom_rules")
    said = settings.mapping_folder
    if said and not Path(said).is_dir():
        raise unusable("folder_missing", setting=FOLDER)
    # Whoever triggers may repeat what the deployment says: a standing approval does.
    of_deployment = named_by is NamedBy.DEPLOYMENT or path == settings.mapping
    folder = Path(said) if said else project_folder() / DEFAULT_FOLDER
    return Place(folder.absolute(), bool(said) or not of_deployment, settings.custom_rules)


def custom_rules_allowed() -> bool:
    """Whether this process runs code that a mapping file names. Raises `InvalidParams` for another word."""
    return Settings.from_environment("custom_rules").custom_rules


def _text(where: Path, what: str, below: Path | None) -> str:
    try:
        return read_regular(where, MAX_BYTES, below).decode("utf-8")
    except OutsideFolder:
        raise unusable(
            "outside_folder", what=what, folder_setting=FOLDER, default=DEFAULT_FOLDER, file_setting=FILE
        ) from None
    except NotReadable as error:
        raise unusable("not_readable", what=what, said=str(error), file_setting=FILE) from None
    except UnicodeDecodeError:
        raise unusable("not_utf8", what=what) from None
