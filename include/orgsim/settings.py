"""Every switch of a simulated org, with the reason beside it; the command line is made from this class."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass, field
from typing import Any


def _option(default: Any, text: str) -> Any:
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass
class Settings:
    """What this org is and how it behaves. Booleans become ``--x``/``--no-x``, lists may be given repeatedly."""

    # what the org is
    host: str = _option("127.0.0.1", "address to listen on; only loopback makes sense")
    port: int = _option(9101, "port to listen on; 0 picks a free one")
    role: str = _option("source", "source or target: the same seed gives two consistent orgs")
    seed: int = _option(7, "seed of everything random in the data")
    orders: int = _option(1000, "service orders seeded in the source; 0 seeds only the catalog")
    details_per_order: float = _option(4.5, "average number of details of an order")
    planted: bool = _option(True, "plant the documented difficult records (see /control/planted)")
    empty: bool = _option(False, "seed no records at all but organization, users and permissions")
    org_id: str = _option("", "organization id instead of the one that follows from role and seed")
    sandbox: bool = _option(False, "Organization.IsSandbox")
    package_version: str = _option(
        "3.66", "version of the Channel Order App that is installed; empty: not installed"
    )
    multi_currency: bool = _option(False, "CurrencyIsoCode on every object")
    min_version: float = _option(31.0, "oldest API version offered; older ones answer 410")
    max_version: float = _option(67.0, "newest API version offered")

    # who may log in, and what the integration user may do
    consumer_key: str = _option("coa", "consumer key of the connected app")
    consumer_secret: str = _option("secret", "consumer secret of the connected app")
    username: str = _option("", "user name of the integration user; default integration@<role>.example")
    password: str = _option("password", "password of the integration user")
    security_token: str = _option("TOKEN", "security token of the integration user")
    jwt_public_key: str = _option(
        "", "file with the PEM public key or certificate that JWT assertions must be signed for"
    )
    soap_login: bool = _option(True, "SOAP login() is allowed (always absent from API 65.0)")
    password_flow: bool = _option(True, "the OAuth username-password flow is allowed")
    session_seconds: float = _option(7200.0, "a session ends after this many seconds without a call")
    audit_fields: bool | None = _option(
        None, "user may set audit fields on insert; default: yes in the target only"
    )
    audit_on_upsert: bool = _option(False, "audit fields are honoured on the insert half of an upsert too")
    inactive_owner: bool | None = _option(
        None, "user may assign inactive owners; default: yes in the target only"
    )
    hard_delete: bool = _option(False, "user has the Bulk API Hard Delete permission")
    hide_field: list[str] = _option([], "Object.Field hidden by field-level security; repeatable")
    read_only_field: list[str] = _option([], "Object.Field readable but not writable; repeatable")

    # shape
    migration_fields: bool | None = _option(
        None, "COA_Source_Id__c and its companions exist; default: in the target only"
    )
    partner_fields: bool = _option(
        False, "partner's own custom fields, lookups and the LMA license object exist"
    )
    partner_trigger: bool = _option(False, "a partner trigger stamps a field on each order written")
    restricted_picklists: bool = _option(True, "picklists of the package refuse unknown values")
    drop_picklist_value: list[str] = _option(
        [], "Object.Field=Value missing from the picklist of this org; repeatable"
    )
    add_picklist_value: list[str] = _option([], "Object.Field=Value that only this org has; repeatable")
    draft_job: bool = _option(False, "a scheduled Apex job exists that would submit every Draft order")

    # the package's automation
    workflow_off: list[str] = _option(
        [], "workflow rule switched off: draft, received, pricing, contract_key; repeatable"
    )
    validation_off: list[str] = _option(
        [], "validation rule switched off, by name without namespace; repeatable"
    )

    # protocol
    api_limit: int = _option(100000, "DailyApiRequests.Max")
    bulk_query_limit: int = _option(10000, "Bulk query jobs a day")
    bulk_batch_limit: int = _option(15000, "Bulk ingest batches a day")
    job_delay: float = _option(
        0.1, "seconds that a Bulk job spends waiting in UploadComplete, and again InProgress"
    )
    bulk_workers: int = _option(4, "Bulk jobs processed at a time")
    page_size: int = _option(
        100000, "records of a Bulk query result page when the client gives no maxRecords"
    )
    shuffle: bool = _option(True, "result rows come in another order than sent")
    rerender_numbers: bool = _option(
        True, "numbers in ingest results are rendered as Java doubles, not echoed"
    )
    csv_charset: bool = _option(False, "CSV answers name their charset; Salesforce often does not")
    empty_as_204: bool = _option(False, "an empty result file answers 204 without a body")
    crlf_in_quotes: bool = _option(True, "CRLF inside a quoted value is accepted in a job with lineEnding LF")
    gzip: bool = _option(True, "answers are compressed for clients that accept it")
    created_date_drift: float = _option(0.0, "seconds that the org's clock is ahead of this machine")

    def __post_init__(self) -> None:
        if self.role not in ("source", "target"):
            raise ValueError(f"role must be source or target, not {self.role!r}")
        target = self.role == "target"
        for name in ("audit_fields", "inactive_owner", "migration_fields"):
            if getattr(self, name) is None:
                setattr(self, name, target)
        self.username = self.username or f"integration@{self.role}.example"

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def parser() -> argparse.ArgumentParser:
    """Command line with one option a setting."""
    top = argparse.ArgumentParser(
        prog="python -m orgsim", description=__doc__ and "A local Salesforce org with the COA."
    )
    for item in dataclasses.fields(Settings):
        flag = "--" + item.name.replace("_", "-")
        text = item.metadata["help"]
        kind = str(item.type)
        if kind.startswith("bool"):
            top.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        elif kind.startswith("list"):
            top.add_argument(flag, action="append", default=None, help=text)
        else:
            top.add_argument(flag, type={"int": int, "float": float}.get(kind, str), default=None, help=text)
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
