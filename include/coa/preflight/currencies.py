"""Which currencies the two orgs have, and by which rates they convert.

CurrencyType exists with multi-currency on, DatedConversionRate with advanced currency management as well (object
reference). An amount is stored in the currency of its record; what an org shows in another one it converts itself.
Dated rates apply to opportunities and what belongs to them; custom objects are converted by the rates of today
(Salesforce Help, "About Advanced Currency Management").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coa.findings.finding import Finding, finding
from coa.model import CURRENCY, ORDER
from coa.preflight.probe import Probe
from coa.salesforce.describe import Describe
from coa.staging.runs import SOURCE, TARGET

FIELDS = "IsoCode, ConversionRate, IsActive, IsCorporate"
SAME_RATE = 1e-6
"""Relative; rates have six digits behind the point."""


@dataclass(frozen=True)
class Currencies:
    """Of one org: code -> units for one of the corporate currency. `dated`: rates have dates."""

    rates: dict[str, float]
    inactive: frozenset[str] = frozenset()
    dated: bool = False

    @property
    def active(self) -> list[str]:
        """Codes of the active currencies, sorted."""
        return sorted(self.rates.keys() - self.inactive)


def currencies_of(probe: Probe, described: dict[str, Describe]) -> Currencies | None:
    """None for an org of one currency, or one that does not tell."""
    if ORDER not in described or CURRENCY not in described[ORDER].fields:
        return None
    rows = probe.rows("currencies", f"SELECT {FIELDS} FROM CurrencyType")
    # Where rates have no dates the object does not exist.
    dated = probe.quiet().count("", "DatedConversionRate")
    return None if rows is None else read(rows, dated=bool(dated))


def read(rows: list[dict[str, Any]], *, dated: bool) -> Currencies:
    """From records of CurrencyType."""
    return Currencies(
        {str(r["IsoCode"]): float(r["ConversionRate"]) for r in rows},
        frozenset(str(r["IsoCode"]) for r in rows if not r["IsActive"]),
        dated,
    )


def check_currencies(found: Mapping[str, Currencies | None]) -> list[Finding]:
    """What differs between two orgs that both have several currencies; notes, for records are judged one by one."""
    findings = [
        finding("note", f"currency_rates_dated_{role}", role=role)
        for role, one in found.items()
        if one and one.dated
    ]
    source, target = found.get(SOURCE), found.get(TARGET)
    if not (source and target):
        return findings
    lacking = [
        f"{code} ({'inactive' if code in target.rates else 'missing'})"
        for code in sorted(source.rates)
        if code not in target.active
    ]
    if lacking:
        findings.append(finding("note", "currencies_differ", names=lacking))
    other = _other_rates(source.rates, target.rates)
    if other:
        findings.append(finding("note", "currency_rates_differ", names=other))
    return findings


def _other_rates(source: dict[str, float], target: dict[str, float]) -> list[str]:
    """Currencies that the orgs convert into one another differently, whatever their corporate currencies are.

    >>> _other_rates({"USD": 1.0, "EUR": 0.5}, {"USD": 2.0, "EUR": 1.0})
    []
    >>> _other_rates({"USD": 1.0, "EUR": 0.5}, {"USD": 1.0, "EUR": 0.8})
    ['EUR (0.5 to 1 USD in the source, 0.8 in the target)']
    """
    common = sorted(code for code in source.keys() & target.keys() if source[code] and target[code])
    if not common:
        return []
    base = "USD" if "USD" in common else common[0]
    return [
        f"{code} ({source[code] / source[base]:.6g} to 1 {base} in the source, {target[code] / target[base]:.6g} in "
        "the target)"
        for code in common
        if abs(source[code] / source[base] / (target[code] / target[base]) - 1) > SAME_RATE
    ]
