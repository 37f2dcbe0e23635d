"""Who is measured: ours twice, what people use today, and the floor."""

from __future__ import annotations

import json
import shlex
import subprocess
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.clients import fields as of
from bench.clients.engine import PARAMS
from bench.clients.sfdmu import write_export
from bench.scene import PROJECT, Scene, python
from orgsim.launch import RunningOrg

SFDMU = "sfdmu@3.7.19"
CUMULUSCI = "cumulusci==4.10.1"
# SFDMU cannot carry the contract of a detail (see clients/sfdmu.py): without this the app refuses every detail.
CONTRACT_CHECK_OFF = {"validation_off": ["Order_must_belong_to_contract_terms"]}
PREPARED = {"legacy_ids": True}
"""The source holds its own ids in a field that both orgs have, as the peers' documentation advises."""


@dataclass(frozen=True)
class Subject:
    """A way to move the orders."""

    name: str
    title: str
    note: str
    command: Callable[[Scene], tuple[list[str], dict[str, str]]]
    """Makes everything ready (not measured); the command and its environment."""
    install: Callable[[Path], None] = lambda tools: None
    source: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    staging: bool = False
    says: str = ""
    """What its log must hold when it succeeded: not every client's exit status tells."""


def _polls(scene: Scene) -> dict[str, str]:
    if scene.own_pace:
        return {}
    gap = str(scene.poll_seconds)
    return {"COA_POLL_FIRST_SECONDS": gap, "COA_POLL_MAX_SECONDS": gap}


def _engine(scene: Scene) -> tuple[list[str], dict[str, str]]:
    arguments = (scene.source.url, scene.target.url, scene.staging_url, str(scene.folder))
    return python("-m", "bench.clients.engine", *arguments), scene.environment(**_polls(scene))


def _airflow(scene: Scene) -> tuple[list[str], dict[str, str]]:
    return python("-m", "coa_airflow.local.headless", "coa_migrate"), airflow_environment(scene)


def airflow_environment(scene: Scene) -> dict[str, str]:
    return scene.environment(
        **_polls(scene),
        COA_LOCAL_FOLDER=str(scene.tools.parent / "local"),
        COA_ARTIFACTS_PATH=str(scene.folder / "artifacts"),
        AIRFLOW_CONN_COA_SOURCE=_connection(scene.source),
        AIRFLOW_CONN_COA_TARGET=_connection(scene.target),
        AIRFLOW_CONN_COA_STAGING=scene.staging_url,
        PARAMS=json.dumps(PARAMS),
    )


def _connection(org: RunningOrg) -> str:
    extra = {"consumer_key": org.consumer_key, "consumer_secret": org.consumer_secret}
    return json.dumps({"conn_type": "salesforce", "host": org.url, "extra": extra})


def _sfdmu(scene: Scene, passes: int = 1) -> tuple[list[str], dict[str, str]]:
    calls = []
    for number in range(passes):
        folder = scene.folder / f"pass{number + 1}"
        write_export(folder, scene.source, scene.target, scene.poll_seconds, second_pass=number > 0)
        runner = PROJECT / "tests" / "clients" / "sfdmu.cjs"
        command = ["node", str(runner), str(scene.tools / "node_modules" / "sfdmu"), "sfdmu:run"]
        orgs = ["--sourceusername", "source", "--targetusername", "target", "--noprompt"]
        calls.append(shlex.join([*command, "--path", str(folder), *orgs]))
    # Node's default heap is a part of the machine's memory; SFDMU's documentation says to raise it.
    heap = {"NODE_OPTIONS": "--max-old-space-size=8192"}
    return ["sh", "-ec", "; ".join(calls)], scene.environment(**heap)


def _sfdmu_twice(scene: Scene) -> tuple[list[str], dict[str, str]]:
    return _sfdmu(scene, 2)


def _cumulusci(scene: Scene) -> tuple[list[str], dict[str, str]]:
    carried = json.dumps(of.carried(scene.source.url, scene.target.url))
    command = [
        str(scene.tools / "cumulusci" / "bin" / "python"),
        # Without -P the files beside the script would stand in for its own imports.
        "-P",
        str(PROJECT / "bench" / "clients" / "cumulusci_move.py"),
        *(scene.source.url, scene.target.url, str(scene.poll_seconds), carried),
    ]
    environment = scene.environment(CUMULUSCI_DISABLE_REFRESH="1", CUMULUSCI_DISABLE_ANALYTICS="1")
    environment.pop("PYTHONPATH")
    return command, environment


def _naive(scene: Scene) -> tuple[list[str], dict[str, str]]:
    arguments = (scene.source.url, scene.target.url, str(scene.poll_seconds), str(scene.folder))
    return python("-m", "bench.clients.naive", *arguments), scene.environment()


def _reference(scene: Scene) -> tuple[list[str], dict[str, str]]:
    arguments = (scene.source.url, scene.target.url, str(scene.poll_seconds), str(scene.folder))
    return python("-m", "bench.clients.reference", *arguments), scene.environment()


def _floor(scene: Scene) -> tuple[list[str], dict[str, str]]:
    where = (scene.source.url, scene.target.url, str(scene.folder))
    environment = scene.environment()
    subprocess.run(
        python("-m", "bench.clients.floor", "prepare", *where), env=environment, cwd=PROJECT, check=True
    )
    return python("-m", "bench.clients.floor", "move", *where, str(scene.poll_seconds)), environment


def _install_sfdmu(tools: Path) -> None:
    if not (tools / "node_modules" / "sfdmu").exists():
        (tools / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", SFDMU], cwd=tools, check=True)


def _install_cumulusci(tools: Path) -> None:
    home = tools / "cumulusci"
    if not (home / "bin" / "cci").exists():
        venv.create(home, with_pip=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "-q", CUMULUSCI], check=True)


SUBJECTS = {
    one.name: one
    for one in (
        Subject(
            "engine", "ours, engine", "one process, all checks and the proof included", _engine,
            staging=True, says="verified",
        ),
        Subject(
            "airflow", "ours, in Airflow", "`make migrate`: the DAG `coa_migrate`, headless", _airflow,
            staging=True, says="verified",
        ),
        Subject(
            "sfdmu", "SFDMU 3.7.19", "one pass, as its documentation advises; orders stay Draft", _sfdmu,
            _install_sfdmu, PREPARED, CONTRACT_CHECK_OFF, says="Command succeeded",
        ),
        Subject(
            "sfdmu2", "SFDMU, two passes", "a second run sets status and received date", _sfdmu_twice,
            _install_sfdmu, PREPARED, CONTRACT_CHECK_OFF, says="Command succeeded",
        ),
        Subject(
            "cumulusci", "CumulusCI 4.10.1", "extract and load by Bulk API, a last step sets status and date",
            _cumulusci, _install_cumulusci, PREPARED,
        ),
        Subject(
            "naive", "simple-salesforce script", "bulk2; second pass sets status, date and clone link", _naive,
            source=PREPARED,
        ),
        Subject(
            "reference", "smallest correct load", "in memory, no proof, no crash safety; all right at the end",
            _reference,
        ),
        Subject(
            "floor", "floor: curl", "the same records down and up once, no work done", _floor, source=PREPARED,
        ),
    )
}  # fmt: skip
