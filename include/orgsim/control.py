"""Control resources under /control: what tests and demos do behind the API's back. No session, loopback only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from orgsim import snapshot
from orgsim.bulk.csvtext import Writer
from orgsim.dml import WriteOptions
from orgsim.errors import ApiError
from orgsim.org import Org
from orgsim.package import STATUS, WORKFLOWS
from orgsim.rest.http import Request, Response, Router, json_response, no_content
from orgsim.rows import decode_json
from orgsim.schema.build import locate
from orgsim.schema.coa import ORDER
from orgsim.schema.model import SObject
from orgsim.soql import rest_rows
from orgsim.soql.tree import parse
from orgsim.store import quote


def register(router: Router) -> None:
    def add(method: str, path: str, handler: Any) -> None:
        router.add(method, "/control" + path, handler, open=True)

    add("GET", "", stats)
    add("GET", "/stats", stats)
    add("GET", "/settings", settings)
    add("PATCH", "/settings", change_settings)
    add("GET", "/planted", planted)
    add("GET", "/table/{sobject}", table)
    add("GET", "/query", query)
    add("GET", "/package", package)
    add("PATCH", "/package", change_package)
    add("GET", "/faults", faults)
    add("POST", "/faults", add_fault)
    add("DELETE", "/faults", clear_faults)
    add("DELETE", "/faults/{fault_id}", clear_faults)
    add("POST", "/clock", move_clock)
    add("GET", "/drafts", drafts)
    add("POST", "/drafts", submit_drafts)
    add("POST", "/records/{sobject}", create_record)
    add("PATCH", "/records/{sobject}/{record_id}", edit_record)
    add("DELETE", "/records/{sobject}/{record_id}", delete_record)
    add("POST", "/fields", change_field)
    add("POST", "/sessions/expire", expire_sessions)
    add("POST", "/reset-counters", reset_counters)
    add("GET", "/snapshot", take_snapshot)
    add("PUT", "/snapshot", put_snapshot)


def _find(request: Request) -> SObject:
    name = request.parameters["sobject"]
    sobject = request.org.schema.get(name) or request.org.schema.get("CHANNEL_ORDERS__" + name)
    if sobject is None:
        raise ApiError("NOT_FOUND", f"no object {name}", 404)
    return sobject


def stats(request: Request) -> Response:
    org = request.org
    rows = {one.name: org.store.count(one) for one in org.schema}
    jobs = [
        {"id": one.id, "kind": one.kind, "object": one.object, "operation": one.operation, "state": one.state,
         "processed": one.processed, "failed": one.failed, "milliseconds": one.processing_ms}
        for one in org.jobs.all()
    ]  # fmt: skip
    return json_response(
        {
            "org_id": org.id,
            "role": org.settings.role,
            "user_id": org.user_id,
            "rows": {name: number for name, number in rows.items() if number},
            "jobs": jobs,
            "calls": dict(org.calls),
            "bytes": dict(org.traffic),
            "sessions_opened": org.sessions.opened,
            "rules_fired": org.package.fired,
            "now": org.clock.stamp(),
        }
    )


def settings(request: Request) -> Response:
    return json_response(request.org.settings.as_dict())


def change_settings(request: Request) -> Response:
    """Any setting that acts at run time; those that shaped the schema at start are refused."""
    org = request.org
    fixed = {"host", "port", "role", "seed", "orders", "details_per_order", "planted", "empty", "org_id", "sandbox",
             "copied", "package_version", "multi_currency", "currency", "dated_rates", "audit_fields", "hide_field",
             "read_only_field", "encrypt_field", "view_encrypted", "trim_text", "migration_fields", "partner_fields",
             "own_fields", "own_fields_seed", "own_field_types", "own_fields_full", "utf16_lengths",
             "restricted_picklists", "drop_picklist_value", "add_picklist_value", "workflow_off",
             "validation_off", "bulk_workers", "draft_job", "restore", "fact", "profile", "tls_certificate", "tls_key",
             "keep_alive"}  # fmt: skip
    for name, value in request.json_object().items():
        if not hasattr(org.settings, name) or name in fixed:
            raise ApiError("INVALID_FIELD", f"{name} cannot be changed while the org runs")
        setattr(org.settings, name, value)
    return settings(request)


def planted(request: Request) -> Response:
    return json_response(request.org.planted)


def table(request: Request) -> Response:
    """All records of an object with every stored field (also deleted and hidden ones), as stored."""
    org, sobject = request.org, _find(request)
    names = [one.name for one in sobject.stored()]
    if request.query.get("format") == "csv":
        return Response(200, _csv_of(org, sobject, names), "text/csv; charset=UTF-8")
    rows = org.store.all(f"SELECT {', '.join(map(quote, names))} FROM {quote(sobject.name)} ORDER BY _n")
    return json_response([dict(zip(names, row, strict=True)) for row in rows])


def _csv_of(org: Org, sobject: SObject, names: list[str]) -> Iterator[bytes]:
    """In parts: a benchmark reads tables of a million records."""
    writer, last = Writer(), -1
    writer.rows([names])
    columns = ", ".join(map(quote, names))
    while rows := org.store.all(
        f"SELECT _n, {columns} FROM {quote(sobject.name)} WHERE _n > ? ORDER BY _n LIMIT 20000", [last]
    ):
        writer.rows([row[1:] for row in rows])
        last = rows[-1][0]
        yield writer.take()
    yield writer.take()


def query(request: Request) -> Response:
    """SOQL without a session and without counting as an API call."""
    org = request.org
    plan = org.compiler.compile(
        parse(request.query.get("q", "")), include_deleted="all" in request.query, tooling=True
    )
    if plan.count_only:
        return json_response({"totalSize": rest_rows.count(org, plan), "records": []})
    records = rest_rows.render(org, plan, rest_rows.fetch(org, plan), "/services/data/v67.0")
    return json_response({"totalSize": len(records), "records": records})


def package(request: Request) -> Response:
    rules = request.org.package
    return json_response(
        {"workflows": rules.workflows, "validations": rules.validations, "fired": rules.fired}
    )


def change_package(request: Request) -> Response:
    """``{"workflows": {"draft": false}, "validations": {"Quantity_is_required": false}}``."""
    rules, body = request.org.package, request.json_object()
    for kind, known in (("workflows", rules.workflows), ("validations", rules.validations)):
        for name, active in body.get(kind, {}).items():
            if name not in known:
                raise ApiError("INVALID_FIELD", f"no such rule: {name}")
            known[name] = bool(active)
            if kind == "workflows":
                request.org.store.execute(
                    'UPDATE "WorkflowRule" SET "Metadata" = ? WHERE "Name" = ?',
                    [json.dumps({"active": bool(active), "fullName": WORKFLOWS[name]}), WORKFLOWS[name]],
                )
            else:
                request.org.store.execute(
                    'UPDATE "ValidationRule" SET "Active" = ? WHERE "ValidationName" = ?',
                    [int(bool(active)), name],
                )
    return package(request)


def faults(request: Request) -> Response:
    return json_response(request.org.faults.listed())


def add_fault(request: Request) -> Response:
    """A fault or a list of them; ``seed`` in the query makes probabilities repeatable."""
    if request.query.get("seed", "").isdigit():
        request.org.faults.reseed(int(request.query["seed"]))
    body = request.json()
    rules = body if isinstance(body, list) else [body]
    try:
        added = [request.org.faults.add(**rule).id for rule in rules]
    except (TypeError, ValueError) as problem:
        raise ApiError("INVALID_FIELD", str(problem)) from None
    return json_response(added, 201)


def clear_faults(request: Request) -> Response:
    fault_id = request.parameters.get("fault_id")
    request.org.faults.clear(int(fault_id) if fault_id else None)
    return no_content()


def move_clock(request: Request) -> Response:
    """``{"seconds": n}`` moves the org's clock on by n, ``{"offset": n}`` sets it n seconds from real time."""
    body, clock = request.json_object(), request.org.clock
    clock.offset = float(body["offset"]) if "offset" in body else clock.offset + float(body.get("seconds", 0))
    return json_response({"now": clock.stamp(), "offset": clock.offset})


