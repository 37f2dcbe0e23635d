"""The form beside the answer, as Airflow 3.3 shows and checks it."""

from __future__ import annotations

import pytest
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import ParamValidationError

from coa_airflow.gate import approval_form

pytestmark = pytest.mark.airflow


def test_each_field_has_the_help_that_airflow_s_form_shows() -> None:
    for name, param in approval_form().items():
        assert param.description, name
        # Airflow 3.3's form of a required action drops it.
        assert "description_md" not in param.schema, name


@pytest.mark.parametrize("records", [-1, 2.5, "many"])
def test_a_limit_is_a_number_of_records(records: object) -> None:
    with pytest.raises((ParamValidationError, ValueError)):
        approval_form()["standing_records"].resolve(records)


def test_it_may_be_left_as_it_is() -> None:
    assert ParamsDict(approval_form()).validate()["standing_records"] is None
