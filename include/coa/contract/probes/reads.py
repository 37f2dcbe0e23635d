"""What an org tells of itself: the package's set-up, describes, versions, limits. Nothing is written."""

from __future__ import annotations

import re
from typing import Any

from coa.contract.fact import NotAskable
from coa.contract.probe_org import ProbeOrg
from coa.contract.probes.registry import Access, probe
from coa.contract.stage import Stage
from coa.model import (
    COA_OBJECTS,
    CONTRACT,
    CUSTOMER,
    CUSTOMER_ORG_ID,
    NAMESPACE,
    ORDER,
    ORDER_TYPE,
    PACKAGE_WORKFLOWS,
    PRODUCT,
    STATUS,
    WORKFLOW_CONTRACT_KEY,
    WORKFLOW_DRAFT,
    WORKFLOW_PRICING,
    WORKFLOW_RECEIVED,
)
from coa.preflight.jobs import check_submit_jobs
from coa.preflight.probe import Probe
from coa.staging.runs import TARGET

STATUSES = frozenset({"Draft", "Submitted", "Received", "In Process", "Error", "Activated", "Provisioned"})
ORDER_TYPES = frozenset(
    {"Initial", "Add-On", "Reduction", "Cancellation Order", "Upgrade - Partner App", "Upgrade - Org Edition"}
)
PREFIXES = {
    "Account": "001",
    "Contact": "003",
    "Opportunity": "006",
    "User": "005",
    "Case": "500",
    "Task": "00T",
}


@probe("package.provisioned", Access.READ)
def contract_terms_and_catalog(org: ProbeOrg, _stage: Stage) -> str:
    found = [org.query(f"SELECT Id FROM {name} LIMIT 1") for name in (CONTRACT, PRODUCT)]
    return "present" if all(found) else "absent"


def _rules(org: ProbeOrg) -> dict[str, str]:
    """Name -> id of each managed workflow rule that the org lists."""
    listed = org.query(
        f"SELECT Id, Name FROM WorkflowRule WHERE NamespacePrefix = '{NAMESPACE}'", tooling=True
    )
    return {str(rule["Name"]): str(rule["Id"]) for rule in listed}


def _active(org: ProbeOrg, rule_id: str) -> Any:
    """What the metadata of a rule says of `active`, None if nothing;
    it can be asked for one at a time (Tooling API)."""
    found = org.query(f"SELECT Metadata FROM WorkflowRule WHERE Id = '{rule_id}'", tooling=True)
    metadata = found[0].get("Metadata") if found else None
    return metadata.get("active") if isinstance(metadata, dict) else None


@probe("package.rules-told", Access.READ)
def rules_by_the_tooling_api(org: ProbeOrg, _stage: Stage) -> str:
    rules = _rules(org)
    if not set(PACKAGE_WORKFLOWS) <= rules.keys():
        return "listed_in_part" if rules else "not_listed"
    told = [_active(org, rules[name]) for name in PACKAGE_WORKFLOWS]
    return "listed_with_state" if None not in told else "listed"


def _is_active(org: ProbeOrg, name: str) -> str:
    rule_id = _rules(org).get(name)
    active = _active(org, rule_id) if rule_id else None
    if active is None:
        raise NotAskable("the org does not say whether the rule is active")
    return "active" if active else "inactive"


@probe("package.rule.draft", Access.READ)
def rule_of_drafts(org: ProbeOrg, _stage: Stage) -> str:
    return _is_active(org, WORKFLOW_DRAFT)


@probe("package.rule.received", Access.READ)
def rule_of_received_dates(org: ProbeOrg, _stage: Stage) -> str:
    return _is_active(org, WORKFLOW_RECEIVED)


@probe("package.rule.pricing", Access.READ)
def rule_of_prices(org: ProbeOrg, _stage: Stage) -> str:
    return _is_active(org, WORKFLOW_PRICING)


