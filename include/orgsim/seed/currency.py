"""Currencies of a seeded org: its list of them, and in which its records are."""

from __future__ import annotations

from orgsim.org import Org
from orgsim.schema.coa import DETAIL, NS, ORDER, TERMS
from orgsim.schema.currencies import corporate, currencies

_STAMP = "2012-01-02T08:00:00.000Z"
_STAMPS = {"CreatedDate": _STAMP, "LastModifiedDate": _STAMP, "SystemModstamp": _STAMP}


def seed(org: Org) -> None:
    """The org's currencies; a moved rate a year where they are dated."""
    if not org.settings.multi_currency:
        return
    main = corporate(org.settings).code
    for one in currencies(org.settings):
        org.store.add(
            "CurrencyType",
            IsoCode=one.code,
            ConversionRate=one.rate,
            DecimalPlaces=one.decimals,
            IsActive=int(one.active),
            IsCorporate=int(one.code == main),
            **_STAMPS,
        )
        if org.settings.dated_rates:
            for year in (2023, 2024):
                org.store.add(
                    "DatedConversionRate",
                    IsoCode=one.code,
                    ConversionRate=one.rate * (1.0 if one.code == main else 0.9 + (year - 2023) / 10),
                    StartDate=f"{year}-01-01",
                    NextStartDate=f"{year + 1}-01-01",
                    **_STAMPS,
                )


def put_on_records(org: Org) -> None:
    """Contract terms are in their currency, orders and details in that of their contract; else the corporate one."""
    if not org.settings.multi_currency or org.schema.get(DETAIL) is None:
        return
    contract = f'SELECT c."{NS}Default_Contract_Currency__c" FROM "{TERMS}" c WHERE c."Id" ='
    for name, link in (
        (TERMS, "Id"),
        (ORDER, NS + "Partner_Contract_Rules__c"),
        (DETAIL, NS + "pc_Partner_Contract_Term__c"),
    ):
        org.store.execute(
            f'UPDATE "{name}" SET "CurrencyIsoCode" = COALESCE(({contract} "{name}"."{link}"), "CurrencyIsoCode", ?)',
            [corporate(org.settings).code],
        )
