"""The documentation says what is there: links lead somewhere, commands and settings exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md"), *(PROJECT / "include").glob("*/README.md")]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROJECT)))
def test_each_relative_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROJECT)))
def test_each_make_command_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.M))

    named = set(
        re.findall(r"(?:^|`|')(?:[A-Z_]+=\S+ )*make ((?!PYTHON)[a-z-]+)", page.read_text("utf-8"), re.M)
    )

    assert named <= targets, named - targets


def test_each_test_that_is_named_exists() -> None:
    named = re.findall(r"`(\w+/\w+\.py)?(?:::(\w+))?`", (PROJECT / "docs/faults-found.md").read_text("utf-8"))
    assert named
    file = ""
    for other, test in named:
        # A second test of the same file stands without it.
        file = other or file
        assert not test or f"def {test}(" in (PROJECT / "tests" / file).read_text("utf-8"), f"{file}::{test}"


def test_each_setting_of_the_environment_that_is_named_is_read_somewhere() -> None:
    code = "\n".join(
        path.read_text("utf-8")
        for path in [
            *(PROJECT / "include").rglob("*.py"),
            PROJECT / "docker-compose.yaml",
            PROJECT / "Makefile",
        ]
    )

    for page in PAGES:
        for name in set(re.findall(r"\b(COA_[A-Z][A-Z_]+[A-Z])\b(?!__c)", page.read_text("utf-8"))):
            known = name in code or name.removeprefix("COA_").lower() in code
            assert known, f"{page.name}: {name}"


def test_the_page_of_settings_lists_each_setting_of_the_engine_with_its_default() -> None:
    from dataclasses import fields

    from coa.config import Settings

    page = (PROJECT / "docs/settings.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `(COA_[A-Z_]+)` \| ([^ |]+) \|", page, re.M))

    for one in fields(Settings):
        if one.name == "newest_api_version":
            continue
        stated = listed["COA_" + one.name.upper()]
        assert stated == str(one.default) or float(stated) == float(str(one.default)), one.name


def test_the_sites_menu_has_every_page() -> None:
    """The site is built strictly: a page that is in no menu ends the build."""
    menu = set(re.findall(r": ([a-z/-]+\.md)$", (PROJECT / "mkdocs.yml").read_text("utf-8"), re.M))

    assert {page.name for page in (PROJECT / "docs").glob("*.md")} <= menu
