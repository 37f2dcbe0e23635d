"""What a headless run answers its tasks itself is what Airflow's own routes would have answered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import pytest
from tests.airflow.conftest import read_dags

pytestmark = pytest.mark.airflow

BOTH = ("ours", "airflow")
RUNNING = {
    "state": "running",
    "hostname": "here",
    "unixname": "me",
    "pid": 1,
    "start_date": "2026-01-02T03:04:05Z",
}


class Scene(NamedTuple):
    run_id: str
    tasks: dict[str, str]
    """Task instances' ids by task."""
    ours: httpx.Client
    airflow: httpx.Client

    def both(self, method: str, path: str, **sent: Any) -> list[httpx.Response]:
        return [client.request(method, path, **sent) for client in (self.ours, self.airflow)]


@pytest.fixture(scope="module")
def scene(dags: Any) -> Iterator[Scene]:
    """A stored run of coa_migrate with nothing done, and both ways to call Airflow about it."""
    from airflow.utils.session import create_session

    from coa_airflow.local.one_run import _create_run
    from coa_airflow.local.task_api import TaskApi
    from coa_airflow.local.task_routes import airflow_routes

    dag = read_dags("coa_migrate").dags["coa_migrate"]
    with create_session(scoped=False) as session:
        run = _create_run(dag, {"dry_run": True}, datetime.now(UTC).strftime("%H%M%S%f"), session)
        tasks = {ti.task_id: str(ti.id) for ti in run.get_task_instances(session=session)}
        made = run.run_id
    with (
        httpx.Client(transport=TaskApi(), base_url="http://here") as ours,
        httpx.Client(transport=airflow_routes(), base_url="http://here") as airflow,
    ):
        yield Scene(made, tasks, ours, airflow)


def set_state(task: str, state: str | None, **values: Any) -> None:
    from uuid import UUID

    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session(scoped=False) as session:
        session.execute(
            update(TaskInstance).where(TaskInstance.id == UUID(task)).values(state=state, **values)
        )


def row_of(task: str) -> dict[str, Any]:
    from uuid import UUID

    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        ti = session.get(TaskInstance, UUID(task))
        assert ti is not None
        names = ("state", "start_date", "end_date", "hostname", "unixname", "pid", "next_method")
        return {name: getattr(ti, name) for name in names}


