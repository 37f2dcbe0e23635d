"""What holds for every DAG of the project."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coa.config import CHOICES, RunParams
from coa.config.shown import OPEN_SECTION
from coa.kinds import KINDS
from coa.stages import EXTRACT, STAGES

KNOWN = tuple(f"coa_{kind}" for kind in KINDS)
OF_OTHER_DAGS = {"run_id", "force", "role", "allow_production", "status_probes"}


def test_all_files_are_read_without_an_error(dags: Any) -> None:
    assert dags.import_errors == {}
    assert set(KNOWN) <= set(dags.dags)


@pytest.mark.parametrize("dag_id", KNOWN)
def test_each_dag_explains_itself_and_says_whether_it_writes(dags: Any, dag_id: str) -> None:
    dag = dags.get_dag(dag_id)

    assert dag.doc_md
    assert dag.description
    assert "channel-order-app" in dag.tags
    assert len({"writes", "read-only"} & set(dag.tags)) == 1
    assert dag.catchup is False


@pytest.mark.parametrize("dag_id", KNOWN)
def test_each_task_explains_itself_has_an_owner_and_survives_a_killed_worker(dags: Any, dag_id: str) -> None:
    for task in dags.get_dag(dag_id).tasks:
        assert task.doc_md, task.task_id
        assert task.owner == "channel-orders", task.task_id
        assert task.retries >= 2, task.task_id
        assert task.retry_policy is not None, task.task_id


@pytest.mark.parametrize("dag_id", KNOWN)
def test_the_end_of_a_run_is_told_whatever_became_of_it(dags: Any, dag_id: str) -> None:
    dag = dags.get_dag(dag_id)

    assert [t.task_id for t in dag.leaves] == ["verdict"]
    assert {t.task_id for t in dag.tasks if t.trigger_rule == "all_done"} == {"report", "verdict"}


@pytest.mark.parametrize("dag_id", KNOWN)
def test_the_end_of_a_run_waits_for_everything_that_still_works(dags: Any, dag_id: str) -> None:
    """A lane that failed fails what follows it at once, while other lanes go on writing."""
    dag = dags.get_dag(dag_id)
    before = {t.task_id: t.get_flat_relative_ids(upstream=True) for t in dag.tasks}
    beside = {
        one
        for one in before
        for two in before
        if one != two and one not in before[two] and two not in before[one]
    }
    several = {t.task_id for t in dag.tasks if t.is_mapped}

    assert beside | several <= dag.get_task("report").upstream_task_ids
    assert bool(several) == (dag_id in ("coa_migrate", "coa_sync"))


def test_the_form_opens_with_what_everybody_decides_and_shows_words_for_codes(dags: Any) -> None:
    params = dags.get_dag("coa_migrate").params
    schemas = {name: params.get_param(name).schema for name in params}
    # Airflow's form opens the section of this name and no other.
    opened = {name for name, schema in schemas.items() if schema.get("section", OPEN_SECTION) == OPEN_SECTION}

    assert {
        "dry_run",
        "mode",
        "require_approval",
        "max_blocked",
        "orders_where",
        "mapping",
        "source_conn_id",
    } <= opened
    assert next(iter(schemas)) in opened
    for name, allowed in CHOICES.items():
        shown = schemas[name]["values_display"]
        assert set(shown) == set(allowed), name
        assert all(words.endswith(f" ({code})") for code, words in shown.items()), name


def test_a_dag_that_does_not_write_has_no_task_that_could(dags: Any) -> None:
    for dag in dags.dags.values():
        if "read-only" in dag.tags:
            assert not [t.task_id for t in dag.tasks if t.task_id.startswith("load")]


def test_the_form_has_exactly_the_params_of_a_run_with_their_defaults(dags: Any) -> None:
    params = dags.get_dag("coa_migrate").params

    offered = {name: params[name] for name in params}

    assert offered == {
        name: value for name, value in RunParams().model_dump().items() if name not in OF_OTHER_DAGS
    }


@pytest.mark.parametrize("name", CHOICES)
def test_the_form_offers_each_choice_with_a_text(dags: Any, name: str) -> None:
    schema = dags.get_dag("coa_migrate").params.get_param(name).schema

    assert tuple(schema["enum"]) == CHOICES[name]
    assert schema["title"]
    assert schema["description_md"]


def test_reading_the_files_imports_nothing_heavy(project: Path) -> None:
    script = (
        "import sys, airflow.sdk\n"
        "before = set(sys.modules)\n"
        "import runpy\n"
        "for name in sys.argv[1:]: runpy.run_path(name)\n"
        "heavy = {'pandas', 'numpy', 'psycopg', 'requests', 'simple_salesforce', 'coa.pipeline'}\n"
        "print(*sorted((set(sys.modules) - before) & heavy))"
    )
    files = [str(path) for path in sorted((project / "dags").glob("*.py"))]

    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""


@pytest.mark.parametrize("dag_id", KNOWN)
def test_each_task_has_a_button_to_the_page_also_in_what_airflow_stores(dags: Any, dag_id: str) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(dags.get_dag(dag_id)))

    for task in stored.task_dict.values():
        assert "Migration page" in task.extra_links, task.task_id


def test_the_tasks_follow_one_another_as_the_stages_do(dags: Any) -> None:
    dag = dags.get_dag("coa_migrate")
    tasks = {
        "prepare_load": "load.prepare", "load_customers": "load.customers", "load_lanes": "load.lane",
        "load_links": "load.links",
    }  # fmt: skip
    order = [
        tasks.get(s.name, f"{s.group}.{s.name.removeprefix(s.group + '_')}" if s.group else s.name)
        for s in STAGES
    ]

    assert set(order) == set(dag.task_ids)
    place = {name: n for n, name in enumerate(order)}
    for task in dag.tasks:
        assert all(place[above] < place[task.task_id] for above in task.upstream_task_ids)
    side_by_side = {f"{EXTRACT}.source", f"{EXTRACT}.target"}
    for earlier, later in itertools.pairwise(order):
        if {earlier, later} != side_by_side:
            assert earlier in dag.get_task(later).upstream_task_ids


def test_the_factory_makes_the_dags_of_the_folder_and_others_by_their_prefix(dags: Any) -> None:
    from coa_airflow import migration_dags

    usual = migration_dags()
    others = migration_dags(prefix="emea", team="partners", source_conn_id="emea_pbo")

    assert [dag.dag_id for dag in usual] == [f"coa_{kind}" for kind in KINDS]
    for ours, other in zip(usual, others, strict=True):
        in_folder = dags.get_dag(ours.dag_id)
        assert other.dag_id == ours.dag_id.replace("coa_", "emea_")
        assert in_folder.task_ids == ours.task_ids == other.task_ids
        assert in_folder.fileloc.endswith(f"dags/{ours.dag_id}.py")
        assert {task.owner for task in other.tasks} == {"partners"}
        assert "team:partners" in other.tags
        assert other.params["target_conn_id"] == "coa_target"
        assert other.params.get("source_conn_id") in ("emea_pbo", None)
    assert "`emea_pbo`" in others[1].doc_md
    assert "`emea_migrate`" in others[0].doc_md


def test_importing_the_package_imports_no_airflow() -> None:
    script = (
        "import sys, coa_airflow, coa_airflow.provider; print(*[m for m in sys.modules if m == 'airflow'])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
