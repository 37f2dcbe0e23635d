"""The whole of an org as bytes, and back: a test starts from a seeded or half-loaded org, a fixture holds one.

A snapshot is a ZIP of two members: ``org.json`` (settings, counters, rules, ingest jobs with their uploads and
results) and ``records.sqlite``. Nothing in it is a pickle, so later versions read what earlier ones wrote. Sessions,
query jobs, Bulk 1.0 jobs and planned faults are left out: clients log in and ask again.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import time
import zipfile
from typing import Any

from orgsim.bulk.ingest import Ingest, IngestJob
from orgsim.errors import ApiError
from orgsim.org import Org
from orgsim.schema.build import build
from orgsim.schema.model import Schema
from orgsim.settings import Settings

FORMAT = 1
#: Settings of the process and not of the org: a restored org keeps its own.
OF_THE_PROCESS = frozenset({"host", "port", "tls_certificate", "tls_key", "keep_alive", "bulk_workers"})
#: What shapes tables and ids: a snapshot fits only into an org that was started with the same.
OF_THE_SHAPE = (
    "role", "seed", "org_id", "copied", "package_version", "multi_currency", "currency", "dated_rates",
    "migration_fields", "partner_fields",
    "own_fields", "own_fields_seed", "own_field_types", "attachments",
)  # fmt: skip
_PATIENCE_SECONDS = 30.0
_FIELD_SWITCHES = (
    "createable", "updateable", "restricted", "nillable", "length", "label", "type", "precision", "scale",
    "unique", "external_id", "calculated", "picklist",
)  # fmt: skip
_TEXTS = (
    "id", "kind", "object", "operation", "version", "user_id", "created", "state", "delimiter", "line_ending",
    "processed", "failed", "retries", "error", "touched", "processing_ms", "external_id", "assignment_rule", "header",
)  # fmt: skip
_PARTS = ("success", "failures", "unprocessed")


def take(org: Org) -> bytes:
    """The org as it stands, between two jobs. 409 when a job stays in progress for half a minute."""
    with org.store.lock:
        _wait_for_jobs(org)
        members = {"org.json": json.dumps(_described(org)).encode(), "records.sqlite": org.store.dump()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def settings_of(snapshot: bytes, **own: Any) -> Settings:
    """The settings of the org that was snapshot, with those of this process (``host``, ``port``, ...) in place."""
    kept = _read(snapshot)[0]["settings"]
    known = {one.name for one in dataclasses.fields(Settings)}
    return Settings(**{name: value for name, value in kept.items() if name in known} | own)


def put(org: Org, snapshot: bytes) -> None:
    """Makes the org what it was. 400 for an org of another shape: its tables and ids would not fit."""
    described, records = _read(snapshot)
    # An instance: a list that is a default is no attribute of the class.
    defaults = Settings()
    for name in OF_THE_SHAPE:
        # A snapshot from before a setting came is of an org that had its default.
        ours = getattr(org.settings, name)
        theirs = described["settings"].get(name, getattr(defaults, name))
        if ours != theirs:
            raise ApiError(
                "INVALID_FIELD", f"the snapshot is of an org with {name} {theirs!r}, this one has {ours!r}"
            )
    with org.store.lock:
        _wait_for_jobs(org)
        for name, value in described["settings"].items():
            if name not in OF_THE_PROCESS and hasattr(org.settings, name):
                setattr(org.settings, name, value)
        _reshape(org.schema, org.settings, described["fields"], described["hidden"])
        org.store.load(records, described["serials"], described["auto_numbers"])
        org.id, org.user_id, org.planted = described["id"], described["user_id"], described["planted"]
        state, numbers, gauss = described["random"]
        org.random.setstate((state, tuple(numbers), gauss))
        # The org's time goes on from the moment of the snapshot: results of jobs do not expire on the shelf.
        org.clock.offset += described["now"] - org.clock.time()
        org.package.workflows.update(described["workflows"])
        org.package.validations.update(described["validations"])
        for counter, values in ((org.package.fired, "fired"), (org.calls, "calls"), (org.traffic, "traffic")):
            counter.clear()
            counter.update(described[values])
        org.submitted_drafts = dict.fromkeys(described["submitted_drafts"])
        org.sessions.close_all()
        org.faults.clear(None)
        _restore_jobs(org, described["jobs"], described["jobs_made"])


def _read(snapshot: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(snapshot)) as archive:
            described: dict[str, Any] = json.loads(archive.read("org.json"))
            records = archive.read("records.sqlite")
    except (zipfile.BadZipFile, KeyError, ValueError) as problem:
        raise ApiError("INVALID_FIELD", f"this is no snapshot of an org: {problem}") from None
    if described["format"] != FORMAT:
        raise ApiError("INVALID_FIELD", f"the snapshot has format {described['format']}, this is {FORMAT}")
    return described, records


def _described(org: Org) -> dict[str, Any]:
    changed, plain = {}, build(org.settings)
    for sobject in org.schema:
        for one in sobject.fields:
            first = plain[sobject.name].get(one.name)
            if first is None:
                continue
            differs = {n: getattr(one, n) for n in _FIELD_SWITCHES if getattr(one, n) != getattr(first, n)}
            if differs:
                changed[f"{sobject.name}.{one.name}"] = differs
    state, numbers, gauss = org.random.getstate()
    return {
        "format": FORMAT,
        "settings": {n: v for n, v in org.settings.as_dict().items() if n not in OF_THE_PROCESS},
        "id": org.id,
        "user_id": org.user_id,
        "planted": org.planted,
        "now": org.clock.time(),
        "random": [state, list(numbers), gauss],
        "workflows": org.package.workflows,
        "validations": org.package.validations,
        "fired": dict(org.package.fired),
        "calls": dict(org.calls),
        "traffic": dict(org.traffic),
        "submitted_drafts": list(org.submitted_drafts),
        "serials": org.store.serials_used,
        "auto_numbers": org.store.auto_numbers_used,
        "fields": changed,
        "hidden": sorted(map(list, org.schema.hidden)),
        "jobs": [_job_json(one) for one in org.jobs.all() if isinstance(one, IngestJob)],
        "jobs_made": org.jobs.made,
    }


def _reshape(schema: Schema, settings: Settings, fields: dict[str, Any], hidden: list[list[str]]) -> None:
    """Fields as the org was started with, then as they had been changed while it ran."""
    plain = build(settings)
    for sobject in schema:
        for one in sobject.fields:
            first = plain[sobject.name].get(one.name)
            switches = {} if first is None else {name: getattr(first, name) for name in _FIELD_SWITCHES}
            switches |= fields.get(f"{sobject.name}.{one.name}", {})
            for name, value in switches.items():
                setattr(one, name, tuple(value) if name == "picklist" else value)
    schema.hidden.clear()
    schema.hidden.update((sobject, name) for sobject, name in hidden)


def _wait_for_jobs(org: Org) -> None:
    """Until no job is in progress. The caller holds the store's lock, which a working job needs: let go of it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(job.state == "InProgress" for job in org.jobs.all()):
        if time.monotonic() > deadline:
            raise ApiError("CONFLICT", "a job is in progress: wait for its end, or abort it", 409)
        org.store.lock.release()
        try:
            time.sleep(0.02)
        finally:
            org.store.lock.acquire()


def _job_json(job: IngestJob) -> dict[str, Any]:
    described = {name: getattr(job, name) for name in _TEXTS}
    described |= {name: [base64.b64encode(one).decode() for one in getattr(job, name)] for name in _PARTS}
    return described | {"upload": None if job.upload is None else base64.b64encode(job.upload).decode()}


def _restore_jobs(org: Org, jobs: list[dict[str, Any]], made: int) -> None:
    for job in org.jobs.all():
        job.stop.set()
        org.jobs.remove(job)
    org.jobs.made = made
    for described in jobs:
        job = IngestJob(**{name: described[name] for name in _TEXTS})
        for name in _PARTS:
            setattr(job, name, [base64.b64decode(one) for one in described[name]])
        job.upload = None if described["upload"] is None else base64.b64decode(described["upload"])
        org.jobs.add(job)
        job.touched = described["touched"]
        if job.state == "UploadComplete":
            org.jobs.start(job, Ingest(org, org.jobs, job).run)
