"""The fields are deployed and assigned; what cannot be is named, and nothing is half done."""

from __future__ import annotations

import pytest

from coa.errors import ConfigurationError, OrgRefused, OrgUnavailable, WrongOrg
from coa.salesforce import metadata
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.target_fields.setup import require_no_source, set_up, steps
from coa.target_fields.state import look
from orgsim.launch import RunningOrg, running_org
from tests.engine.harness import FAST, connection_to
from tests.target_fields.conftest import FOLDER


def test_what_is_missing_is_deployed_and_assigned_and_then_there_is_nothing_to_do(org: Org) -> None:
    before = look(org)
    assert len(steps(before)) == 5  # three objects, the permission set, its assignment

    deployed = set_up(org, before, FOLDER)

    assert deployed is not None
    assert sum(one.created for one in deployed.components) == 10
    after = look(org)
    assert (steps(after), len(after.seen), after.findings) == ([], 9, [])


def test_a_user_who_lost_the_permission_set_gets_it_again_without_a_deployment(
    bare: RunningOrg, org: Org
) -> None:
    set_up(org, look(org), FOLDER)
    state = look(org)
    org.request(
        "DELETE",
        f"{org.data_path}/sobjects/PermissionSetAssignment/{state.assignments[state.user_id]}",
        kind="rest_write",
        safe=True,
    )

    set_up(org, look(org), FOLDER)

    assert steps(look(org)) == []


def test_an_answer_that_was_lost_leads_to_the_same_end(bare: RunningOrg, org: Org) -> None:
    state = look(org)
    for path in ("deployRequest$", "PermissionSetAssignment$"):
        bare.control("POST", "faults", {"kind": "reset_after", "method": "POST", "path": path, "times": 1})

    set_up(org, state, FOLDER)

    assert steps(look(org)) == []


def test_a_field_of_another_type_is_named_before_anything_is_sent(bare: RunningOrg, org: Org) -> None:
    set_up(org, look(org), FOLDER)
    bare.control("POST", "fields", {"field": "Service_Order__c.COA_Source_Number__c", "type": "datetime"})

    with pytest.raises(
        ConfigurationError, match=r"Service_Order__c\.COA_Source_Number__c .* has to be string"
    ):
        steps(look(org))


def test_a_component_that_the_org_refuses_is_named_with_its_reason(bare: RunningOrg, org: Org) -> None:
    state = look(org)
    set_up(org, state, FOLDER)
    bare.control("POST", "fields", {"field": "Service_Order__c.COA_Source_Number__c", "type": "datetime"})

    with pytest.raises(
        ConfigurationError, match="COA_Source_Number__c: Cannot change type of field"
    ) as failed:
        set_up(org, state, FOLDER)
    assert "Deployment Status" in failed.value.next_step


def test_a_user_who_may_not_deploy_is_told_which_permission_it_takes(bare: RunningOrg, org: Org) -> None:
    bare.control("PATCH", "settings", {"metadata_api": False})

    with pytest.raises(OrgRefused) as refused:
        set_up(org, look(org), FOLDER)

    assert "Modify Metadata Through Metadata API Functions" in refused.value.next_step


def test_the_wait_for_a_deployment_has_an_end(bare: RunningOrg, org: Org) -> None:
    bare.control("PATCH", "settings", {"hold_jobs": True})

    with pytest.raises(OrgUnavailable, match="the org says InProgress") as late:
        metadata.deploy(org, b"no zip", most_seconds=0.1)

    assert "again" in late.value.next_step


def test_nothing_goes_to_a_source_nor_to_another_org_than_was_looked_at(
    database: Database, org: Org, bare: RunningOrg
) -> None:
    state = look(org)
    require_no_source(database, state.org_id, ["00D000000000001EAA"])
    with pytest.raises(ConfigurationError, match="an org that orders are moved from"):
        require_no_source(database, state.org_id, [state.org_id])
    database.execute(
        "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, '00D000000000002EAA')",
        [state.org_id],
    )
    with pytest.raises(ConfigurationError, match="an org that orders are moved from"):
        require_no_source(database, state.org_id, [])

    with running_org(role="target", orders=0, seed=8, migration_fields=False) as other:
        elsewhere = Org(connection_to(other, "coa_target"), FAST)
        with pytest.raises(WrongOrg):
            set_up(elsewhere, state, FOLDER)
        assert other.count("SELECT COUNT() FROM PermissionSet WHERE Name = 'COA_Migration'") == 0
