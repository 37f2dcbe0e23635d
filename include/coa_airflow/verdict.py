"""The last task of each DAG: decides how the run ended, and publishes it.

It sets the run's note, metrics, the asset of the target's orders, and, where the OpenLineage provider is
installed and has a transport, lineage and the proof as data quality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import get_current_context
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory
from airflow.sdk.exceptions import AirflowFailException

from coa.kinds import kind_of
from coa.states import GOOD_STATES
from coa_airflow import metrics
from coa_airflow.assets import orders_alias, update_asset
from coa_airflow.environment import artifacts_of
from coa_airflow.notify import notify
from coa_airflow.notify.messages import end_kind, ended
from coa_airflow.notify.watch import tell_drafts
from coa_airflow.openlineage import Told, operator_lineage, tell
from coa_airflow.pair import Pair
from coa_airflow.running import failed_tasks, failures, task_run
from coa_airflow.ui.links import MigrationPageLink

if TYPE_CHECKING:
    from coa.staging.runs import Run
    from coa.states import RunState

NOTE = "note"
"""Key of the XCom that becomes the note of the Airflow run: see `coa_airflow.ui.notes`."""


class VerdictOperator(DecoratedOperator, PythonOperator):  # type: ignore[misc]  # Airflow has no types for us
    """A `@task` that Airflow's OpenLineage provider asks what the run read, wrote and proved."""

    custom_operator_name = "@verdict"
    operator_extra_links = (MigrationPageLink(),)
    template_fields = ("templates_dict", "op_args", "op_kwargs")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "templates_dict": "json",
        "op_args": "py",
        "op_kwargs": "py",
    }
    told: Told | None = None
    """What the provider is told. Set by the task itself: the provider asks in a forked process, which must not use
    the connections of this one."""

    def __init__(
        self, *, python_callable: Callable[..., Any], op_args: Any, op_kwargs: Any, **kwargs: Any
    ) -> None:
        upstream = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=upstream, **upstream, **kwargs)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Called by the provider; a run that ended badly is told in the same way."""
        return operator_lineage(self.told) if self.told else None


def _verdict_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=False,
        decorated_operator_class=VerdictOperator,
        **kwargs,
    )


@_verdict_task(trigger_rule="all_done", retries=2)
def verdict() -> str:
    """Decides the end state of the run. Raises `AirflowFailException` unless it is a good one."""
    from coa import pipeline

    context: Any = get_current_context()
    ti = context["ti"]
    with task_run(ending=True) as run:
        message, crashed = failures(run, failed_tasks(ti))
        state = pipeline.finish(run, artifacts_of(run.run_id), message, crashed=crashed)
        run.refresh()
        _publish(run, context, state)
        if state not in GOOD_STATES:
            raise AirflowFailException(f"The run ended as {state}. {run.record.message}".strip())
        return state.value


def verdict_of(pair: Pair) -> Any:
    """The verdict of a DAG that brings orders to the target of this pair."""
    return verdict.override(outlets=[orders_alias(pair)])


def _publish(run: Run, context: Any, state: RunState) -> None:
    from coa.report.summary import note_of

    context["ti"].xcom_push(key=NOTE, value=note_of(run.record.summary or {}))
    kind = kind_of(run.record.dag_id)
    metrics.of_run((run.record.summary or {}), run.record.dag_id)
    update_asset(run, context, state, kind)
    context["task"].told = tell(run)
    notify(run, end_kind(state), lambda: ended(run, state, artifacts_of(run.run_id)))
    tell_drafts(run)
