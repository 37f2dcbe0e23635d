"""What a task's code calls Airflow by, inside this process.

Airflow answers its tasks by a web application, whose import and routes are a third of what a headless run has to do
before its first stage. What nearly every task asks is answered here from the same tables, by the same paths and in the
models of Airflow's own client; anything else, a retry for one, goes to Airflow's routes, which are imported then.

The run's database ends with the run, and no page shows it: what Airflow keeps for its pages alone (rendered fields,
links, names of mapped tasks) is not kept.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from airflow.exceptions import AirflowNotFoundException
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskmap import TaskMap
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.sdk.api.client import Client
from airflow.sdk.api.datamodels._generated import DagRun, TIRunContext
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select, update

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LINK_KEYS = "_link_"
"""Prefix of the XComs by which Airflow's pages find the links of a task (`BaseOperatorLink.xcom_key`)."""
NOT_OF_ORM = {"consumed_asset_events", "note", "team_name"}
"""Fields of a run's context that a headless run has nothing for."""
CONNECTION_FIELDS = ("conn_id", "conn_type", "host", "schema", "login", "password", "port", "extra")
ENDS = ("success", "skipped", "failed")
"""States after which a task is not tried again: they change its row and nothing else."""

log = logging.getLogger(__name__)


def task_api_client() -> Client:
    """Asks no database before a call."""
    client = InProcessTestSupervisor._Client(base_url=None, token="", dry_run=True, transport=TaskApi())
    client.base_url = "http://in-process.invalid./"
    return client


class TaskApi(httpx.BaseTransport):
    """Answers each request from Airflow's tables, or by Airflow's own routes."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to one call of Airflow's client; a refusal is an answer too."""
        answer = _answered(request)
        if answer is not None:
            return answer
        log.info("Airflow's own routes answer %s %s", request.method, request.url.path)
        return self._airflow.handle_request(request)

    @cached_property
    def _airflow(self) -> httpx.BaseTransport:
        from coa_airflow.local.task_routes import airflow_routes

        return airflow_routes()


Answer = Callable[..., httpx.Response | None]


def _answered(request: httpx.Request) -> httpx.Response | None:
    """None: what Airflow's routes are to answer."""
    for method, path, answer in ANSWERS:
        if request.method == method and (found := path.fullmatch(request.url.path)):
            # Of its own: the run's session, which the same thread uses, stays as it is.
            with create_session(scoped=False) as session:
                return answer(session, request, **found.groupdict())
    return None


def _begin(session: Session, request: httpx.Request, task: str) -> httpx.Response | None:
    """A queued task begins to run; what it is told of its run."""
    ti = session.get(TaskInstance, UUID(task), with_for_update={"of": TaskInstance})
    if ti is None or ti.state != TaskInstanceState.QUEUED or ti.next_method:
        return None
    entered = _body(request)
    session.execute(
        update(TaskInstance)
        .where(TaskInstance.id == ti.id)
        .values(
            state=TaskInstanceState.RUNNING,
            start_date=_moment(entered["start_date"]),
            end_date=None,
            retry_delay_override=None,
            retry_reason=None,
            **{name: entered[name] for name in ("hostname", "unixname", "pid")},
        )
    )
    run = ti.dag_run
    context = TIRunContext(
        dag_run=DagRun(
            **{name: getattr(run, name) for name in DagRun.model_fields if name not in NOT_OF_ORM},
            consumed_asset_events=[],
        ),
        max_tries=ti.max_tries,
        # What an earlier try has left, for the task to clear.
        xcom_keys_to_clear=list(session.scalars(_xcoms_of(ti))),
        should_retry=0 < ti.max_tries >= ti.try_number,
    )
    return _json(context.model_dump(mode="json"))


def _xcoms_of(ti: Any) -> Any:
    return select(XComModel.key).where(
        XComModel.dag_id == ti.dag_id,
        XComModel.run_id == ti.run_id,
        XComModel.task_id == ti.task_id,
        XComModel.map_index == ti.map_index,
    )


def _end(session: Session, request: httpx.Request, task: str) -> httpx.Response | None:
    """A running task has ended.

    Assets that it has changed are noted nowhere: no DAG that waits for them is in the database of this run.
    """
    ended = _body(request)
    if ended["state"] not in ENDS or (ended["state"] == "failed" and _ends_others(session, task)):
        return None
    written = session.execute(
        update(TaskInstance)
        .where(TaskInstance.id == UUID(task), TaskInstance.state == TaskInstanceState.RUNNING)
        .values(
            state=TaskInstanceState(ended["state"]),
            end_date=_moment(ended["end_date"]),
            next_method=None,
            next_kwargs=None,
        )
    )
    # Another state than running: Airflow's routes say what is wrong.
    return _nothing() if written.rowcount else None  # type: ignore[attr-defined]  # an UPDATE has it