@probe("package.rule.contract-key", Access.READ)
def rule_of_contract_keys(org: ProbeOrg, _stage: Stage) -> str:
    return _is_active(org, WORKFLOW_CONTRACT_KEY)


@probe("package.record-types", Access.READ)
def record_types(org: ProbeOrg, _stage: Stage) -> str:
    infos = [info for name in COA_OBJECTS for info in org.describe(name).raw.get("recordTypeInfos") or []]
    return "some" if any(not info.get("master") for info in infos) else "none"


def _compared(found: list[str], documented: frozenset[str]) -> str:
    if set(found) == documented:
        return "documented"
    return "more" if documented < set(found) else "others"


@probe("package.status-values", Access.READ)
def values_of_the_status(org: ProbeOrg, _stage: Stage) -> str:
    return _compared(org.field(ORDER, STATUS).picklist_values, STATUSES)


@probe("package.order-types", Access.READ)
def values_of_the_order_type(org: ProbeOrg, _stage: Stage) -> str:
    return _compared(org.field(ORDER, ORDER_TYPE).picklist_values, ORDER_TYPES)


@probe("package.org-id-length", Access.READ)
def length_of_org_ids(org: ProbeOrg, _stage: Stage) -> str:
    return str(org.field(CUSTOMER, CUSTOMER_ORG_ID).length)


@probe("package.submit-jobs", Access.READ)
def jobs_that_submit(org: ProbeOrg, _stage: Stage) -> str:
    """Not among the exchanges: the code of a partner's classes is nobody's business."""
    codes = {finding.code for finding in check_submit_jobs(Probe(org.org, TARGET), accepted=True)}
    if "submit_jobs" in codes:
        return "found"
    return "not_told" if "submit_jobs_not_checked" in codes else "none"


# ---- the platform ------------------------------------------------------------------------------
@probe("rest.soap-types", Access.READ)
def soap_type_of_binary_fields(org: ProbeOrg, _stage: Stage) -> str:
    found = org.describe("Attachment").field("Body")
    if found is None:
        raise NotAskable("the org shows no binary field")
    told = str(found.raw.get("soapType", ""))
    return told if re.fullmatch(r"[a-z]+:\w+", told) else "other"


@probe("rest.prefixes", Access.READ)
def prefixes_of_ids(org: ProbeOrg, _stage: Stage) -> str:
    reply = org.call("GET", "/sobjects")
    org.exchanges[-1] = org.exchanges[-1].without_answer()
    if reply.refused:
        raise NotAskable(f"the org does not list its objects: {reply.code or reply.status}")
    found = {str(one["name"]): str(one.get("keyPrefix") or "") for one in reply.body["sobjects"]}
    standard = all(found.get(name, prefix) == prefix for name, prefix in PREFIXES.items())
    custom = all(found[name][:1].isalpha() for name in COA_OBJECTS if found.get(name))
    return "as_documented" if standard and custom else "others"


@probe("rest.versions", Access.READ)
def newest_version(org: ProbeOrg, _stage: Stage) -> str:
    offered = org.org.get_json("/services/data", kind="contract")
    return "67_or_newer" if max(float(one["version"]) for one in offered) >= 67 else "older"


@probe("rest.storage-told", Access.READ)
def storage_in_limits(org: ProbeOrg, _stage: Stage) -> str:
    reply = org.call("GET", "/limits")
    org.exchanges[-1] = org.exchanges[-1].without_answer()
    return (
        "told"
        if not reply.refused and {"DataStorageMB", "FileStorageMB"} <= reply.body.keys()
        else "not_told"
    )


@probe("rest.login", Access.READ)
def login_without_a_person(org: ProbeOrg, _stage: Stage) -> str:
    connection = org.org.connection
    if connection.session_id or not connection.consumer_key:
        raise NotAskable("the connection logs in another way")
    return "works" if org.org.token.access_token else "other"
