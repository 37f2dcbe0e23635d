"""Tasks that leave a long wait for a Bulk job to the triggerer and continue afterwards.

Airflow's task state store is not used: the ledger knows every job before it is created, so a retry finds its
job without a second store. What the ledger cannot do is free the worker. A deferred task holds none, and
killing any process during the wait costs none of its tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from coa.errors import JobStalled
from coa_airflow.job_trigger import NEXT_STEP, STALLED
from coa_airflow.running import task_run
from coa_airflow.ui.links import MigrationPageLink


class WaitingOperator(DecoratedOperator, PythonOperator):  # type: ignore[misc]  # Airflow has no types for us
    """A `@task` whose function may raise `JobStillRunning`: it is called again from its start when the job is over.

    The function must be one that a retry may call again, as all of ours are.
    """

    custom_operator_name = "@waiting_task"
    # Of the class: an operator that Airflow makes of a mapped task has nothing else.
    operator_extra_links = (MigrationPageLink(),)
    template_fields = ("templates_dict", "op_args", "op_kwargs")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "templates_dict": "json",
        "op_args": "py",
        "op_kwargs": "py",
    }

    def __init__(
        self, *, python_callable: Callable[..., Any], op_args: Any, op_kwargs: Any, **kwargs: Any
    ) -> None:
        upstream = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=upstream, **upstream, **kwargs)

    def resume(self, context: Any, event: dict[str, str] | None = None) -> Any:
        """Called when the trigger fired. Raises `JobStalled` when the job made no progress."""
        if event and STALLED in event:
            with task_run():
                raise JobStalled(event[STALLED], next_step=event.get(NEXT_STEP, ""))
        return self.execute(context)


def waiting_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Like `@task`, for functions that wait for Bulk jobs."""
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=False,
        decorated_operator_class=WaitingOperator,
        **kwargs,
    )
