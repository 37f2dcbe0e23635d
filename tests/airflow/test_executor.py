"""The executor of a local Airflow: a resumed task starts when the process that paused it is over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.airflow


@pytest.fixture
def executor(dags: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One whose workloads are listed in `started` and never run."""
    from coa_airflow.local import executor as module

    class Listing(module.OrderlyLocalExecutor):
        def _process_workloads(self, workload_list: list[Any]) -> None:
            for workload in workload_list:
                del self.queued_tasks[workload.key]
                self.running.add(workload.key)
                self.started.append(workload.key.task_id)

    made = Listing(parallelism=4)
    made.started = []
    return made


def queue(executor: Any, task_id: str, try_number: int = 1) -> Any:
    from airflow.models.taskinstancekey import TaskInstanceKey

    key = TaskInstanceKey("dag", task_id, "run", try_number, -1)
    workload = SimpleNamespace(
        key=key, ti=SimpleNamespace(priority_weight=1, queue="default"), queue_key=(0, 0)
    )
    executor.queued_tasks[key] = workload
    executor.trigger_tasks(4)
    return key


def knows(executor: Any, key: Any) -> bool:
    """What the scheduler asks before it takes a process's end for the task's."""
    return bool(executor.has_task(SimpleNamespace(id="", key=key)))


def test_a_task_that_was_answered_at_once_waits_for_the_process_that_asked(executor: Any) -> None:
    key = queue(executor, "approve")
    queue(executor, "approve")

    assert executor.started == ["approve"]
    executor.success(key)
    assert knows(executor, key)
    executor.trigger_tasks(4)
    assert executor.started == ["approve", "approve"]
    executor.success(key)
    assert not knows(executor, key)


def test_neither_other_tasks_nor_other_tries_wait_for_it(executor: Any) -> None:
    queue(executor, "approve")
    queue(executor, "approve")

    queue(executor, "approve", try_number=2)
    queue(executor, "verify")

    assert executor.started == ["approve", "approve", "verify"]


def test_a_process_that_never_reports_its_end_holds_nobody_for_ever(
    executor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coa_airflow.local import executor as module

    queue(executor, "approve")
    queue(executor, "approve")
    monkeypatch.setattr(module, "HOLD_SECONDS", 0.0)

    executor.trigger_tasks(4)

    assert executor.started == ["approve", "approve"]
