"""WHERE and HAVING: SOQL's comparisons, which treat null as a value, as SQL."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from orgsim.errors import ApiError
from orgsim.ids import looks_like_id, to_18
from orgsim.schema.model import IDS, NUMBERS, Field
from orgsim.soql.dates import literal_range
from orgsim.soql.scope import Scope
from orgsim.soql.tree import Compare, Function, Literal, Logic, Path, Query

Operand = Callable[[Path | Function], tuple[str, str, Field | None]]
Subquery = Callable[[Query], tuple[str, list[Any]]]
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)


class Conditions:
    """Collects the parameters in the order of the SQL it makes."""

    def __init__(self, scope: Scope, operand: Operand, subquery: Subquery) -> None:
        self.parameters: list[Any] = []
        self._scope = scope
        self._operand = operand
        self._subquery = subquery

    def sql(self, node: Any) -> str:
        if isinstance(node, Logic):
            if node.operator == "not":
                # A comparison with null is false, so its negation is true: SQL's third value must not appear.
                return f"NOT COALESCE({self.sql(node.parts[0])}, 0)"
            return "(" + f" {node.operator.upper()} ".join(self.sql(one) for one in node.parts) + ")"
        assert isinstance(node, Compare)
        sql, kind, one = self._operand(node.operand)
        if one is not None and (one.long_text or one.type in ("address", "location")):
            raise ApiError("INVALID_FIELD", f"field '{one.name}' can not be filtered in a query call")
        if node.operator in ("in_query", "not_in_query"):
            inner, parameters = self._subquery(node.value)
            self.parameters += parameters
            return (
                f"{sql} IN ({inner})"
                if node.operator == "in_query"
                else f"COALESCE({sql} NOT IN ({inner}), 1)"
            )
        if node.operator in ("in", "not_in"):
            return self._in(sql, kind, node)
        if node.operator in ("includes", "excludes"):
            return self._includes(sql, kind, node)
        if node.operator == "like":
            return self._like(sql, kind, node.value)
        return self._compare(sql, kind, node.operator, node.value)

    def _in(self, sql: str, kind: str, node: Compare) -> str:
        nulls = any(one.kind == "word" and one.value.lower() == "null" for one in node.value)
        values = [
            self._value(one, kind)
            for one in node.value
            if not (one.kind == "word" and one.value.lower() == "null")
        ]
        self.parameters += values
        marks = ",".join("?" * len(values))
        if node.operator == "in":
            return f"({sql} IN ({marks}){f' OR {sql} IS NULL' if nulls else ''})"
        return (
            f"({sql} IS NOT NULL AND {sql} NOT IN ({marks}))"
            if nulls
            else f"({sql} IS NULL OR {sql} NOT IN ({marks}))"
        )

    def _includes(self, sql: str, kind: str, node: Compare) -> str:
        if kind != "multipicklist":
            raise ApiError("INVALID_FIELD", f"{node.operator} operator only valid on multipicklist fields")
        tests = []
        for one in node.value:
            parts = str(self._value(one, "string")).split(";")
            tests.append("(" + " AND ".join([f"';' || {sql} || ';' LIKE ?"] * len(parts)) + ")")
            self.parameters += [f"%;{part};%" for part in parts]
        joined = " OR ".join(tests)
        return f"COALESCE({joined}, 0)" if node.operator == "includes" else f"NOT COALESCE({joined}, 0)"

    def _like(self, sql: str, kind: str, literal: Literal) -> str:
        if (
            kind in ("boolean", "date", "datetime", "int", "id", "reference")
            or kind in NUMBERS
            or literal.kind != "string"
        ):
            raise ApiError("INVALID_FIELD", "invalid operator on this field: LIKE")
        self.parameters.append(literal.value)
        return f"{sql} LIKE ? ESCAPE '\\'"

    def _compare(self, sql: str, kind: str, operator: str, literal: Literal) -> str:
        if literal.kind == "word" and literal.value.lower() == "null":
            if operator not in ("=", "!="):
                raise ApiError("MALFORMED_QUERY", "null is only allowed with = and !=")
            return f"{sql} IS {'NOT ' if operator == '!=' else ''}NULL"
        days = None
        if kind in ("date", "datetime") and literal.kind in ("word", "relative"):
            days = literal_range(literal.value, self._scope.clock.today())
        if days is not None:
            return self._range(sql, kind, operator, *days)
        value = self._value(literal, kind)
        if operator in ("=", "!="):
            # An empty string equals null in SOQL.
            if value == "":
                return f"{sql} IS {'NOT ' if operator == '!=' else ''}NULL"
            self.parameters.append(value)
            return f"{sql} IS {'NOT ' if operator == '!=' else ''}?"
        if kind == "boolean":
            raise ApiError("INVALID_FIELD", f"invalid operator on boolean field: {operator}")
        self.parameters.append(value)
        return f"{sql} {operator} ?"

    def _range(self, sql: str, kind: str, operator: str, start: dt.date, end: dt.date) -> str:
        suffix = "T00:00:00.000Z" if kind == "datetime" else ""
        first, after = start.isoformat() + suffix, end.isoformat() + suffix
        if operator in ("=", "!="):
            self.parameters += [first, after]
            inside = f"({sql} >= ? AND {sql} < ?)"
            return inside if operator == "=" else f"NOT COALESCE({inside}, 0)"
        # `> LAST_MONTH` means after its end, `< LAST_MONTH` before its start.
        test, value = {">": (">=", after), ">=": (">=", first), "<": ("<", first), "<=": ("<", after)}[
            operator
        ]
        self.parameters.append(value)
        return f"{sql} {test} ?"

    def _value(self, literal: Any, kind: str) -> Any:
        if not isinstance(literal, Literal):
            raise ApiError("MALFORMED_QUERY", "a literal is expected here")
        text = literal.value
        if literal.kind == "word":
            lowered = text.lower()
            if lowered in ("true", "false") and kind == "boolean":
                return int(lowered == "true")
            raise ApiError(
                "MALFORMED_QUERY" if lowered not in ("true", "false") else "INVALID_FIELD",
                _mismatch(text, kind),
            )
        if kind in IDS:
            if literal.kind != "string":
                raise ApiError("INVALID_FIELD", _mismatch(text, kind))
            if text and not looks_like_id(text):
                raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {text}")
            return to_18(text) if text else ""
        if kind in NUMBERS or kind in ("int", "long"):
            if literal.kind not in ("number", "currency"):
                raise ApiError("INVALID_FIELD", _mismatch(text, kind))
            return float(text)
        if kind == "date":
            if literal.kind == "date":
                return _checked_date(text)
            raise ApiError("INVALID_FIELD", _mismatch(text, kind))
        if kind == "datetime":
            return _datetime(literal)
        if kind == "boolean" or literal.kind != "string":
            raise ApiError("INVALID_FIELD", _mismatch(text, kind))
        return text


def _mismatch(text: str, kind: str) -> str:
    return f"value of filter criterion must be of type {kind} and should not be enclosed otherwise: {text}"


def _checked_date(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise ApiError("INVALID_FIELD", f"invalid date: {text}") from None


def _datetime(literal: Literal) -> str:
    text = literal.value
    if literal.kind == "date":
        return _checked_date(text) + "T00:00:00.000Z"
    if literal.kind != "datetime":
        raise ApiError("INVALID_FIELD", _mismatch(text, "datetime"))
    try:
        zone = _ZONE.search(text)
        moment = dt.datetime.fromisoformat(text[:19]).replace(tzinfo=dt.UTC)
        if zone and zone[0].upper() != "Z":
            sign = -1 if zone[0][0] == "-" else 1
            moment -= sign * dt.timedelta(hours=int(zone[0][1:3]), minutes=int(zone[0][-2:]))
    except (ValueError, OverflowError):
        raise ApiError("INVALID_FIELD", f"invalid dateTime: {text}") from None
    fraction = text[19:].split("Z")[0].split("z")[0].split("+")[0].split("-")[0].lstrip(".")[:3].ljust(3, "0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + (fraction or "000") + "Z"
