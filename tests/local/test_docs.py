"""The documentation says what is there: links lead somewhere, commands and settings exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coa.config import Settings
from coa.config.settings import DEPLOYMENT, ENGINE, explained, variable

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


def test_the_page_of_settings_is_what_the_model_says() -> None:
    page = (PROJECT / "docs/settings.md").read_text("utf-8")
    for table in (ENGINE, DEPLOYMENT):
        section = page.split(f"## {table}\n")[1].split("\n## ")[0]
        listed = re.findall(r"^\| `COA_.*", section, re.M)

        assert listed == [row(name) for name in Settings.model_fields if explained(name).table == table]


def row(name: str) -> str:
    """A setting as docs/settings.md lists it."""
    default = Settings.model_fields[name].default
    shown = explained(name).shown or (
        f"`{str(default).lower()}`"
        if isinstance(default, bool)
        else f"{default:.10g}"
        if isinstance(default, (int, float))
        else default
    )
    return f"| `{variable(name)}` | {shown} | {explained(name).text} |"


def test_each_picture_is_shown_and_small() -> None:
    pictures = {path.name: path.stat().st_size for path in (PROJECT / "docs/images").glob("*")}
    shown = {
        name
        for page in (PROJECT / "docs").glob("*.md")
        for name in re.findall(r"!\[[^]]+\]\(images/([^)]+)\)", page.read_text("utf-8"))
    }

    assert set(pictures) == shown
    assert [name for name, size in pictures.items() if size > 150_000] == []


def test_the_sites_menu_has_every_page() -> None:
    """The site is built strictly: a page that is in no menu ends the build."""
    menu = set(re.findall(r": ([a-z/-]+\.md)$", (PROJECT / "mkdocs.yml").read_text("utf-8"), re.M))

    assert {page.name for page in (PROJECT / "docs").glob("*.md")} <= menu
