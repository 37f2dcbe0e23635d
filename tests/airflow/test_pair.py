"""Which connections a run uses: named by its DAG, chosen in its params, and the same ones to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.airflow.conftest import LENIENT, Stage, connection_to, read_dags
from tests.airflow.test_migrate import left_out, note_of
from tests.engine.checker import check

from coa.errors import ConfigurationError, InvalidParams
from coa.kinds import KINDS
from coa_airflow.pair import Pair, allowed, chosen

NAMED = Pair().params()


class TestRules:
    def test_without_a_choice_a_run_uses_what_its_dag_names(self) -> None:
        assert chosen({}, NAMED) == {"source_conn_id": "coa_source", "target_conn_id": "coa_target"}
        assert chosen({"source_conn_id": ""}, {"source_conn_id": "emea"}) == {"source_conn_id": "emea"}

    def test_others_are_those_that_the_deployment_lists(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COA_CONNECTIONS", " emea_pbo, global_pbo,,coa_source")

        assert allowed("coa_source") == ["coa_source", "emea_pbo", "global_pbo"]
        assert chosen({"source_conn_id": "emea_pbo"}, NAMED)["source_conn_id"] == "emea_pbo"

    @pytest.mark.parametrize(
        ("raw", "says"),
        [
            (
                {"target_conn_id": "billing_db"},
                "target_conn_id is 'billing_db', which is not one of coa_target, emea_pbo",
            ),
            ({"source_conn_id": ["coa_source"]}, "source_conn_id is \"['coa_source']\""),
            # A migration the other way round, by a slip.
            (
                {"source_conn_id": "coa_target"},
                "source_conn_id is 'coa_target', which is not one of coa_source",
            ),
            (
                {"source_conn_id": "emea_pbo", "target_conn_id": "emea_pbo"},
                "source_conn_id and target_conn_id are both 'emea_pbo'",
            ),
        ],
    )
    def test_anything_else_is_refused_with_the_param_and_what_it_may_be(
        self, monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any], says: str
    ) -> None:
        monkeypatch.setenv("COA_CONNECTIONS", "emea_pbo")

        with pytest.raises(InvalidParams) as refusal:
            chosen(raw, NAMED)

        assert says in refusal.value.message
        assert "COA_CONNECTIONS" in refusal.value.next_step

    def test_a_dag_without_a_param_does_not_take_it(self) -> None:
        with pytest.raises(InvalidParams, match="source_conn_id is not a param of this DAG"):
            chosen({"source_conn_id": "emea"}, Pair().params("target_conn_id"))

    @pytest.mark.parametrize("names", [("one", "one"), ("", "two"), ("one", "two/three")])
    def test_a_dag_cannot_name_what_is_no_pair(self, names: tuple[str, str]) -> None:
        with pytest.raises(ConfigurationError):
            Pair(*names)


@pytest.fixture
def elsewhere(stage: Stage) -> Stage:
    """A stage whose orgs are behind two other connections, and nothing behind the usual ones."""
    for role, org in (("source", stage.source), ("target", stage.target)):
        stage.environment.delenv(f"AIRFLOW_CONN_COA_{role.upper()}")
        stage.environment.setenv(f"AIRFLOW_CONN_EMEA_{role.upper()}", connection_to(org))
    return stage


@pytest.mark.airflow
class TestRuns:
    @pytest.mark.lane
    def test_all_tasks_and_the_triggerer_use_the_connections_that_were_chosen(self, elsewhere: Stage) -> None:
        elsewhere.environment.setenv("COA_CONNECTIONS", "emea_source,emea_target")
        # Each wait is handed over.
        elsewhere.environment.delenv("COA_HEADLESS")
        elsewhere.environment.setenv("COA_HOLD_WORKER_SECONDS", "0")
        for org in (elsewhere.source, elsewhere.target):
            org.control("PATCH", "settings", {"job_delay": 0.2})

        run = elsewhere.migrate(source_conn_id="emea_source", target_conn_id="emea_target")
        later = elsewhere.run("coa_verify", source_conn_id="emea_source", target_conn_id="emea_target")
        undone = elsewhere.run(
            "coa_rollback", run_id=run.row["run_id"], require_approval=False, target_conn_id="emea_target"
        )

        assert (run.state, run.airflow_state) == ("verified", "success"), run.message
        handed_over = elsewhere.database.value(
            "SELECT count(*) FROM coa.event WHERE event = 'wait_handed_over' AND run_id = %s",
            [run.row["run_id"]],
        )
        assert handed_over
        assert run.row["params"]["target_conn_id"] == "emea_target"
        assert later.state == "verified", later.message
        assert undone.state == "verified", undone.message
        assert {one.airflow_state for one in (run, later, undone)} == {"success"}
        assert " deleted" in note_of(undone.row["airflow_run_id"])
        assert not elsewhere.target.count(
            "SELECT COUNT() FROM CHANNEL_ORDERS__Service_Order__c WHERE COA_Source_Id__c != null"
        )

    def test_the_form_refuses_a_connection_that_is_not_allowed_before_there_is_a_run(
        self, stage: Stage
    ) -> None:
        from airflow.sdk.exceptions import ParamValidationError

        with pytest.raises(
            ParamValidationError, match=r"target_conn_id: 'billing_db' is not one of \['coa_target'\]"
        ):
            stage.migrate(target_conn_id="billing_db")

        assert stage.database.value("SELECT count(*) FROM coa.run") == 0

    @pytest.mark.lane
    def test_the_task_refuses_it_too_and_there_is_no_run_that_could_use_it(self, stage: Stage) -> None:
        """As when the process that reads the DAGs has another COA_CONNECTIONS than the workers."""
        from coa_airflow import params

        stage.environment.setattr(params, "allowed", lambda named: [named, "billing_db"])

        ended = read_dags().get_dag("coa_migrate").test(run_conf={**LENIENT, "target_conn_id": "billing_db"})

        tasks = {ti.task_id: ti.state for ti in ended.get_task_instances()}
        assert (tasks["start"], tasks["preflight"]) == ("failed", "upstream_failed")
        assert stage.database.value("SELECT count(*) FROM coa.run") == 0

    @pytest.mark.lane
    def test_a_file_of_two_lines_makes_dags_for_another_pair(self, elsewhere: Stage, tmp_path: Path) -> None:
        from airflow.dag_processing.dagbag import DagBag

        (tmp_path / "emea.py").write_text(
            "from coa_airflow import migration_dags\n"
            "migration_dags(source_conn_id='emea_source', target_conn_id='emea_target', prefix='emea', team='pm')\n"
        )

        # `dag.test()` stores what is in a bundle.
        bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
        elsewhere.environment.setenv(
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
            json.dumps([{"name": "emea", "classpath": bundle, "kwargs": {"path": str(tmp_path)}}]),
        )

        bag = DagBag(tmp_path)
        run = bag.get_dag("emea_migrate").test(run_conf=LENIENT)

        assert bag.import_errors == {}
        assert sorted(bag.dags) == [f"emea_{kind}" for kind in sorted(KINDS)]
        row = elsewhere.database.row("SELECT * FROM coa.run WHERE airflow_run_id = %s", [run.run_id])
        assert row is not None
        assert (row["dag_id"], row["state"]) == ("emea_migrate", "verified"), row["message"]
        assert check(elsewhere.source, elsewhere.target, left_out(elsewhere, row["run_id"])).clean
        assert note_of(run.run_id).startswith("verified")
