"""Which files a mapping may be read from, by whose word; and that a fault says nothing of what stands in them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from traceback import format_exception

import pytest

from coa.errors import InvalidParams
from coa.mapping.file import read_mapping
from coa.mapping.model import Mapping
from coa.mapping.place import NamedBy, place_for
from coa.mapping.store import _Read
from coa_airflow.environment import HEADLESS
from coa_airflow.tasks import _named_by

RULES = "def tidy(desired, source):\n    return desired\n"
WITH_RULES = "custom: {Service_Order__c: 'rules.py:tidy'}\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with its own folder of mappings, and files elsewhere."""
    for name in (
        "COA_MAPPING",
        "COA_MAPPING_FOLDER",
        "COA_CUSTOM_RULES",
        "AIRFLOW_VAR_COA_MAPPING",
        HEADLESS,
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("coa.mapping.place.project_folder", lambda: tmp_path / "project")
    for folder in ("project/mappings/team", "elsewhere", "shared"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "m.yaml").write_text("owners: {a: b}\n")
        (tmp_path / folder / "rules.py").write_text(RULES)
        (tmp_path / folder / "custom.yaml").write_text(WITH_RULES)
    return tmp_path


def read(path: str, named_by: NamedBy) -> Mapping:
    return read_mapping(path, place_for(path, named_by))[0]


# ---- by whose word ---------------------------------------------------------------------------------
def test_what_the_deployment_names_is_read_as_it_is(project: Path) -> None:
    assert read(str(project / "elsewhere/m.yaml"), NamedBy.DEPLOYMENT).owners == {"a": "b"}


@pytest.mark.parametrize(
    "path", ["team/m.yaml", "{project}/project/mappings/team/m.yaml", "team/../team/m.yaml"]
)
def test_what_a_form_names_lies_below_the_projects_mappings(project: Path, path: str) -> None:
    assert read(path.format(project=project), NamedBy.AIRFLOW).owners == {"a": "b"}


@pytest.mark.parametrize(
    "path",
    [
        "{project}/elsewhere/m.yaml",
        "../../elsewhere/m.yaml",
        "/etc/passwd",
        "link.yaml",
        "~/m.yaml",
        "/dev/zero",
    ],
)
def test_nothing_else_is_opened_for_whoever_triggers(project: Path, path: str) -> None:
    (project / "project/mappings/link.yaml").symlink_to(project / "elsewhere/m.yaml")

    with pytest.raises(InvalidParams) as refused:
        read(path.format(project=project), NamedBy.AIRFLOW)
    assert (
        "is not in a folder from which" in refused.value.message or "cannot be read" in refused.value.message
    )


def test_the_file_that_the_deployment_names_may_be_named_by_anybody(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_MAPPING", str(project / "elsewhere/m.yaml"))

    assert read(str(project / "elsewhere/m.yaml"), NamedBy.AIRFLOW).owners == {"a": "b"}


@pytest.mark.parametrize("named_by", NamedBy)
def test_with_a_folder_everything_lies_below_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, named_by: NamedBy
) -> None:
    monkeypatch.setenv("COA_MAPPING_FOLDER", str(project / "shared"))
    monkeypatch.setenv("COA_MAPPING", str(project / "elsewhere/m.yaml"))

    assert read("m.yaml", named_by).owners == {"a": "b"}
    for outside in (project / "elsewhere/m.yaml", project / "project/mappings/team/m.yaml"):
        with pytest.raises(InvalidParams, match="is not in a folder from which this deployment reads"):
            read(str(outside), named_by)


def test_what_the_file_names_lies_there_as_well(project: Path) -> None:
    (project / "elsewhere/owners.csv").write_text("source,target\na,b\n")
    (project / "elsewhere/listed.yaml").write_text("owners_file: owners.csv\n")
    (project / "project/mappings/listed.yaml").write_text("owners_file: ../../elsewhere/owners.csv\n")

    assert read(str(project / "elsewhere/listed.yaml"), NamedBy.DEPLOYMENT).owners == {"a": "b"}
    with pytest.raises(InvalidParams, match="line 1, column 14: owners_file is not in a folder from which"):
        read("listed.yaml", NamedBy.AIRFLOW)


def test_a_folder_that_is_none_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_MAPPING_FOLDER", str(project / "nowhere"))

    with pytest.raises(InvalidParams, match="COA_MAPPING_FOLDER does not name a folder"):
        read("m.yaml", NamedBy.DEPLOYMENT)


# ---- code ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("word", ["", "false"])
def test_code_is_named_in_vain_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", word)

    with pytest.raises(InvalidParams, match=r"column 28: custom rules are code, .* COA_CUSTOM_RULES is true"):
        read("team/custom.yaml", NamedBy.AIRFLOW)


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "yes please")

    with pytest.raises(InvalidParams, match="set it to true or false"):
        read("team/m.yaml", NamedBy.AIRFLOW)


