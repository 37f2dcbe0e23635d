"""Values on their way in and out: CSV text, JSON, and the stored form.

Stored: text as sent, booleans 0/1, numbers as doubles, dates ``YYYY-MM-DD``, date-times ``...T...000Z`` (UTC).
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from orgsim.errors import RowError
from orgsim.ids import looks_like_id, to_18
from orgsim.schema.model import IDS, NUMBERS, Field

_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?\Z"
)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,3}))?Z?\Z")
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})
_EARLIEST, _LATEST = 1700, 4000


class BadValue(Exception):
    """The value does not fit the field; carries the row error."""

    def __init__(self, code: str, message: str, field: Field) -> None:
        super().__init__(message)
        self.error = RowError(code, message, (field.name,))


def _wrong_type(text: str, field: Field) -> BadValue:
    return BadValue(
        "INVALID_TYPE_ON_FIELD_IN_RECORD", f"{field.label}: value not of required type: {text}", field
    )


def java_double(value: float | None) -> str | None:
    """A double as ``Double.toString`` prints it: scientific below 1e-3 and from 1e7 on (contract I7)."""
    if value is None:
        return None
    value = float(value)
    size = abs(value)
    if size == 0:
        return "0.0"
    if 1e-3 <= size < 1e7:
        text = repr(value)
        return text if "." in text else text + ".0"
    mantissa, _, exponent = f"{Decimal(repr(value)):E}".partition("E")
    digits = mantissa.rstrip("0") if "." in mantissa else mantissa
    if digits.endswith("."):
        digits += "0"
    elif "." not in digits:
        digits += ".0"
    return f"{digits}E{int(exponent)}"


# in -----------------------------------------------------------------------------------------------------------


def parse_datetime(text: str, field: Field) -> str:
    if (
        not field.milliseconds
        and len(text) == 20
        and text[19] == "Z"
        and text[10] == "T"
        and "1700" <= text[:4] < "4000"
    ):
        # The form that nearly every client sends, without the cost of the general one.
        try:
            dt.datetime.fromisoformat(text)
        except ValueError:
            raise _wrong_type(text, field) from None
        return text[:19] + ".000Z"
    match = _DATETIME.match(text)
    if match is None:
        raise _wrong_type(text, field)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = dt.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=dt.UTC
        )
        if zone and zone != "Z":
            sign = -1 if zone[0] == "-" else 1
            moment -= sign * dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    except (ValueError, OverflowError):
        raise _wrong_type(text, field) from None
    if not _EARLIEST <= moment.year <= _LATEST:
        raise BadValue("NUMBER_OUTSIDE_VALID_RANGE", f"{field.label}: invalid date: {text}", field)
    kept = f"{fraction or '':0<3}"[:3] if field.milliseconds else "000"
    return moment.strftime(f"%Y-%m-%dT%H:%M:%S.{kept}Z")


def parse_date(text: str, field: Field) -> str:
    if len(text) == 10 and text[4] == text[7] == "-" and "1700" <= text[:4] < "4000":
        # As above: the plain form without the cost of the general one.
        try:
            dt.date.fromisoformat(text)
        except ValueError:
            raise _wrong_type(text, field) from None
        return text
    match = _DATE.match(text[:10])
    rest = text[10:]
    if match is None or (rest and rest != "Z" and not _DATETIME.match(text)):
        raise _wrong_type(text, field)
    try:
        day = dt.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise _wrong_type(text, field) from None
    if not _EARLIEST <= day.year <= _LATEST:
        raise BadValue("NUMBER_OUTSIDE_VALID_RANGE", f"{field.label}: invalid date: {text}", field)
    return day.isoformat()


def parse_number(text: str, field: Field) -> float:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise _wrong_type(text, field) from None
    if not number.is_finite():
        raise _wrong_type(text, field)
    if field.precision and number.adjusted() >= field.precision - field.scale and number:
        message = f"{field.label}: value outside of valid range on numeric field: {text}"
        raise BadValue("NUMBER_OUTSIDE_VALID_RANGE", message, field)
    step = Decimal(1).scaleb(-field.scale)
    # Salesforce rounds to the field's scale, half away from zero.
    rounding = ROUND_DOWN if field.rounds_down else ROUND_HALF_UP
    return float(number.quantize(step, rounding) if field.precision else number)


def parse_int(text: str, field: Field) -> int:
    number = parse_number(text, field)
    if number != int(number) or abs(number) >= 2**31:
        raise _wrong_type(text, field)
    return int(number)


def parse_boolean(text: str, field: Field) -> int:
    lowered = text.strip().lower()
    if field.no_digits and lowered in ("0", "1"):
        raise _wrong_type(text, field)
    if lowered in _TRUE:
        return 1
    if lowered in _FALSE:
        return 0
    raise _wrong_type(text, field)


def parse_id(text: str, field: Field) -> str:
    if not looks_like_id(text):
        raise BadValue("MALFORMED_ID", f"{field.label}: id value of incorrect type: {text}", field)
    return to_18(text)


def parse_text(text: str, field: Field) -> str | None:
    if field.trims:
        text = text.rstrip()
    if field.trims_start:
        text = text.lstrip()
    if text_length(text, field) > field.length:
        message = f"{field.label}: data value too large: {text} (max length={field.length})"
        raise BadValue("STRING_TOO_LONG", message, field)
    if "\x00" in text:
        raise BadValue("INVALID_TYPE_ON_FIELD_IN_RECORD", f"{field.label}: value not of required type", field)
    return text or None


def is_email(text: str) -> bool:
    """As Salesforce Help 000384328 has it: any script; several periods in the local part, but none at its beginning."""
    local, _, domain = text.partition("@")
    if any(one.isspace() or one in '@,;:<>\\()[]"' for one in local + domain):
        return False
    labels = domain.split(".")
    fine = all(
        label and not label.startswith("-") and not label.endswith("-")
        and not set(label) & set("!#$%&'*+/=?^_`{|}~")
        for label in labels
    )  # fmt: skip
    return bool(local) and not local.startswith(".") and len(labels) > 1 and fine


def text_length(text: str, field: Field) -> int:
    """Characters as this org counts them: of Unicode, or of UTF-16, where one beyond the first plane is two."""
    return len(text.encode("utf-16-le")) // 2 if field.utf16 else len(text)


def parse_email(text: str, field: Field) -> str | None:
    if not is_email(text):
        raise BadValue("INVALID_EMAIL_ADDRESS", f"{field.label}: invalid email address: {text}", field)
    return parse_text(text, field)


def parse_picklist(text: str, field: Field) -> str | None:
    if field.restricted and text not in field.picklist:
        matched = next((value for value in field.picklist if value.lower() == text.lower()), None)
        if matched is None:
            message = f"{field.label}: bad value for restricted picklist field: {text}"
            raise BadValue("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, field)
        return matched
    return parse_text(text, field)


def parse_multipicklist(text: str, field: Field) -> str | None:
    """Values separated by semicolons; stored once each, in the order of the field."""
    values = [value for value in text.split(";") if value]
    unknown = [value for value in values if value not in field.picklist]
    if field.restricted and unknown:
        message = f"{field.label}: bad value for restricted picklist field: {unknown[0]}"
        raise BadValue("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, field)
    known = [value for value in field.picklist if value in values]
    return parse_text(";".join([*known, *dict.fromkeys(unknown)]), field)


def parse_time(text: str, field: Field) -> str:
    match = _TIME.match(text)
    if match is None:
        raise _wrong_type(text, field)
    return f"{match[1]}:{match[2]}:{match[3]}.{(match[4] or '')[:3]:0<3}Z"


_PARSERS: dict[str, Callable[[str, Field], Any]] = {
    "datetime": parse_datetime,
    "date": parse_date,
    "boolean": parse_boolean,
    "int": parse_int,
    "email": parse_email,
    "picklist": parse_picklist,
    "multipicklist": parse_multipicklist,
    "time": parse_time,
    # Of any length; decoded when it is stored.
    "base64": lambda text, _field: text,
    **dict.fromkeys(NUMBERS, parse_number),
    **dict.fromkeys(IDS, parse_id),
}


def parser_for(field: Field) -> Callable[[str, Field], Any]:
    return _PARSERS.get(field.type, parse_text)


def from_text(text: str, field: Field) -> Any:
    """Stored form of a non-empty CSV value; raises :class:`BadValue`."""
    return parser_for(field)(text, field)


def from_json(value: object, field: Field) -> Any:
    """Stored form of a JSON value; strings are converted as text, other types must fit the field."""
    if value is None or value == "":
        return None if field.type != "boolean" else 0
    if isinstance(value, str):
        return from_text(_line_ends(value, field), field)
    if isinstance(value, bool):
        if field.type == "boolean":
            return int(value)
    elif isinstance(value, (int, float)):
        if field.type in NUMBERS or field.type in ("int", "long"):
            if isinstance(value, float) and not math.isfinite(value):
                raise BadValue(
                    "JSON_PARSER_ERROR", f"Cannot deserialize instance of {field.type} from {value}", field
                )
            return from_text(repr(value), field)
        if field.type in ("string", "textarea", "phone", "picklist"):
            return from_text(str(value), field)
    raise BadValue("JSON_PARSER_ERROR", f"Cannot deserialize instance of {field.type} from {value!r}", field)


def _line_ends(text: str, field: Field) -> str:
    """Line ends of a text that comes by REST."""
    if field.rest_crlf_to_lf:
        text = text.replace("\r\n", "\n")
    return re.sub("\r(?!\n)", "\n", text) if field.rest_cr_to_lf else text


# out ----------------------------------------------------------------------------------------------------------


def to_json_converter(field: Field | None, kind: str = "") -> Callable[[Any], Any] | None:
    """How REST prints this field; None: as stored. Date-times end in ``+0000`` (contract C3)."""
    kind = kind or (field.type if field else "")
    if kind == "boolean":
        return bool  # a record from before the field was made has it unticked, as in Bulk results
    if kind == "datetime":
        return lambda value: None if value is None else value[:-1] + "+0000"
    if kind in NUMBERS:
        return lambda value: None if value is None else float(value)
    if kind == "complexvalue":
        # Metadata of a set-up record: an object, kept as its JSON.
        return lambda value: None if value is None else json.loads(value)
    return None


def csv_expression(sql: str, kind: str, *, java: bool = True) -> str:
    """SQL that renders a stored value as Bulk query text: Java doubles, ``true``/``false`` (contract C3)."""
    if kind == "boolean":
        return f"CASE WHEN {sql} THEN 'true' ELSE 'false' END"
    if kind in NUMBERS and not java:
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE RTRIM(RTRIM(PRINTF('%.10f', {sql}), '0'), '.') END"
    if kind in NUMBERS:
        plain = f"ABS({sql}) BETWEEN 0.001 AND 9999999.999"
        return f"CASE WHEN {sql} IS NULL THEN NULL WHEN {plain} THEN CAST({sql} AS TEXT) ELSE java_double({sql}) END"
    return sql
