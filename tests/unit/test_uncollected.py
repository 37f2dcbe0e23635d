"""Imports without the collector."""

from __future__ import annotations

import gc

import pytest

from coa_airflow.local.imports import uncollected


def test_nothing_is_collected_inside_and_what_was_made_there_is_left_alone_after() -> None:
    before = gc.get_freeze_count()
    try:
        with uncollected():
            assert not gc.isenabled()
            made: list[list[int]] = [[] for _ in range(1000)]

        assert gc.isenabled()
        assert gc.get_freeze_count() - before >= len(made)
    finally:
        gc.unfreeze()


def test_a_failed_import_leaves_the_collector_on() -> None:
    try:
        with pytest.raises(ImportError), uncollected():
            raise ImportError("no such module")

        assert gc.isenabled()
    finally:
        gc.unfreeze()
