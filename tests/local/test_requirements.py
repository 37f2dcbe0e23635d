"""pyproject.toml, the requirements and their locks say the same of the same packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
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
            if text.startswith("-r "):
                found |= pinned(text.removeprefix("-r ").strip())
            elif text and not text.startswith("#"):
                one = Requirement(text)
                found[canonicalize_name(one.name)] = next(iter(one.specifier)).version
    return found


def locked(name: str) -> dict[tuple[str, str], int]:
    """Number of hashes by package and version; some packages have a version for each of two Pythons."""
    found: dict[tuple[str, str], int] = {}
    latest = ("", "")
    for line in (PROJECT / name).read_text("utf-8").splitlines():
        if line.startswith("    --hash=sha256:"):
            found[latest] += 1
        else:
            one = Requirement(line.removesuffix("\\").strip())
            latest = (canonicalize_name(one.name), next(iter(one.specifier)).version)
            found[latest] = 0
    return found


def packages(lock: str) -> set[str]:
    return {name for name, _ in locked(lock)}


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
    asked = pinned("requirements.txt", "requirements-celery.txt", "requirements-docs.txt")
    locked = pinned("constraints.txt")

    assert {name: locked.get(name) for name in asked} == asked


def test_each_package_of_the_requirements_is_one_that_the_metadata_names() -> None:
    named = {canonicalize_name(one.name) for one in RANGES}

    assert set(pinned("requirements.txt", "requirements-celery.txt")) - named <= {"uv"}


def test_what_only_tests_use_is_no_dependency_of_the_package() -> None:
    runtime = {Requirement(text).name for text in metadata(".")["dependencies"]}

    assert not runtime & ({Requirement(text).name for text in EXTRAS["dev"]} | {"faker", "lark"})


LOCKS = {
    "requirements.lock": ("requirements.txt",),
    "requirements-deployment.lock": ("requirements-runtime.txt", "requirements-celery.txt"),
    "requirements-build.lock": ("requirements-build.txt",),
}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_a_hash_for_each_package_at_the_versions_of_the_constraints(lock: str) -> None:
    lines = (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
    constraints = {
        (canonicalize_name(o.name), next(iter(o.specifier)).version) for o in map(Requirement, lines)
    }
    found = locked(lock)

    assert [one for one, hashes in found.items() if not hashes] == []
    assert set(found) <= constraints, "make lock"
    assert set(pinned(*LOCKS[lock]).items()) <= set(found), "make lock"


def test_what_development_needs_is_in_no_image() -> None:
    development = {canonicalize_name(Requirement(text).name) for text in EXTRAS["dev"]} - OURS

    assert development <= packages("requirements.lock")
    assert development & packages("requirements-deployment.lock") == set()
    assert development & set(pinned("requirements-runtime.txt")) == set()
    assert "uv" not in packages("requirements-deployment.lock")


def test_the_environment_of_a_checkout_is_installed_by_hashes() -> None:
    script = re.sub(r"\\\n", " ", (PROJECT / "scripts" / "venv.sh").read_text("utf-8"))
    installs = [line for line in script.splitlines() if "install --" in line]

    assert len(installs) == 3
    assert all("--require-hashes" in line for line in installs)


def test_no_file_of_packages_names_a_registry() -> None:
    for name in (*LOCKS, "constraints.txt", *(one for of in LOCKS.values() for one in of)):
        text = (PROJECT / name).read_text("utf-8")
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name


def test_the_bill_of_materials_lists_the_packages_of_the_image_with_their_hashes(tmp_path: Path) -> None:
    output = tmp_path / "new" / "sbom.cdx.json"
    command = [sys.executable, "scripts/sbom.py", "requirements-deployment.lock", str(output)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    bill = json.loads(output.read_text("utf-8"))
    first = output.read_bytes()
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)

    listed = {
        (canonicalize_name(one["name"]), one["version"]): len(one["externalReferences"][0]["hashes"])
        for one in bill["components"]
    }
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert listed == locked("requirements-deployment.lock")
    assert {f"pkg:pypi/{name}@{version}" for name, version in listed} == {
        one["purl"] for one in bill["components"]
    }
    assert len({one["bom-ref"] for one in bill["components"]}) == len(listed)
    assert any(one.get("licenses") for one in bill["components"])
    assert output.read_bytes() == first
    assert "make sbom" in (PROJECT / ".ci" / "run").read_text("utf-8")
