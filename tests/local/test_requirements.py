"""pyproject.toml, requirements.txt and constraints.txt say the same of the same packages."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
OURS = {"coa-migration", "coa-orgsim"}


def metadata(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((PROJECT / folder / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def pinned(*names: str) -> dict[str, str]:
    """Versions by package, of lines `name[extra]==version; marker  # reason`."""
    found: dict[str, str] = {}
    for name in names:
        for line in (PROJECT / name).read_text("utf-8").splitlines():
            text = line.split(" #")[0].strip()
            if text and not text.startswith("#"):
                one = Requirement(text)
                found[canonicalize_name(one.name)] = next(iter(one.specifier)).version
    return found


EXTRAS = metadata(".")["optional-dependencies"]
RANGES = [
    Requirement(text)
    for text in [
        *metadata(".")["dependencies"],
        *metadata("include/orgsim")["dependencies"],
        *(text for extra in EXTRAS.values() for text in extra),
    ]
]


@pytest.mark.parametrize("wanted", [one for one in RANGES if one.name not in OURS], ids=str)
def test_the_version_that_is_tested_lies_in_the_range_that_is_promised(wanted: Requirement) -> None:
    version = pinned("constraints.txt").get(canonicalize_name(wanted.name))

    assert version is not None, "not in constraints.txt: make lock"
    assert wanted.specifier.contains(version), version


def test_the_lock_holds_what_the_requirements_ask_for() -> None:
    asked = pinned("requirements.txt", "requirements-celery.txt")
    locked = pinned("constraints.txt")

    assert {name: locked.get(name) for name in asked} == asked


def test_each_package_of_the_requirements_is_one_that_the_metadata_names() -> None:
    named = {canonicalize_name(one.name) for one in RANGES}

    assert set(pinned("requirements.txt", "requirements-celery.txt")) - named <= {"uv"}


def test_what_only_tests_use_is_no_dependency_of_the_package() -> None:
    runtime = {Requirement(text).name for text in metadata(".")["dependencies"]}

    assert not runtime & ({Requirement(text).name for text in EXTRAS["dev"]} | {"faker", "lark"})
