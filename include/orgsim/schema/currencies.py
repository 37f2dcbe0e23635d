"""Which currencies an org has (`--multi-currency`): codes, rates, what is switched off.

Object reference, CurrencyType and DatedConversionRate: the first exists with multi-currency on, the second with
advanced currency management as well. `ConversionRate` says how much of a currency one unit of the corporate one is,
whose rate is 1. An inactive currency stays on records that have it and is offered for no new one (Salesforce Help,
"Activate multiple currencies"); that the picklist refuses it by the API is inferred.
"""

from __future__ import annotations

from dataclasses import dataclass

from orgsim.schema.model import Field, SObject
from orgsim.schema.system import audit, flag, head, picklist, read_only
from orgsim.settings import Settings

RATES = {"AUD": 1.52, "EUR": 0.92, "GBP": 0.79, "JPY": 151.0, "SEK": 10.5, "USD": 1.0}
CORPORATE = "USD"


@dataclass(frozen=True)
class Currency:
    code: str
    rate: float
    active: bool = True

    @property
    def decimals(self) -> int:
        return 0 if self.code == "JPY" else 2


def currencies(settings: Settings) -> list[Currency]:
    """Those of an org, by code: the usual ones, or what `--currency CODE=RATE[:inactive]` says."""
    if not settings.currency:
        return [Currency(code, rate) for code, rate in RATES.items()]
    found = []
    for said in settings.currency:
        code, _, rest = said.partition("=")
        rate, _, state = rest.partition(":")
        try:
            found.append(Currency(code, float(rate), active=state != "inactive"))
        except ValueError:
            raise ValueError(
                f"--currency {said!r} is not of the form CODE=RATE or CODE=RATE:inactive"
            ) from None
    return sorted(found, key=lambda one: one.code)


def currency_code(settings: Settings) -> Field:
    """CurrencyIsoCode of every record."""
    active = tuple(one.code for one in currencies(settings) if one.active)
    return picklist(
        "CurrencyIsoCode", "Currency ISO Code", active, restricted=True, default=corporate(settings).code
    )


def corporate(settings: Settings) -> Currency:
    """The currency whose rate is 1; the first of several."""
    return next(one for one in currencies(settings) if one.rate == 1.0)


def build(settings: Settings) -> list[SObject]:
    """CurrencyType, and DatedConversionRate where dated rates are on; none in an org of one currency."""
    if not settings.multi_currency:
        return []
    every = tuple(one.code for one in currencies(settings))
    code = picklist("IsoCode", "Currency ISO Code", every, nillable=False)
    rate = Field("ConversionRate", "Conversion Rate", "double", precision=18, scale=6)
    shown = [
        _setup(
            "CurrencyType",
            "01L",
            [
                code,
                rate,
                Field("DecimalPlaces", "Decimal Places", "int"),
                flag("IsActive", "Active"),
                flag("IsCorporate", "Is Corporate Currency"),
            ],
        )
    ]
    if settings.dated_rates:
        start = Field("StartDate", "Start Date", "date")
        following = Field("NextStartDate", "Next Start Date", "date")
        shown.append(_setup("DatedConversionRate", "04w", [code, rate, start, following]))
    return shown


def _setup(name: str, prefix: str, fields: list[Field]) -> SObject:
    own = [head()[0], *map(read_only, fields), *audit(False)]
    return SObject(
        name, name, name + "s", own, prefix, createable=False, updateable=False, deletable=False, bulk=False
    )
