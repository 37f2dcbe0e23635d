"""How Bulk API 2.0 answers."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor

from coa.contract.fact import NotAskable
from coa.contract.probe_org import FAILED, SUCCESSFUL, UNPROCESSED, ProbeOrg
from coa.contract.probes.registry import Access, probe
from coa.contract.probes.values import csv_rows
from coa.contract.stage import Stage
from coa.model import CUSTOMER, CUSTOMER_ORG_ID, NS
from coa.salesforce.bulk import QueryJobs

COUNTRY = NS + "Customer_Country__c"
NAME = NS + "Customer_Company_Name__c"
STREET = NS + "Customer_Street__c"
MOST_PAGES = 50
"""Pages of users that are followed to their end: an org decides how many records a page has."""
MANY = 12
"""Rows of which it shows whether they come back in their order: by chance once in half a thousand million times."""


def _customers(org: ProbeOrg, stage: Stage, number: int) -> list[dict[str, str]]:
    return [org.marked(CUSTOMER, stage.customer_values()) for _ in range(number)]


@probe("bulk.partial", Access.WRITE, {CUSTOMER: 3})
def good_rows_and_a_bad_one(org: ProbeOrg, stage: Stage) -> str:
    rows = _customers(org, stage, 3)
    rows[1][NAME] = ""
    done = org.bulk(CUSTOMER, "insert", rows)
    if done.status.state != "JobComplete":
        return "job_failed"
    told = [len(done.rows(which)) for which in (SUCCESSFUL, FAILED, UNPROCESSED)]
    return "each_row_told" if told == [2, 1, 0] else "other"


@probe("bulk.results.order", Access.WRITE, {CUSTOMER: MANY})
def order_of_result_rows(org: ProbeOrg, stage: Stage) -> str:
    rows = _customers(org, stage, MANY)
    done = org.bulk(CUSTOMER, "insert", rows).rows(SUCCESSFUL)
    if len(done) != MANY:
        raise NotAskable("the org refused records that the probe needs")
    same = [one[CUSTOMER_ORG_ID] for one in done] == [one[CUSTOMER_ORG_ID] for one in rows]
    return "same_order" if same else "other_order"


@probe("bulk.results.columns", Access.WRITE, {CUSTOMER: 1})
def order_of_result_columns(org: ProbeOrg, stage: Stage) -> str:
    (row,) = _customers(org, stage, 1)
    backwards = dict(sorted(row.items(), reverse=True))
    done = org.bulk(CUSTOMER, "insert", [backwards])
    header = next(csv.reader(io.StringIO(done.files[SUCCESSFUL] or "", newline="")), [])
    return "as_sent" if header[2:] == list(backwards) else "other_order"


@probe("bulk.results.empty", Access.WRITE, {CUSTOMER: 1})
def result_file_without_rows(org: ProbeOrg, stage: Stage) -> str:
    done = org.bulk(CUSTOMER, "insert", _customers(org, stage, 1))
    found = done.files[FAILED]
    if found is None:
        return "no_content"
    return "header" if found.startswith('"sf__Id"') else "empty"


@probe("bulk.results.delimiter", Access.WRITE, {CUSTOMER: 1})
def delimiter_of_result_files(org: ProbeOrg, stage: Stage) -> str:
    rows = _customers(org, stage, 1)
    done = org.bulk(CUSTOMER, "insert", rows, delimiter="TAB", line_ending="CRLF")
    text = done.files[SUCCESSFUL] or ""
    if '"sf__Id"\t' in text and text.endswith("\r\n"):
        return "as_job"
    return "comma_lf" if '"sf__Id",' in text and "\r" not in text else "other"


@probe("bulk.unknown-column", Access.WRITE, {CUSTOMER: 1})
def column_that_the_object_lacks(org: ProbeOrg, stage: Stage) -> str:
    (row,) = _customers(org, stage, 1)
    done = org.bulk(CUSTOMER, "insert", [{**row, "COA_No_Such_Field__c": "x"}])
    if done.status.state == "Failed":
        return "job_failed"
    return "row_refused" if done.rows(FAILED) else "ignored"


def _empty_job(org: ProbeOrg) -> str:
    return org.open_job(CUSTOMER, "insert", columnDelimiter="COMMA", lineEnding="LF")


@probe("bulk.second-upload", Access.WRITE)
def second_upload(org: ProbeOrg, _stage: Stage) -> str:
    job = _empty_job(org)
    content = f'"{COUNTRY}"\n"US"\n'
    first, second = org.upload(job, content), org.upload(job, content)
    # Never closed: no row of it is processed.
    org.set_job(job, "Aborted")
    org.drop_job(job)
    if first.refused:
        raise NotAskable(f"the org refused the first upload: {first.code or first.status}")
    return f"{second.status}:{second.code}" if second.refused else "accepted"


@probe("bulk.no-data", Access.WRITE)
def job_without_data(org: ProbeOrg, _stage: Stage) -> str:
    job = _empty_job(org)
    closed = org.set_job(job, "UploadComplete")
    if closed.refused:
        org.set_job(job, "Aborted")
        org.drop_job(job)
        return "refused"
    state = org.ended_job(job).state
    org.drop_job(job)
    return {"Failed": "job_failed", "JobComplete": "job_complete"}.get(state, "other")


@probe("bulk.abort-open", Access.WRITE)
def abort_of_an_open_job(org: ProbeOrg, _stage: Stage) -> str:
    job = _empty_job(org)
    reply = org.set_job(job, "Aborted")
    org.drop_job(job)
    return "refused" if reply.refused else "aborted"


# ---- queries -----------------------------------------------------------------------------------
@probe("bulk.query.locator", Access.READ)
def locator_of_the_last_page(org: ProbeOrg, _stage: Stage) -> str:
    job, first, locator = org.bulk_query("SELECT Id FROM User", most=1)
    if locator in ("", "null"):
        raise NotAskable("the org has one user: a result of one page")
    total = QueryJobs(org.org).status(job)
    page, following = org.page(job, locator)
    rereadable = org.page(job, locator) == (page, following)
    found = len(csv_rows(first)) + len(csv_rows(page))
    for _ in range(MOST_PAGES):
        if following in ("", "null"):
            break
        page, following = org.page(job, following)
        found += len(csv_rows(page))
    whole = total is not None and found == total.processed
    return "null_at_end_and_rereadable" if following == "null" and rereadable and whole else "other"


@probe("bulk.query.result-pages", Access.READ)
def pages_side_by_side(org: ProbeOrg, _stage: Stage) -> str:
    job, whole, _ = org.bulk_query("SELECT Id FROM User")
    locators = QueryJobs(org.org).page_locators(job)
    if locators is None:
        return "not_offered"
    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(lambda one: org.page(job, one)[0], locators))
    found = {row["Id"] for page in pages for row in csv_rows(page)}
    return "all_records" if {row["Id"] for row in csv_rows(whole)} <= found else "records_missing"


@probe("bulk.query.empty", Access.WRITE, {CUSTOMER: 1})
def empty_field_in_a_bulk_query(org: ProbeOrg, stage: Stage) -> str:
    org.field(CUSTOMER, STREET)
    customer = org.new(CUSTOMER, stage.customer_values())
    _, page, _ = org.bulk_query(f"SELECT {STREET} FROM {CUSTOMER} WHERE Id = '{customer}'")
    return "empty_value" if page.splitlines()[-1].strip('"') == "" else "other"


@probe("bulk.query.parent-column", Access.READ)
def column_of_a_parent(org: ProbeOrg, _stage: Stage) -> str:
    _, page, _ = org.bulk_query("SELECT Id, Profile.Name FROM User LIMIT 1")
    header = next(csv.reader(io.StringIO(page, newline="")))
    return {"Profile.Name": "path", "Name": "last_name"}.get(header[-1], "other")


@probe("bulk.query.binary", Access.READ)
def binary_field_in_a_bulk_query(org: ProbeOrg, _stage: Stage) -> str:
    _, state = org.query_job("SELECT Body FROM Attachment LIMIT 1")
    return "delivered" if state == "JobComplete" else "refused"