def tasks_of(run_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """States and ids of the tasks of a run, by task."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        found = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run_id)).all()
        return {ti.task_id: str(ti.state) for ti in found}, {ti.task_id: str(ti.id) for ti in found}


@pytest.mark.parametrize("try_number", [1, 99])
def test_a_task_that_begins_is_told_the_same_and_leaves_the_same_row(scene: Scene, try_number: int) -> None:
    task = scene.tasks["preflight"]
    told, rows = [], []

    for client in (scene.ours, scene.airflow):
        set_state(task, "queued", try_number=try_number, pid=None)
        answer = client.patch(f"/task-instances/{task}/run", json=RUNNING)
        told.append({k: v for k, v in answer.json().items() if v is not None and v != []})
        rows.append(row_of(task))

    for one in told:
        one["dag_run"] = {k: v for k, v in one["dag_run"].items() if v is not None}
    assert told[0] == told[1]
    assert told[0]["dag_run"]["conf"] == {"dry_run": True}
    assert rows[0] == rows[1]


@pytest.mark.parametrize("end", ["success", "skipped", "failed"])
def test_a_task_that_ends_leaves_the_same_row(scene: Scene, end: str) -> None:
    task = scene.tasks["transform"]
    body: dict[str, Any] = {"state": end, "end_date": "2026-01-02T03:04:06Z"}
    rows = []

    for client in (scene.ours, scene.airflow):
        set_state(task, "running")
        assert client.patch(f"/task-instances/{task}/state", json=body).is_success
        rows.append(row_of(task))

    assert rows[0] == rows[1]
    assert rows[0]["state"] == end


@pytest.mark.parametrize(("state", "action"), [("success", "run"), ("queued", "state")])
def test_what_a_task_may_not_do_in_its_state_is_refused_in_airflows_words(
    scene: Scene, state: str, action: str
) -> None:
    task = scene.tasks["reconcile"]
    set_state(task, state)
    body = RUNNING if action == "run" else {"state": "skipped", "end_date": "2026-01-02T03:04:06Z"}

    ours, airflow = scene.both("PATCH", f"/task-instances/{task}/{action}", json=body)

    assert ours.status_code == airflow.status_code == httpx.codes.CONFLICT
    assert ours.json()["detail"] == airflow.json()["detail"]


def test_a_value_is_read_as_it_was_left_and_gives_a_mapped_task_its_length(scene: Scene) -> None:
    from airflow.models.taskmap import TaskMap
    from airflow.utils.session import create_session
    from sqlalchemy import select

    path = f"/xcoms/coa_migrate/{scene.run_id}/load.prepare"
    lengths = []

    for name, client in zip(BOTH, (scene.ours, scene.airflow), strict=True):
        kept = client.post(
            f"{path}/by_{name}", params={"mapped_length": len(name)}, json=[[0, 1], {"a": "ü"}]
        )
        assert kept.is_success
        with create_session(scoped=False) as session:
            lengths.append(session.scalar(select(TaskMap.length).where(TaskMap.run_id == scene.run_id)))

    assert lengths == [len(name) for name in BOTH]
    for name in BOTH:
        ours, airflow = scene.both("GET", f"{path}/by_{name}")
        assert ours.json() == airflow.json() == {"key": f"by_{name}", "value": [[0, 1], {"a": "ü"}]}
    ours, airflow = scene.both("GET", f"{path}/nothing")
    assert (ours.status_code, ours.json()) == (airflow.status_code, airflow.json())


def test_states_variables_and_connections_are_told_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_COA_SAID", "a value")
    monkeypatch.setenv("AIRFLOW_CONN_COA_SAID", '{"conn_type": "salesforce", "host": "h", "extra": {"a": 1}}')
    wanted = {"dag_id": "coa_migrate", "run_ids": [scene.run_id]}

    for path, params in (
        ("/task-instances/states", wanted),
        ("/task-instances/states", {**wanted, "task_ids": ["preflight"]}),
        ("/variables/coa_said", {}),
        ("/variables/coa_unknown", {}),
        ("/connections/coa_said", {}),
        ("/connections/coa_unknown", {}),
    ):
        ours, airflow = scene.both("GET", path, params=params)
        assert (ours.status_code, ours.json()) == (airflow.status_code, airflow.json()), path


def test_a_retry_is_airflows_own(scene: Scene) -> None:
    task = scene.tasks["plan"]
    set_state(task, "running")

    answer = scene.ours.patch(
        f"/task-instances/{task}/state", json={"state": "up_for_retry", "end_date": "2026-01-02T03:04:06Z"}
    )

    assert answer.is_success
    # The try that failed has become history, and the next one has an id of its own.
    states, ids = tasks_of(scene.run_id)
    assert states["plan"] == "up_for_retry"
    assert ids["plan"] != task


def test_no_task_checks_the_params_by_their_schemas_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import jsonschema
    from airflow.sdk.definitions.param import process_params

    from coa_airflow.local.checked_params import take_as_checked

    dag = read_dags("coa_migrate").dags["coa_migrate"]
    task = dag.task_dict["start"]
    given = {"canary": 3, "mode": "delta"}
    checked = process_params(dag, task, given, suppress_exception=False)
    monkeypatch.setattr(jsonschema, "validate", lambda *_, **__: pytest.fail("a schema was looked at"))

    take_as_checked(dag)

    assert process_params(dag, task, given, suppress_exception=False) == checked
    assert checked["canary"] == 3


def test_a_headless_run_imports_no_web_framework_before_its_first_task() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from coa_airflow.local import headless_run, one_run; "
        "headless_run._import_what_needs_no_settings(); one_run.OneRun('coa_migrate'); "
        "print([name for name in ('fastapi', 'cadwyn', 'svcs', 'aiohttp', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
