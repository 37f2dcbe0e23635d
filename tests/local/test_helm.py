"""deploy/helm/values.yaml: what can be checked without the chart, and with it where helm is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import jsonschema
import pytest
import yaml
from tests.airflow_home import PROJECT  # before Airflow is imported
from tests.local.test_requirements import pinned

from coa.config.settings import Reader, Settings, explained, variable

FILE = PROJECT / "deploy/helm/values.yaml"


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return read


def test_the_chart_would_take_each_value(values: dict[str, Any]) -> None:
    """By what the chart's JSON schema demands of these values; the file names its source."""
    schema = json.loads((FILE.parent / "values.schema.json").read_text("utf-8"))

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError, match="secretName"):
        jsonschema.validate({**values, "secret": [{"envName": "AIRFLOW_CONN_COA_SOURCE"}]}, schema)


def test_it_asks_for_the_airflow_that_is_locked(values: dict[str, Any]) -> None:
    assert values["airflowVersion"] == pinned("constraints.txt")["apache-airflow"]


def test_each_of_its_variables_is_one_that_the_code_reads(values: dict[str, Any]) -> None:
    code = "\n".join(path.read_text("utf-8") for path in (PROJECT / "include").rglob("*.py"))
    engine = {variable(name) for name in Settings.model_fields}

    for name in [one["name"] for one in values["env"]] + [one["envName"] for one in values["secret"]]:
        ours = name.removeprefix("AIRFLOW_CONN_")
        assert name in engine or ours in code or ours.lower() in code, name


def test_every_setting_reaches_every_component_by_one_config_map(values: dict[str, Any]) -> None:
    """`extraEnvFrom` of the chart is for every container of Airflow, the pods of tasks among them."""
    read = [name for name in Settings.model_fields if set(explained(name).read_by) != {Reader.COMMAND}]
    here = {one["name"] for one in values["env"]}
    sources = yaml.safe_load(values["extraEnvFrom"])

    assert {variable(name) for name in read} - here
    assert sources == [{"configMapRef": {"name": "coa-settings", "optional": True}}]


def test_the_keys_of_evidence_and_masking_can_be_mounted(values: dict[str, Any]) -> None:
    comments = FILE.read_text("utf-8").split("volumeMounts:")[0]
    keys = ("key.pem", "masking.key")

    for volume, mount, key in zip(values["volumes"], values["volumeMounts"], keys, strict=True):
        assert volume["name"] == mount["name"]
        assert volume["secret"]["optional"] is True
        assert mount["readOnly"] is True
        assert f"{mount['mountPath']}/{key}" in comments


def test_no_secret_stands_in_it(values: dict[str, Any]) -> None:
    assert not [one for one in values["env"] if "CONN" in one["name"] or "KEY" in one["name"]]
    assert all(set(one) == {"envName", "secretName", "secretKey"} for one in values["secret"])


def test_the_airflow_settings_exist(values: dict[str, Any]) -> None:
    from airflow.configuration import conf

    for section, settings in values["config"].items():
        for name in settings:
            assert conf.has_option(section, name), f"[{section}] {name}"


@pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed")
def test_the_chart_takes_it() -> None:
    chart = ["--repo", "https://airflow.apache.org", "airflow"]

    rendered = subprocess.run(
        ["helm", "template", "coa", *chart, "-f", str(FILE)], capture_output=True, text=True, check=False
    )

    assert rendered.returncode == 0, rendered.stderr
    assert "AIRFLOW_CONN_COA_STAGING" in rendered.stdout