def _draft_ids(org: Org) -> list[str]:
    return [
        row[0]
        for row in org.store.all(
            f'SELECT "Id" FROM {quote(ORDER)} WHERE {quote(STATUS)} = \'Draft\' AND "IsDeleted" = 0'
        )
    ]


def drafts(request: Request) -> Response:
    """What a scheduled job that submits every Draft order would have sent, now."""
    ids = _draft_ids(request.org)
    return json_response({"count": len(ids), "ids": ids})


def submit_drafts(request: Request) -> Response:
    """Let the scheduled job run once: it sends every Draft order (nothing is changed) and what it ever sent is kept."""
    org = request.org
    now = _draft_ids(org)
    org.submitted_drafts.update(dict.fromkeys(now))
    return json_response({"now": now, "ever": list(org.submitted_drafts)})


def _user(request: Request) -> WriteOptions:
    wanted = request.query.get("user", "")
    sql = 'SELECT "Id" FROM "User" WHERE "Username" = ? OR "Email" = ? OR "Id" = ?'
    return WriteOptions(request.org.store.one(sql, [wanted] * 3) or request.org.user_id)


def create_record(request: Request) -> Response:
    """A record made by a user in the UI: the package's rules act. ``?raw=true`` stores it past every rule and
    right, setup records such as triggers and jobs included."""
    if request.query.get("raw"):
        org, sobject = request.org, _find(request)
        names = {locate(org.schema, f"{sobject.name}.{k}")[1]: v for k, v in request.json_object().items()}
        return json_response({"id": org.store.add(sobject.name, **names)}, 201)
    return _write(request, "insert", None)