def _ends_others(session: Session, task: str) -> bool:
    """Whether the tasks of this task's DAG end when one of them fails (`fail_fast`)."""
    of_dag = select(DagModel.fail_fast).join(TaskInstance, TaskInstance.dag_id == DagModel.dag_id)
    return bool(session.scalar(of_dag.where(TaskInstance.id == UUID(task))))


def _xcom(
    session: Session, request: httpx.Request, dag: str, run: str, task: str, key: str
) -> httpx.Response | None:
    """The value that a task has left; None where there is none, for Airflow's routes to say so."""
    asked = set(request.url.params) - {"map_index"}
    found = session.scalars(
        XComModel.get_many(run_id=run, key=key, task_ids=task, dag_ids=dag)
        .where(XComModel.map_index == _map_index(request))
        .limit(1)
    ).first()
    return None if asked or found is None else _json({"key": key, "value": found.value})


def _keep_xcom(
    session: Session, request: httpx.Request, dag: str, run: str, task: str, key: str
) -> httpx.Response:
    if key.startswith(LINK_KEYS):
        return _nothing()
    where = {"dag_id": dag, "run_id": run, "task_id": task, "map_index": _map_index(request)}
    if length := request.url.params.get("mapped_length"):
        # How many instances a mapped task gets.
        session.merge(TaskMap(**where, length=int(length), keys=None))
    XComModel.set(key=key, value=_body(request), **where, serialize=False, session=session)
    return _nothing()


def _states(session: Session, request: httpx.Request) -> httpx.Response | None:
    """States of the tasks of runs, by run and task; `task_1` is the second instance of a mapped one."""
    asked = request.url.params
    if set(asked) != {"dag_id", "run_ids"}:
        return None
    rows: Any = session.execute(
        select(TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state).where(
            TaskInstance.dag_id == asked["dag_id"], TaskInstance.run_id.in_(asked.get_list("run_ids"))
        )
    )
    states: dict[str, dict[str, str | None]] = {}
    for run, task, index, state in rows:
        states.setdefault(run, {})[task if index < 0 else f"{task}_{index}"] = state
    return _json({"task_states": states})


def _variable(session: Session, request: httpx.Request, key: str) -> httpx.Response:
    """From the run's secrets backends, the last of which is its database."""
    try:
        value = Variable.get(key)
    except KeyError:
        return _missing(f"Variable with key '{key}' not found")
    return _json({"key": key, "value": value})


def _connection(session: Session, request: httpx.Request, conn_id: str) -> httpx.Response:
    try:
        found = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return _missing(f"Connection with ID {conn_id} not found")
    return _json({name: getattr(found, name) for name in CONNECTION_FIELDS})


def _nothing_to_keep(session: Session, request: httpx.Request, task: str) -> httpx.Response:
    return _nothing()


def _assets_are_there(session: Session, request: httpx.Request, task: str) -> httpx.Response:
    """The DAG, with all assets that it names, was stored when this run began."""
    return _json({"inactive_assets": []})


TASK = r"/task-instances/(?P<task>[^/]+)"
XCOM = r"/xcoms/(?P<dag>[^/]+)/(?P<run>[^/]+)/(?P<task>[^/]+)/(?P<key>[^/]+)"
ANSWERS: tuple[tuple[str, re.Pattern[str], Answer], ...] = tuple(
    (method, re.compile(path), answer)
    for method, path, answer in (
        ("PATCH", f"{TASK}/run", _begin),
        ("PATCH", f"{TASK}/state", _end),
        ("PUT", f"{TASK}/rtif", _nothing_to_keep),
        ("PATCH", f"{TASK}/rendered-map-index", _nothing_to_keep),
        ("GET", f"{TASK}/validate-inlets-and-outlets", _assets_are_there),
        ("GET", "/task-instances/states", _states),
        ("GET", "/variables/(?!keys$)(?P<key>.+)", _variable),
        ("GET", "/connections/(?P<conn_id>[^/]+)", _connection),
        ("GET", XCOM, _xcom),
        ("POST", XCOM, _keep_xcom),
    )
)


def _body(request: httpx.Request) -> Any:
    return json.loads(request.read())


def _moment(text: str) -> Any:
    from airflow.sdk import timezone

    return timezone.parse(text)


def _map_index(request: httpx.Request) -> int:
    return int(request.url.params.get("map_index", -1))


def _json(content: Any) -> httpx.Response:
    return httpx.Response(HTTPStatus.OK, json=content)


def _missing(message: str) -> httpx.Response:
    detail = {"reason": "not_found", "message": message}
    return httpx.Response(HTTPStatus.NOT_FOUND, json={"detail": detail})


def _nothing() -> httpx.Response:
    return httpx.Response(HTTPStatus.NO_CONTENT)
