"""Generated bad requests: each gets an error of the contract, none a 500 and none a stack."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orgsim.launch import RunningOrg

pytestmark = pytest.mark.lane

ORG = {"role": "target", "orders": 20, "job_delay": 0.0}
#: 20 requests an example: 800 in the ordinary suite, 3,000 in `make test-orgsim`, 10,000 in `make test-clients`.
EXAMPLES = int(os.environ.get("ORGSIM_FUZZ", "40"))
BATCH = 20
NS = "CHANNEL_ORDERS__"
BASE = "/services/data/v67.0"

names = st.sampled_from(
    [
        "Account",
        "Contact",
        "Nope__c",
        NS + "Service_Order__c",
        NS + "Service_Order_Detail__c",
        "Organization",
        "User",
        "Group",
    ]
)
fields = st.sampled_from(
    ["Id", "Name", "OwnerId", "CreatedDate", "LastName", NS + "Order_Type__c", NS + "Quantity__c",
     NS + "Partner_Order__c",
     NS + "Service_Start_Date__c", NS + "Auto_Renew__c", "COA_Source_Id__c", "Nope", "attributes", "IsDeleted", ""]
)  # fmt: skip
ids = st.one_of(
    st.sampled_from(
        [
            "001000000000000AAA",
            "001Dr0000000001AAA",
            "001Dr0000000002",
            "x",
            "",
            "a0B000000000000",
            "005000000000000AAA",
            "null",
            "../..",
            "%00",
        ]
    ),
    st.text(max_size=20),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    ids,
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(fields, inner, max_size=3))
)
record = st.dictionaries(fields, values, max_size=4).map(
    lambda one: {**one, "attributes": {"type": "Account"}}
)
bodies = st.one_of(values, record, st.fixed_dictionaries({"records": st.lists(record, max_size=3)}))
soql = st.one_of(
    st.text(max_size=60),
    st.builds(
        "SELECT {} FROM {} WHERE {} {} {} {}".format,
        st.one_of(fields, st.just("COUNT()"), st.just("(SELECT Id FROM Contacts)"), st.just("MAX(Name), Id")),
        names,
        fields,
        st.sampled_from(["=", "!=", "<", "LIKE", "IN", "NOT IN", "INCLUDES", "~"]),
        st.sampled_from(
            [
                "'x'",
                "5",
                "null",
                "TODAY",
                "('a')",
                "(SELECT Id FROM User)",
                "2020-13-45",
                "LAST_N_DAYS:99999999",
                "'",
                ")",
            ]
        ),
        st.sampled_from(
            [
                "",
                "ORDER BY Name",
                "LIMIT -1",
                "LIMIT 99999999999999999999",
                "OFFSET 5000",
                "GROUP BY Id",
                "AND",
                ";",
            ]
        ),
    ),
)
job = st.fixed_dictionaries(
    {},
    optional={
        "object": st.one_of(names, values),
        "operation": st.one_of(
            st.sampled_from(["insert", "update", "upsert", "delete", "query", "hardDelete"]), values
        ),
        "externalIdFieldName": st.one_of(fields, values),
        "lineEnding": st.one_of(st.sampled_from(["LF", "CRLF"]), values),
        "columnDelimiter": st.one_of(st.sampled_from(["COMMA", "TAB"]), values),
        "query": st.one_of(soql, values),
        "contentType": st.one_of(st.just("CSV"), values),
        "state": st.one_of(st.sampled_from(["UploadComplete", "Aborted", "Closed"]), values),
    },
)
composite = st.fixed_dictionaries(
    {
        "compositeRequest": st.lists(
            st.fixed_dictionaries(
                {
                    "method": st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
                    "url": st.builds(f"{BASE}/sobjects/{{}}/{{}}".format, names, ids),
                    "referenceId": st.text(max_size=3),
                    "body": values,
                }
            ),
            max_size=3,
        ),
        "allOrNone": values,
    }
)
json_of = st.one_of(bodies, job, composite).map(lambda one: json.dumps(one).encode("utf-8", "surrogatepass"))
raw = st.one_of(st.binary(max_size=60), st.just(b'{"a":'), st.just(b"[" * 5000), json_of)
segment = st.one_of(
    names,
    ids,
    st.sampled_from(["describe", "query", "jobs", "ingest", "composite", "sobjects", "tree", "limits"]),
)
quoted = st.builds(lambda one: quote(one, safe=""), segment)
paths = st.one_of(
    st.builds("/sobjects/{}".format, quoted),
    st.builds("/sobjects/{}/{}".format, quoted, quoted),
    st.builds("/sobjects/{}/{}/{}".format, quoted, quoted, quoted),
    st.builds(lambda one: "/query?q=" + quote(one), soql),
    st.builds(lambda one: "/tooling/query?q=" + quote(one), soql),
    st.builds(
        lambda one: "/search?q=" + quote(one),
        st.one_of(st.text(max_size=30), st.just("FIND {ab} RETURNING Nope")),
    ),
    st.builds("/query/{}".format, quoted),
    st.sampled_from(
        [
            "/jobs/ingest",
            "/jobs/query",
            "/composite",
            "/composite/batch",
            "/composite/sobjects",
            "/limits/recordCount",
        ]
    ),
    st.builds("/composite/tree/{}".format, quoted),
    st.builds("/composite/sobjects/{}/{}".format, quoted, quoted),
    st.builds("/composite/sobjects?ids={}".format, quoted),
    st.builds(
        "/jobs/ingest/{}/{}".format, quoted, st.sampled_from(["batches", "successfulResults", "nope", ""])
    ),
    st.builds("/jobs/query/{}/results?locator={}&maxRecords={}".format, quoted, quoted, quoted),
    st.builds("/{}/{}".format, quoted, quoted),
)
versions = st.sampled_from(["67.0"] * 8 + ["58.0", "30.0", "x", "1e9", "nan", "-1", "67.5"])
kinds = st.sampled_from(
    ["application/json"] * 6 + ["text/csv", "application/xml", "multipart/form-data; boundary=x", "", "gzip"]
)


NOTHING: st.SearchStrategy[Any] = st.just(b"")


def asked(
    method: str, path: st.SearchStrategy[str], body: st.SearchStrategy[Any] = NOTHING
) -> st.SearchStrategy[Any]:
    """A request with the right method and content type; what it says is another matter."""
    encoded = body.map(
        lambda one: one if isinstance(one, bytes) else json.dumps(one).encode("utf-8", "surrogatepass")
    )
    return st.tuples(
        st.just(method),
        st.builds("/services/data/v67.0{}".format, path),
        encoded,
        st.just("application/json"),
    )


plain = st.dictionaries(fields, scalars, max_size=5)
subrequests = st.fixed_dictionaries(
    {"batchRequests": st.lists(st.fixed_dictionaries({"method": st.just("GET"), "url": st.text()}))}
)
tree = st.fixed_dictionaries(
    {
        "records": st.lists(
            plain.map(lambda one: {**one, "attributes": {"type": "Account", "referenceId": "r"}}), max_size=3
        )
    }
)
deep = st.recursive(st.just("Name = 'x'"), lambda one: st.builds("NOT ({})".format, one), max_leaves=40)
aimed = st.one_of(
    asked("GET", st.builds(lambda one: "/query?q=" + quote(one), soql)),
    asked("GET", st.builds(lambda one: "/queryAll?q=" + quote("SELECT Id FROM Account WHERE " + one), deep)),
    asked(
        "GET",
        st.builds(
            lambda one: "/search?q=" + quote(one), st.one_of(st.text(), st.just("FIND {ab} RETURNING Nope"))
        ),
    ),
    asked("POST", st.builds("/sobjects/{}".format, names), st.one_of(plain, record, values)),
    asked("PATCH", st.builds("/sobjects/{}/{}".format, names, quoted), st.one_of(plain, record)),
    asked("GET", st.builds("/sobjects/{}/{}?fields={}".format, names, quoted, fields)),
    asked(
        "PATCH",
        st.builds("/sobjects/{}/{}/{}".format, names, fields.filter(bool), quoted),
        st.one_of(plain, values),
    ),
    asked("DELETE", st.builds("/sobjects/{}/{}".format, names, quoted)),
    asked(
        "POST",
        st.just("/composite/sobjects"),
        st.fixed_dictionaries({"records": st.lists(record, max_size=3)}),
    ),
    asked(
        "PATCH",
        st.just("/composite/sobjects"),
        st.fixed_dictionaries({"records": st.lists(record, max_size=3)}),
    ),
    asked("PATCH", st.builds("/composite/sobjects/Account/{}".format, fields.filter(bool)), bodies),
    asked("POST", st.just("/composite"), composite),
    asked("POST", st.just("/composite/batch"), subrequests),
    asked("POST", st.just("/composite/tree/Account"), tree),
    asked("POST", st.just("/jobs/ingest"), job),
    asked(
        "POST", st.just("/jobs/query"), st.fixed_dictionaries({"operation": st.just("query"), "query": soql})
    ),
    asked("GET", st.builds("/jobs/ingest?jobType={}&queryLocator={}".format, quoted, quoted)),
    asked("GET", st.builds("/sobjects/Account/deleted?start={}&end={}".format, quoted, quoted)),
    asked("GET", st.builds("/limits/recordCount?sObjects={}".format, quoted)),
)
wild = st.tuples(
    st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"]),
    st.one_of(
        st.builds("/services/data/v{}{}".format, versions, paths),
        st.builds("/services/async/{}/job/{}".format, versions, quoted),
        st.sampled_from(
            ["/services/async/67.0/job", "/services/Soap/u/58.0", "/services/oauth2/token", "/id/a/b", "/"]
        ),
    ),
    raw,
    kinds,
)
requests_ = st.one_of(aimed, aimed, aimed, wild)


class Wire:
    """A connection that sends whatever it is told."""

    def __init__(self, org: RunningOrg) -> None:
        self._parts = urlsplit(org.url)
        self._token = org.login()
        self._connection = http.client.HTTPConnection(
            self._parts.hostname or "", self._parts.port, timeout=300
        )

    def send(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, str, bytes]:
        headers = {"Authorization": f"Bearer {self._token}"}
        if kind == "gzip":
            headers["Content-Encoding"] = "gzip"
        elif kind:
            headers["Content-Type"] = kind
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()
            raise


@pytest.fixture(scope="module")
def wire(org: RunningOrg) -> Wire:
    return Wire(org)


def check(status: int, kind: str, body: bytes, request: tuple[Any, ...]) -> None:
    text = body.decode("utf-8", "replace")
    soap_fault = status == 500 and "soapenv:Fault" in text
    assert status < 500 or soap_fault, (request, text)
    assert "Traceback" not in text, request
    if status >= 400 and kind.startswith("application/json") and request[0] != "HEAD":
        error = json.loads(body)
        entry = error[0] if isinstance(error, list) else error
        assert "errorCode" in entry or "exceptionCode" in entry or "error" in entry or "hasErrors" in entry, (
            request
        )


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(batch=st.lists(requests_, min_size=BATCH, max_size=BATCH))
def test_bad_requests_get_the_errors_of_the_contract(wire: Wire, batch: list[tuple[Any, ...]]) -> None:
    for request in batch:
        check(*wire.send(*request), request)


csv_cells = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["#N/A", "", "1E400", "-0", "2020-02-31", "true", "001000000000000AAA"]),
)


@settings(
    max_examples=max(EXAMPLES // 10, 5),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    header=st.lists(fields, max_size=4),
    rows=st.lists(st.lists(csv_cells, max_size=5), max_size=4),
    operation=st.sampled_from(["insert", "update", "upsert", "delete"]),
)
def test_any_csv_ends_a_job_with_all_rows_accounted_for(
    wire: Wire, header: list[str], rows: list[list[str]], operation: str
) -> None:
    body = {"object": "Account", "operation": operation, "externalIdFieldName": "Id"}
    status, _, answer = wire.send(
        "POST", f"{BASE}/jobs/ingest", json.dumps(body).encode(), "application/json"
    )
    assert status == 200, answer
    path = f"{BASE}/jobs/ingest/{json.loads(answer)['id']}"
    data = "\n".join(",".join(one) for one in [header, *rows]).encode("utf-8", "surrogatepass")
    assert wire.send("PUT", f"{path}/batches", data, "text/csv")[0] == 201
    wire.send("PATCH", path, b'{"state":"UploadComplete"}', "application/json")
    state: dict[str, Any] = {}
    while state.get("state") not in ("JobComplete", "Failed"):
        state = json.loads(wire.send("GET", path, b"", "")[2])
    assert "InternalServerError" not in state.get("errorMessage", ""), (header, rows, state)