def edit_record(request: Request) -> Response:
    """A change by a user in the UI. ``?raw=true`` changes stored values past every rule and stamp."""
    record_id = request.parameters["record_id"]
    if request.query.get("raw"):
        sobject, body = _find(request), request.json_object()
        names = [locate(request.org.schema, f"{sobject.name}.{name}")[1] for name in body]
        assignments = ", ".join(f"{quote(name)} = ?" for name in names)
        request.org.store.all(
            f'UPDATE {quote(sobject.name)} SET {assignments} WHERE "Id" = ?', [*body.values(), record_id]
        )
        return no_content()
    return _write(request, "update", record_id)


def delete_record(request: Request) -> Response:
    request.body = b"{}"
    return _write(request, "delete", request.parameters["record_id"])


def _write(request: Request, operation: str, record_id: str | None) -> Response:
    org, sobject = request.org, _find(request)
    body = {}
    for name, value in request.json_object().items():
        body[locate(org.schema, f"{sobject.name}.{name}")[1]] = value
    row = decode_json(org.schema, sobject, body)
    if record_id is not None:
        row.values["Id"] = record_id
    org.dml.write(operation, sobject, [row], _user(request))
    if row.error is not None:
        raise ApiError(row.error.code, row.error.message, fields=list(row.error.fields))
    return json_response({"id": row.id}, 201 if operation == "insert" else 200)


_CHANGEABLE = frozenset(
    {"createable", "updateable", "restricted", "nillable", "length", "label", "type", "precision", "scale"}
    | {"unique", "external_id", "calculated"}
)


def change_field(request: Request) -> Response:
    """``{"field": "Object.Field", "createable": false, "hidden": true, "picklist": [...], "length": 50}``."""
    org, body = request.org, request.json_object()
    sobject, name = locate(org.schema, str(body.pop("field", "")))
    for key, value in body.items():
        if key == "hidden":
            entry = (sobject.name.lower(), name.lower())
            org.schema.hidden.add(entry) if value else org.schema.hidden.discard(entry)
        elif key in _CHANGEABLE:
            setattr(sobject[name], key, value)
        elif key == "picklist":
            sobject[name].picklist = tuple(map(str, value))
        else:
            raise ApiError("INVALID_FIELD", f"{key} of a field cannot be changed")
    return no_content()


def expire_sessions(request: Request) -> Response:
    """End all sessions now; ``{"after_calls": n}`` ends each session after n calls from now on instead."""
    body = request.json_object() if request.body else {}
    if "after_calls" in body:
        request.org.sessions.calls_allowed = int(body["after_calls"])
        return json_response({"after_calls": request.org.sessions.calls_allowed})
    return json_response({"ended": request.org.sessions.close_all()})


def reset_counters(request: Request) -> Response:
    request.org.calls.clear()
    request.org.traffic.clear()
    request.org.package.fired.clear()
    return no_content()


def take_snapshot(request: Request) -> Response:
    """The whole org as a ZIP, for ``PUT /control/snapshot`` and ``python -m orgsim --restore``."""
    return Response(200, snapshot.take(request.org), "application/zip")


def put_snapshot(request: Request) -> Response:
    """Makes this org what it was when the snapshot in the body was taken; its sessions end."""
    snapshot.put(request.org, request.body)
    return no_content()
