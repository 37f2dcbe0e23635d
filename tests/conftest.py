"""What every test may use: one real PostgreSQL for the session, a fresh database for a test or a module."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from tests import databases, kinds
from tests.orgs import use_forked_orgs

if TYPE_CHECKING:
    from tests.engine.kept import Pair

use_forked_orgs()

# How long an example takes says more of the machine than of the code, and a failure should be found again.
hypothesis.settings.register_profile("shared_machine", deadline=None, print_blob=True)
# On every change the same few; `make test` tries other and more ones each time.
hypothesis.settings.register_profile(
    "sample", hypothesis.settings.get_profile("shared_machine"), max_examples=25, derandomize=True
)
hypothesis.settings.load_profile("sample" if "CI" in os.environ else "shared_machine")


def pytest_configure(config: pytest.Config) -> None:
    kinds.choose_seed(config.option.markexpr)


# With its own Airflow, browser and orgs each of these takes long: begun last they would keep one core alone.
FIRST = ("ui/test_browser.py", "airflow", "faults")
# The tracer doubles the time of whole flows. What these reach of the engine, the tests of its parts reach as well.
UNMEASURED = ("airflow/", "bench/", "faults/", "local/", "model/test_model.py", "orgsim/", "ui/")
TESTS = Path(__file__).parent


def _place(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).as_posix()


def _turn(item: pytest.Item) -> int:
    return next((n for n, first in enumerate(FIRST) if _place(item).startswith(first)), len(FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Without coverage's tracer where nobody counts lines."""
    coverage = item.config.pluginmanager.getplugin("_cov")
    controller = getattr(coverage, "cov_controller", None)
    if controller is None or not _place(item).startswith(UNMEASURED):
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    ran = [r for name in ("passed", "failed", "error") for r in terminalreporter.stats.get(name, [])]
    if any("kinds" in getattr(report, "keywords", {}) for report in ran):
        terminalreporter.write_line(kinds.told())


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that all workers of this session share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def postgres_server(shared_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this test session, shared by its workers, with its data in a temporary folder."""
    with databases.server(shared_folder / "postgres") as server:
        yield server


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL of an empty staging database that ends with the test."""
    with databases.fresh(postgres_server) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A staging database with its permanent tables, empty."""
    staging = Database(database_url)
    yield staging
    staging.dispose()


@pytest.fixture(scope="module")
def module_database(postgres_server: EmbeddedPostgres) -> Iterator[Database]:
    """The same for a whole module, where one run serves many tests."""
    with databases.fresh(postgres_server) as url:
        staging = Database(url)
        yield staging
        staging.dispose()


@pytest.fixture
def moved_pair(postgres_server: EmbeddedPostgres, shared_folder: Path, tmp_path: Path) -> Iterator[Pair]:
    """Two small orgs and their first run, which is verified."""
    from tests.engine import kept

    with kept.restored(kept.MOVED, postgres_server, shared_folder, tmp_path / "artifacts") as pair:
        yield pair


@pytest.fixture
def planned_pair(postgres_server: EmbeddedPostgres, shared_folder: Path, tmp_path: Path) -> Iterator[Pair]:
    """Two small orgs and their first run, whose plan nobody has answered yet."""
    from tests.engine import kept

    with kept.restored(kept.PLANNED, postgres_server, shared_folder, tmp_path / "artifacts") as pair:
        yield pair


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).resolve().parent.parent


# Airflow and the embedded server must never touch the folders of the person who runs the tests.
os.environ.pop("COA_LOCAL_FOLDER", None)
