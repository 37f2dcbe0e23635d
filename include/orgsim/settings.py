"""Every switch of a simulated org, with the reason beside it; the command line is made from this class."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass
class Settings:
    """What this org is and how it behaves. Booleans become ``--x``/``--no-x``, lists may be given repeatedly."""

    # what the org is
    host: Annotated[str, "address to listen on; only loopback makes sense"] = "127.0.0.1"
    port: Annotated[int, "port to listen on; 0 picks a free one"] = 9101
    role: Annotated[str, "source or target: the same seed gives two consistent orgs"] = "source"
    seed: Annotated[int, "seed of everything random in the data"] = 7
    orders: Annotated[int, "service orders seeded in the source; 0 seeds only the catalog"] = 1000
    details_per_order: Annotated[float, "average number of details of an order"] = 4.5
    planted: Annotated[bool, "plant the documented difficult records (see /control/planted)"] = True
    empty: Annotated[bool, "seed no records at all but organization, users and permissions"] = False
    org_id: Annotated[str, "organization id instead of the one that follows from role and seed"] = ""
    copied: Annotated[
        bool,
        "a copy of the org that seed and role give: its record ids under an org id of its own (--org-id), as two "
        "sandboxes of one org have them",
    ] = False
    sandbox: Annotated[bool, "Organization.IsSandbox"] = False
    package_version: Annotated[
        str, "version of the Channel Order App that is installed; empty: not installed"
    ] = "3.66"
    multi_currency: Annotated[bool, "CurrencyIsoCode on every object, and the list of currencies"] = False
    currency: Annotated[
        list[str],
        "CODE=RATE, or CODE=RATE:inactive: a currency of the org instead of the usual six; the corporate one has "
        "the rate 1; repeatable",
    ] = field(default_factory=list)
    dated_rates: Annotated[bool, "advanced currency management: conversion rates have dates"] = False
    min_version: Annotated[float, "oldest API version offered; older ones answer 410"] = 31.0
    max_version: Annotated[float, "newest API version offered"] = 67.0

    # who may log in, and what the integration user may do
    consumer_key: Annotated[str, "consumer key of the connected app"] = "coa"
    consumer_secret: Annotated[str, "consumer secret of the connected app"] = "secret"
    username: Annotated[str, "user name of the integration user; default integration@<role>.example"] = ""
    password: Annotated[str, "password of the integration user"] = "password"
    security_token: Annotated[str, "security token of the integration user"] = "TOKEN"
    jwt_public_key: Annotated[
        str, "file with the PEM public key or certificate that JWT assertions must be signed for"
    ] = ""
    soap_login: Annotated[bool, "SOAP login() is allowed (always absent from API 65.0)"] = True
    password_flow: Annotated[bool, "the OAuth username-password flow is allowed"] = True
    session_seconds: Annotated[float, "a session ends after this many seconds without a call"] = 7200.0
    audit_fields: Annotated[
        bool | None, "user may set audit fields on insert; default: yes in the target only"
    ] = None
    audit_on_upsert: Annotated[bool, "audit fields are honoured on the insert half of an upsert too"] = False
    inactive_owner: Annotated[
        bool | None, "user may assign inactive owners; default: yes in the target only"
    ] = None
    hard_delete: Annotated[bool, "user has the Bulk API Hard Delete permission"] = False
    metadata_api: Annotated[bool, "user may deploy by the Metadata API"] = True
    hide_field: Annotated[list[str], "Object.Field hidden by field-level security; repeatable"] = field(
        default_factory=list
    )
    encrypt_field: Annotated[
        list[str], "Object.Field under classic encryption: a text of type encryptedstring; repeatable"
    ] = field(default_factory=list)
    view_encrypted: Annotated[bool, "user has View Encrypted Data: sees such values, not their masks"] = False
    read_only_field: Annotated[list[str], "Object.Field readable but not writable; repeatable"] = field(
        default_factory=list
    )

    fact: Annotated[
        list[str],
        "ID=ANSWER: this org gives that answer to a fact of the contract's catalogue (see orgsim.facts); repeatable",
    ] = field(default_factory=list)
    profile: Annotated[
        str, "file with a cassette of coa_contract: this org does what that one was seen to do"
    ] = ""
    restore: Annotated[
        str,
        "file with a snapshot (GET /control/snapshot): the org as it was, its own settings beside host and port",
    ] = ""
    tls_certificate: Annotated[
        str, "file with the PEM certificate: the org answers https (see orgsim.tls)"
    ] = ""
    tls_key: Annotated[str, "file with the private key of the certificate"] = ""

    # shape
    migration_fields: Annotated[
        bool | None, "COA_Source_Id__c and its companions exist; default: in the target only"
    ] = None
    legacy_ids: Annotated[
        bool,
        "COA_Source_Id__c of each seeded record holds its own Id: a source prepared for tools that need a key",
    ] = False
    partner_fields: Annotated[
        bool, "partner's own custom fields, lookups and the LMA license object exist"
    ] = False
    own_fields: Annotated[
        int, "how many own fields of every type customers, orders and details have, filled with values"
    ] = 0
    own_fields_seed: Annotated[int, "seed of their types, names and values; the same in both orgs"] = 1
    own_field_types: Annotated[str, "only these types, separated by commas (see orgsim.schema.own)"] = ""
    own_fields_full: Annotated[bool, "no value of them is left empty; texts are as long as an id"] = False
    partner_trigger: Annotated[bool, "a partner trigger stamps a field on each order written"] = False
    trim_text: Annotated[bool, "texts of the package lose blanks at their end when they are stored"] = False
    overwrite_on_insert: Annotated[
        list[str],
        "Object.Field=Value: a partner's automation writes the value into each new record; repeatable",
    ] = field(default_factory=list)
    overwrite_on_update: Annotated[
        list[str], "Object.Field=Value: a partner's automation writes the value after each update; repeatable"
    ] = field(default_factory=list)
    orders_as_drafts: Annotated[bool, "a partner's trigger refuses new orders that are no Drafts"] = False
    details_under_drafts: Annotated[
        bool, "a partner's trigger refuses new details under an order that is no Draft"
    ] = False
    restricted_picklists: Annotated[bool, "picklists of the package refuse unknown values"] = True
    utf16_lengths: Annotated[bool, "lengths of texts count UTF-16: an emoji is two characters"] = False
    drop_picklist_value: Annotated[
        list[str], "Object.Field=Value missing from the picklist of this org; repeatable"
    ] = field(default_factory=list)
    add_picklist_value: Annotated[list[str], "Object.Field=Value that only this org has; repeatable"] = field(
        default_factory=list
    )
    attachments: Annotated[
        bool,
        "files, attachments, notes, activities and field history hang on the orders (see orgsim.content)",
    ] = False
    draft_job: Annotated[bool, "a scheduled Apex job exists that would submit every Draft order"] = False

    # the package's automation
    workflow_off: Annotated[
        list[str], "workflow rule switched off: draft, received, pricing, contract_key; repeatable"
    ] = field(default_factory=list)
    validation_off: Annotated[
        list[str], "validation rule switched off, by name without namespace; repeatable"
    ] = field(default_factory=list)

    # protocol
    api_limit: Annotated[int, "DailyApiRequests.Max"] = 100000
    file_storage_mb: Annotated[int, "FileStorageMB.Max"] = 20480
    base64_limit: Annotated[int, "bytes of a file that a JSON record may bring in base64"] = 37_500_000
    multipart_limit: Annotated[int, "bytes of a file that may come as multipart/form-data"] = 2_147_483_648
    bulk_query_limit: Annotated[int, "Bulk query jobs a day"] = 10000
    bulk_batch_limit: Annotated[int, "Bulk ingest batches a day"] = 15000
    job_delay: Annotated[
        float, "seconds that a Bulk job spends waiting in UploadComplete, and again InProgress"
    ] = 0.1
    hold_jobs: Annotated[
        bool, "Bulk jobs stay where they are until this is false again (change it at run time)"
    ] = False
    lock_contention: Annotated[
        bool, "jobs that run at the same time cannot lock each other's records and masters"
    ] = False
    bulk_workers: Annotated[int, "Bulk jobs processed at a time"] = 4
    queue_seconds: Annotated[
        float,
        "seconds that a Bulk job waits in the queue before it can be begun, beside others that are worked on",
    ] = 0.0
    rows_per_second: Annotated[
        list[str],
        "Object=N: rows a second at which a Bulk job works off its rows; query=N for queries, *=N for every other "
        "object; as fast as this machine for what is not named; repeatable",
    ] = field(default_factory=list)
    page_size: Annotated[int, "records of a Bulk query result page when the client gives no maxRecords"] = (
        100000
    )
    shuffle: Annotated[bool, "result rows come in another order than sent"] = True
    rerender_numbers: Annotated[
        bool, "numbers in ingest results are rendered as Java doubles, not echoed"
    ] = True
    csv_charset: Annotated[bool, "CSV answers name their charset; Salesforce often does not"] = False
    empty_as_204: Annotated[bool, "an empty result file answers 204 without a body"] = False
    crlf_in_quotes: Annotated[bool, "CRLF inside a quoted value is accepted in a job with lineEnding LF"] = (
        True
    )
    keep_alive: Annotated[int, "seconds after which an idle connection is closed"] = 120
    gzip: Annotated[bool, "answers are compressed for clients that accept it"] = True
    created_date_drift: Annotated[float, "seconds that the org's clock is ahead of this machine"] = 0.0

    def __post_init__(self) -> None:
        if self.role not in ("source", "target"):
            raise ValueError(f"role must be source or target, not {self.role!r}")
        target = self.role == "target"
        for name in ("audit_fields", "inactive_owner", "migration_fields"):
            if getattr(self, name) is None:
                setattr(self, name, target)
        self.migration_fields = self.migration_fields or self.legacy_ids
        self.username = self.username or f"integration@{self.role}.example"

    @property
    def ids_of(self) -> str:
        """What makes the record ids of an org: its seed, its role and, unless it is a copy, its own id."""
        return f"{self.seed} {self.role} {'' if self.copied else self.org_id}"

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def parser() -> argparse.ArgumentParser:
    """Command line with one option a setting."""
    top = argparse.ArgumentParser(
        prog="python -m orgsim", description="A local Salesforce org with the Channel Order App."
    )
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        kind, text = get_args(hint)
        flag = "--" + name.replace("_", "-")
        if kind is bool or bool in get_args(kind):
            top.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        elif get_origin(kind) is list:
            top.add_argument(flag, action="append", default=None, help=text)
        else:
            top.add_argument(flag, type=kind, default=None, help=text)
    return top


def from_arguments(arguments: list[str] | None = None) -> Settings:
    given = {name: value for name, value in vars(parser().parse_args(arguments)).items() if value is not None}
    return Settings(**given)


def to_arguments(switches: dict[str, Any]) -> list[str]:
    """The command line that gives these settings; the inverse of :func:`from_arguments`."""
    names = {item.name for item in dataclasses.fields(Settings)}
    arguments: list[str] = []
    for name, value in switches.items():
        if name not in names:
            raise TypeError(f"orgsim has no setting {name!r}")
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, (list, tuple)):
            for one in value:
                arguments += [f"--{flag}", str(one)]
        elif value is not None:
            arguments += [f"--{flag}", str(value)]
    return arguments