def test_code_is_read_only_below_the_folder_whoever_names_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "true")

    (rule,) = read("team/custom.yaml", NamedBy.AIRFLOW).custom.values()
    assert (rule.path, rule.function, rule.code) == ("rules.py", "tidy", RULES)
    with pytest.raises(InvalidParams, match="the module of a custom rule is not in a folder from which"):
        read(str(project / "elsewhere/custom.yaml"), NamedBy.DEPLOYMENT)
    monkeypatch.setenv("COA_MAPPING_FOLDER", str(project / "elsewhere"))
    assert read("custom.yaml", NamedBy.DEPLOYMENT).custom


def test_the_hash_covers_the_module_and_not_where_it_lies(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "true")

    def digest(folder: str) -> str:
        where = project / "project/mappings" / folder / "custom.yaml"
        mapping, text = read_mapping(str(where), place_for(str(where), NamedBy.AIRFLOW))
        return _Read(str(where), text, mapping).sha256

    (project / "project/mappings/copy").mkdir()
    for name in ("custom.yaml", "rules.py"):
        (project / "project/mappings/copy" / name).write_text(
            (project / "project/mappings/team" / name).read_text()
        )
    before = digest("team")
    assert digest("copy") == before
    (project / "project/mappings/copy/rules.py").write_text(RULES + "# another\n")
    assert digest("copy") != before


# ---- whose word it is in a task ----------------------------------------------------------------------
def test_a_form_and_a_variable_are_anybodys_the_environment_is_the_deployments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _named_by("/a", "/a") is NamedBy.AIRFLOW
    assert _named_by("/a", "") is NamedBy.AIRFLOW
    for name in ("COA_MAPPING", "AIRFLOW_VAR_COA_MAPPING"):
        with monkeypatch.context() as said:
            said.setenv(name, "/a")
            assert _named_by("/a", "") is NamedBy.DEPLOYMENT
            assert _named_by("/b", "/b") is NamedBy.AIRFLOW


def test_params_of_a_headless_run_are_those_of_its_user_and_its_variables_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(HEADLESS, "token")

    assert _named_by("/a", "/a") is NamedBy.DEPLOYMENT
    assert _named_by("/a", "") is NamedBy.AIRFLOW


