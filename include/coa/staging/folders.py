"""Where this project is and keeps its files."""

from __future__ import annotations

import os
from pathlib import Path

from coa.config import Settings
from coa.private_files import private_folder


def project_folder() -> Path:
    """The checkout that this code is part of. Installed as a package: a folder in Airflow's home."""
    packages = Path(__file__).resolve().parents[2]
    if packages.name == "include":
        return packages.parent
    return Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser().absolute() / "coa-migration"


def local_folder() -> Path:
    """Where everything is kept that this machine makes and git ignores: `.local`, or COA_LOCAL_FOLDER."""
    return Path(
        Settings.from_environment("local_folder").local_folder or project_folder() / ".local"
    ).absolute()


def logs_folder() -> Path:
    """Logs of what the local commands start."""
    return private_folder(local_folder() / "logs")
