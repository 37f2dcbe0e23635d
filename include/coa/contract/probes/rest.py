"""How REST answers."""

from __future__ import annotations

from coa.contract.fact import NotAskable
from coa.contract.probe_org import ProbeOrg
from coa.contract.probes.registry import Access, probe
from coa.contract.stage import Stage
from coa.errors import AllowanceUsedUp
from coa.model import CUSTOMER, DETAIL, NS, ORDER
from coa.salesforce.composite import MOST_QUERIES, MOST_REQUESTS

NAME = NS + "Customer_Company_Name__c"
COUNT_USERS = ("GET", "/query?q=SELECT+COUNT()+FROM+User")
DESCRIBE = ("GET", "/sobjects/User")


def _takes(org: ProbeOrg, *requests: tuple[str, str]) -> bool:
    try:
        answers = org.together(*requests)
    except (NotAskable, AllowanceUsedUp):
        # The code of such a refusal has LIMIT_EXCEEDED in it, as those of used-up allowances have.
        return False
    return all(status == 200 for status, _ in answers)


@probe("rest.composite.requests", Access.READ)
def most_subrequests(org: ProbeOrg, _stage: Stage) -> str:
    if not _takes(org, *[DESCRIBE] * MOST_REQUESTS):
        return "fewer"
    return "more" if _takes(org, *[DESCRIBE] * (MOST_REQUESTS + 1)) else str(MOST_REQUESTS)


@probe("rest.composite.queries", Access.READ)
def most_queries(org: ProbeOrg, _stage: Stage) -> str:
    if not _takes(org, *[COUNT_USERS] * MOST_QUERIES):
        return "fewer"
    return "more" if _takes(org, *[COUNT_USERS] * (MOST_QUERIES + 1)) else str(MOST_QUERIES)


def _good_bad_good(org: ProbeOrg, stage: Stage) -> list[str]:
    values = stage.customer_values()
    saved = org.insert(CUSTOMER, values, {**values, NAME: None}, values)
    return ["refused" if one.code else "made" for one in saved]


@probe("rest.collections.order", Access.WRITE, {CUSTOMER: 3})
def order_of_collection_answers(org: ProbeOrg, stage: Stage) -> str:
    return "request_order" if _good_bad_good(org, stage) == ["made", "refused", "made"] else "other"


@probe("rest.collections.partial", Access.WRITE, {CUSTOMER: 3})
def partial_collection(org: ProbeOrg, stage: Stage) -> str:
    return (
        "each_record_told" if sorted(_good_bad_good(org, stage)) == ["made", "made", "refused"] else "other"
    )


@probe("rest.not-found", Access.READ)
def external_id_that_is_not_there(org: ProbeOrg, _stage: Stage) -> str:
    reply = org.call("GET", f"/sobjects/{CUSTOMER}/COA_No_Such_Field__c/x")
    return f"{reply.status}:{reply.code}" if reply.refused else "accepted"


@probe("rest.content-links", Access.READ)
def all_links_to_files(org: ProbeOrg, _stage: Stage) -> str:
    reply = org.call("GET", "/query", params={"q": "SELECT Id FROM ContentDocumentLink LIMIT 1"})
    return "refused" if reply.refused else "accepted"


# ---- deletions ---------------------------------------------------------------------------------
def _deleted(org: ProbeOrg, sobject: str, record_id: str) -> None:
    (saved,) = org.delete(sobject, record_id)
    if saved.code:
        raise NotAskable(f"the org refused to delete a record of the probe: {saved.code}")


@probe("rest.delete.cascade", Access.WRITE, {ORDER: 1, DETAIL: 1})
def details_of_a_deleted_order(org: ProbeOrg, stage: Stage) -> str:
    order = stage.order()
    detail = stage.detail(order, stage.fixed_product())
    _deleted(org, ORDER, order)
    return (
        "details_left" if org.query(f"SELECT Id FROM {DETAIL} WHERE Id = '{detail}'") else "details_deleted"
    )


@probe("rest.delete.recycle-bin", Access.WRITE, {CUSTOMER: 1})
def deleted_record_in_query_all(org: ProbeOrg, stage: Stage) -> str:
    customer = org.new(CUSTOMER, stage.customer_values())
    _deleted(org, CUSTOMER, customer)
    found = org.query(f"SELECT IsDeleted FROM {CUSTOMER} WHERE Id = '{customer}'", all_rows=True)
    if not found:
        return "gone"
    return "marked_deleted" if found[0]["IsDeleted"] else "not_deleted"


@probe("rest.delete.twice", Access.WRITE, {CUSTOMER: 1})
def second_deletion(org: ProbeOrg, stage: Stage) -> str:
    customer = org.new(CUSTOMER, stage.customer_values())
    _deleted(org, CUSTOMER, customer)
    (saved,) = org.delete(CUSTOMER, customer)
    return saved.word


@probe("rest.delete.hard", Access.WRITE)
def right_to_delete_for_good(org: ProbeOrg, _stage: Stage) -> str:
    try:
        job = org.open_job(CUSTOMER, "hardDelete", columnDelimiter="COMMA", lineEnding="LF")
    except NotAskable:
        return "refused"
    org.set_job(job, "Aborted")
    org.drop_job(job)
    return "allowed"