# ---- hostile files -----------------------------------------------------------------------------------
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(n + 1)}: &{chr(n + 1)} [{', '.join(['*' + chr(n)] * 10)}]\n" for n in range(ord("a"), ord("j"))
)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "an alias bomb": (BOMB.encode(), "more than 500,000 entries"),
    "an alias of itself": (
        b"owners: &a\n  x: *a\n",
        "line 2, column 6: an alias of something that contains it",
    ),
    "deep flow": (b"[" * 100_000, "line 1, column 21: more than 20 levels"),
    "deep blocks": (b"- " * 5_000, "more than 20 levels"),
    "no end": (b"x" * 5_000_001, "it is larger than 5,000,000 bytes"),
    "no text": (b"\xff\xfe\x00", "is not UTF-8 text"),
    "a character": (b"a: b\nc: \x07\n", "line 2, column 4: a character that YAML does not allow"),
    "two documents": (b"---\na: b\n---\nc: d\n", "is not valid YAML: line 3, column 1"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_costs_little_and_ends_in_a_sentence(project: Path, kind: str) -> None:
    content, said = HOSTILE[kind]
    (project / "project/mappings/h.yaml").write_bytes(content)

    with pytest.raises(InvalidParams) as refused:
        read("h.yaml", NamedBy.AIRFLOW)
    assert said in refused.value.message
    assert len(refused.value.message) < 400


def test_a_pipe_is_not_waited_for(project: Path) -> None:
    os.mkfifo(project / "project/mappings/pipe.yaml")

    with pytest.raises(InvalidParams, match="it is not a regular file"):
        read("pipe.yaml", NamedBy.AIRFLOW)


SECRET = "hunter2hunter2"
QUOTING: dict[str, str] = {
    "passwd": f"root:x:0:0:{SECRET}:/root:/bin/sh\n",
    "a key": f"{SECRET}: x\n",
    "an alias": f"owners: *{SECRET}\n",
    "an escape": f'owners: "{SECRET}\\q"\n',
    "a tag": f"owners: !{SECRET}!x y\n",
    "an anchor twice": f"a: &{SECRET} x\nb: &{SECRET} y\n",
    "a directive": f"%{SECRET} 1\n---\na: b\n",
    "text for pairs": f"owners: {SECRET}\n",
    "a list for pairs": f"owners: [{SECRET}]\n",
    "a key twice": f"owners:\n  {SECRET}: a\n  {SECRET}: b\n",
    "an object": f"fields: {{{SECRET}: {{}}}}\n",
    "an object that is none": f"lookups: {{'{SECRET} x': A}}\n",
    "a rule": f"fields: {{Service_Order__c: {{{SECRET}: {SECRET}}}}}\n",
    "a rule's key": f"fields: {{Service_Order__c: {{{SECRET}: {{{SECRET}: 1}}}}}}\n",
    "a flag": f"fields: {{Service_Order__c: {{{SECRET}: {{drop: {SECRET}}}}}}}\n",
    "a field": f"fields: {{Service_Order__c: {{{SECRET}: {{source: '{SECRET} x'}}}}}}\n",
    "an empty value": f"contracts: {{{SECRET}: }}\n",
    "nested": f"contracts: {{{SECRET}: {{{SECRET}: x}}}}\n",
    "a lookup": f"lookups: {{Account: '{SECRET} x'}}\n",
    "an id": f"records: {{Account: {{{SECRET}: {SECRET}}}}}\n",
    "an id field": f"id_fields: {{Service_Order__c: {{{SECRET}: '{SECRET} x'}}}}\n",
    "a decision": f"duplicates: {{{SECRET}: {SECRET}}}\n",
    "a condition": f"orders_where: Name = {SECRET} LIMIT '{SECRET}\n",
    "a condition's character": f"orders_where: 'Name # {SECRET}'\n",
    "a list of owners": f"owners_file: {SECRET}.csv\n",
    "a row of owners": "owners_file: owners.csv\n",
    "a rule that is none": f"custom: {{Service_Order__c: '{SECRET}'}}\n",
    "a module": f"custom: {{Service_Order__c: '{SECRET}.py:f'}}\n",
    "a broken module": "custom: {Service_Order__c: 'secret.py:f'}\n",
    "a function": f"custom: {{Service_Order__c: 'rules.py:{SECRET}'}}\n",
    "a version": f"version: {SECRET}\n",
}


@pytest.mark.parametrize("kind", QUOTING)
def test_no_fault_repeats_what_stands_in_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "true")
    folder = project / "project/mappings"
    (folder / "q.yaml").write_text(QUOTING[kind])
    (folder / "owners.csv").write_text(f"source,target\n{SECRET}\n")
    (folder / "secret.py").write_text(f"def f({SECRET}:\n")
    (folder / "rules.py").write_text(RULES)

    with pytest.raises(InvalidParams) as refused:
        read("q.yaml", NamedBy.AIRFLOW)

    assert SECRET not in str(refused.value)
    assert SECRET not in "".join(format_exception(refused.value))
    assert re.search(r"line \d+, column \d+: ", refused.value.message)


def test_aliases_that_are_few_are_welcome(project: Path) -> None:
    (project / "project/mappings/a.yaml").write_text(
        "fields:\n  Service_Order__c: {A__c: &rule {default: x}, B__c: *rule}\n"
    )

    rules = read("a.yaml", NamedBy.AIRFLOW).fields["CHANNEL_ORDERS__Service_Order__c"]
    assert rules["A__c"] == rules["B__c"]


def test_many_faults_are_told_in_part(project: Path) -> None:
    (project / "project/mappings/f.yaml").write_text("".join(f"k{n}: x\n" for n in range(200)))

    with pytest.raises(InvalidParams, match="; 150 more") as refused:
        read("f.yaml", NamedBy.AIRFLOW)
    assert refused.value.message.count("line ") == 50
