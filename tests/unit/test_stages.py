"""The order of the pipeline is written in one place, and every stage of it can be done and is shown."""

from __future__ import annotations

import pytest

from coa import pipeline, stages
from coa_airflow.local.view import step_name
from coa_airflow.ui.stages import PLANNING, WHOLE


def test_the_engine_does_every_stage_but_those_that_frame_a_run() -> None:
    frame = {"start", "report", "verdict"}

    assert [s.name for s in pipeline.STAGES] == [s.name for s in stages.STAGES if s.name not in frame]


def test_the_page_has_a_box_for_each_stage_in_the_same_order() -> None:
    assert [box.key for box in WHOLE] == [
        "preflight", "extract_source", "extract_target", "transform", "reconcile", "plan", "approve", "load",
        "verify", "report",
    ]  # fmt: skip
    assert [box.key for box in PLANNING] == [box.key for box in WHOLE[:6]]
    parts = {part for box in WHOLE for part in box.parts}
    assert {part for s in stages.members(stages.LOAD) for part in s.parts} <= parts


@pytest.mark.parametrize("stage", stages.STAGES, ids=lambda s: s.name)
def test_the_terminal_names_each_stage_as_the_table_does(stage: stages.Stage) -> None:
    assert step_name(stage.name) == stage.title


def test_a_stage_that_is_not_in_the_table_has_no_place() -> None:
    with pytest.raises(ValueError, match="no stage or group is called deploy"):
        stages.in_order(["plan", "deploy"])
