"""The template environment of the report's pages, and how values are shown in them."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from coa.model import NS


def markdown(value: Any) -> str:
    """Text of an org inside Markdown: none of its signs takes effect, no line break leaves the cell."""
    text = re.sub(r"\s+", " ", "" if value is None else str(value))
    return re.sub(r"([\\`*_{}\[\]<>()#|!~&])", r"\\\1", text)


@cache
def environment() -> Environment:
    """HTML templates escape everything; the Markdown one says `| md` where a text comes from an org."""
    made = Environment(
        loader=PackageLoader("coa.report", "templates"),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["search"] = lambda text, part: part in text
    made.filters |= {
        "md": markdown,
        "label": label,
        "number": number,
        "money": money,
        "time": time,
        "duration": duration,
        "size": size,
        "record": record_link,
    }
    return made


def label(sobject: str) -> str:
    """An sObject or field as people call it.

    >>> label("CHANNEL_ORDERS__Service_Order_Detail__c")
    'Service Order Detail'
    """
    return sobject.removeprefix(NS).removesuffix("__c").replace("_", " ")


def number(value: Any) -> str:
    """With separators; no trailing zeros behind the point."""
    if value is None:
        return ""
    text = f"{Decimal(str(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Any) -> str:
    """`1,234.50`; empty for none."""
    return "" if value is None else f"{Decimal(str(value)):,.2f}"


def time(value: datetime | None) -> str:
    """`2026-01-31 12:00:00 UTC`; a dash for none."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "–"


def duration(seconds: float | None) -> str:
    """
    >>> duration(3723.4)
    '1 h 02 min 03 s'
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min {rest:02d} s" if hours else f"{minutes} min {rest:02d} s"


def size(count: int) -> str:
    """Bytes in decimal units: `1.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"


def record_link(record_id: str | None, base: str, what: str) -> Markup:
    """A link to a record in its org; plain text where there is no id or no web address to trust."""
    if not record_id:
        return Markup('<span class="none">–</span>')
    if not re.match(r"https?://", base) or not record_id.isalnum():
        return Markup("<code>{}</code>").format(record_id)
    return Markup('<a href="{}/{}" rel="noreferrer" aria-label="{} {}"><code>{}</code></a>').format(
        base.rstrip("/"), record_id, what, record_id, record_id
    )
