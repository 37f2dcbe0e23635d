"""The few calls of Airflow's REST API that the demo makes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import requests

PATIENCE_SECONDS = 300


class AirflowApi:
    """One user of a local Airflow. Raises `requests.HTTPError` with Airflow's own words."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self.base_url = base_url
        self._user = user
        self._password = password
        self._token = ""

    def login(self) -> None:
        """Gets a token for the user."""
        answer, _ = self._patiently(
            "POST", "/auth/token", {"username": self._user, "password": self._password}, {}
        )
        answer.raise_for_status()
        self._token = str(answer.json()["access_token"])

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call below `/api/v2`; the answer's JSON."""
        if not self._token:
            self.login()
        headers = {"Authorization": f"Bearer {self._token}"}
        answer, repeated = self._patiently(method, f"/api/v2{path}", body, headers)
        if repeated and answer.status_code == requests.codes.conflict:
            return None  # the first try, whose answer was lost, has done it
        if not answer.ok:
            raise requests.HTTPError(
                f"{method} {path}: {answer.status_code} {answer.text[:500]}", response=answer
            )
        return answer.json() if answer.content else None

    def _patiently(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> tuple[requests.Response, bool]:
        """Sends until an answer comes, and whether it was sent before: a busy machine may take its time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        repeated = False
        while True:
            try:
                answer = requests.request(
                    method, self.base_url + path, json=body, headers=headers, timeout=60
                )
            except (requests.Timeout, requests.ConnectionError):
                if time.monotonic() > deadline:
                    raise
                repeated = True
                time.sleep(1)
            else:
                return answer, repeated

    def up(self) -> bool:
        """Whether all that a run needs has shown life. On a busy machine a heartbeat may be late: no matter."""
        try:
            parts = requests.get(f"{self.base_url}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        beats = (
            (parts.get(name) or {}).get(f"latest_{name}_heartbeat") for name in ("scheduler", "dag_processor")
        )
        return (parts.get("metadatabase") or {}).get("status") == "healthy" and all(beats)

    def unhealthy(self) -> list[str]:
        """Parts whose last sign of life is too old by Airflow's own measure; the API server if it does not answer."""
        try:
            parts = requests.get(f"{self.base_url}/api/v2/monitor/health", timeout=10).json()
        except (requests.RequestException, ValueError):
            return ["api-server"]
        return [name for name, part in parts.items() if part and part.get("status") not in ("healthy", None)]

    def knows(self, dag_id: str) -> bool:
        """Whether Airflow has this DAG by now."""
        try:
            self.call("GET", f"/dags/{dag_id}")
        except requests.HTTPError:
            return False
        return True

    def trigger(self, dag_id: str, params: dict[str, Any]) -> str:
        """The run id of the new Airflow run. It is ours, so that a lost answer makes no second run."""
        run_id = f"manual__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        self.call(
            "POST", f"/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": params}
        )
        return run_id

    def state(self, dag_id: str, run_id: str) -> str:
        """State of a DAG run, in the words of Airflow."""
        return str(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def open_question(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
        """The form of a task that waits for an answer, by field with its default; None while none waits."""
        details = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/hitlDetails?response_received=false")
        for detail in details["hitl_details"]:
            instance = detail["task_instance"]
            if instance["task_id"] == task_id and instance["state"] == "awaiting_input":
                return {name: field.get("value") for name, field in (detail["params"] or {}).items()}
        return None

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, form: dict[str, Any]) -> None:
        """`form` has every field that the question has."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        self.call("PATCH", path, {"chosen_options": [option], "params_input": form})

    def failed_tasks(self, dag_id: str, run_id: str) -> list[str]:
        """Ids of the failed tasks of a DAG run."""
        listed = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=200")
        return [str(t["task_id"]) for t in listed["task_instances"] if t["state"] == "failed"]

    def wait_for_dag(self, dag_id: str, seconds: float) -> bool:
        """Waits until Airflow has the DAG; false when it has not after that many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.knows(dag_id):
                return True
            time.sleep(0.3)
        return False
