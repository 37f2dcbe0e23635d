"""Which code a run follows, as Airflow tells its tasks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from coa_airflow.deployment import bundle_of


@pytest.mark.parametrize(
    ("version", "kept"),
    [("9d0f6ac", "platform-dags@9d0f6ac"), (None, "platform-dags"), ("", "platform-dags")],
    ids=["git", "folder", "empty"],
)
def test_a_run_keeps_its_bundle_and_the_version_where_there_is_one(version: str | None, kept: str) -> None:
    told = SimpleNamespace(bundle_instance=SimpleNamespace(name="platform-dags", version=version))

    assert bundle_of(told) == kept


def test_a_dag_from_memory_has_no_bundle() -> None:
    assert bundle_of(SimpleNamespace()) == ""
