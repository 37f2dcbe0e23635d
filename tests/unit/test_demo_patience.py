"""How long `make demo` watches: a person may think for as long as the gate waits."""

from __future__ import annotations

from coa_airflow.local.demo import Patience


def test_the_time_in_which_a_person_thinks_does_not_count() -> None:
    patience = Patience(1800)

    assert patience.lasts(0, paused=False)
    assert patience.lasts(1000, paused=False)
    assert patience.lasts(90_000, paused=True)
    assert patience.lasts(90_700, paused=False)
    assert not patience.lasts(90_801, paused=False)
