"""From a SOQL tree to SQL over the store, with what is needed to render the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orgsim.clock import Clock
from orgsim.errors import ApiError
from orgsim.schema.model import Field, Schema, SObject
from orgsim.soql.conditions import Conditions
from orgsim.soql.scope import Scope
from orgsim.soql.tree import Compare, Function, Logic, OrderBy, Path, Query, Select

AGGREGATES = {"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"}
_DATE_PARTS = {
    "CALENDAR_YEAR": "%Y",
    "CALENDAR_MONTH": "%m",
    "DAY_IN_MONTH": "%d",
    "DAY_IN_YEAR": "%j",
    "HOUR_IN_DAY": "%H",
    "WEEK_IN_YEAR": "%W",
    "FISCAL_YEAR": "%Y",
    "FISCAL_MONTH": "%m",
}
_SAME = {"TOLABEL", "FORMAT", "CONVERTCURRENCY", "CONVERTTIMEZONE"}


@dataclass(slots=True)
class Column:
    """One result column: its path in canonical names (or its alias), type and SQL."""

    path: tuple[str, ...]
    kind: str
    sql: str
    field: Field | None = None


@dataclass(slots=True)
class Plan:
    """A compiled query. ``parents`` gives, for each relationship path, the object and the SQL of its Id."""

    query: Query
    sobject: SObject
    columns: list[Column] = field(default_factory=list)
    parents: dict[tuple[str, ...], tuple[SObject, str]] = field(default_factory=dict)
    aggregate: bool = False
    count_only: bool = False
    from_clause: str = ""
    where: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    having: str = ""
    having_parameters: list[Any] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    children: list[tuple[str, Field, Plan]] = field(default_factory=list)

    def sql(self, columns: list[str] | None = None, extra_where: str = "", *, window: bool = True) -> str:
        """The SELECT; ``columns`` replaces the rendered ones, ``window`` applies ORDER BY, LIMIT and OFFSET."""
        listed = ", ".join(columns if columns is not None else [one.sql for one in self.columns]) or "1"
        where = " AND ".join([*self.where, *([extra_where] if extra_where else [])])
        parts = [f"SELECT {listed} {self.from_clause}"]
        if where:
            parts.append(f"WHERE {where}")
        if self.group:
            parts.append("GROUP BY " + ", ".join(self.group))
        if self.having:
            parts.append("HAVING " + self.having)
        if window:
            if self.order:
                parts.append("ORDER BY " + ", ".join(self.order))
            if self.query.limit is not None or self.query.offset is not None:
                parts.append(f"LIMIT {self.query.limit if self.query.limit is not None else -1}")
                parts.append(f"OFFSET {self.query.offset or 0}")
        return " ".join(parts)

    def all_parameters(self) -> list[Any]:
        return [*self.parameters, *self.having_parameters]


class Compiler:
    """Compiles queries for one org's schema; raises the API's own errors for what it refuses."""

    def __init__(self, schema: Schema, clock: Clock) -> None:
        self.schema = schema
        self.clock = clock

    def compile(self, query: Query, *, include_deleted: bool = False, tooling: bool = False) -> Plan:
        sobject = self._source(query, tooling)
        return self._plan(query, sobject, include_deleted or query.all_rows)

    def _source(self, query: Query, tooling: bool) -> SObject:
        sobject = self.schema.get(query.source)
        if sobject is None or (sobject.tooling and not tooling):
            raise unsupported_object(query)
        return sobject

    def _plan(self, query: Query, sobject: SObject, include_deleted: bool) -> Plan:
        plan = Plan(query, sobject)
        scope = Scope(self.schema, sobject, self.clock)
        if query.typeof:
            raise ApiError("MALFORMED_QUERY", "TYPEOF is not supported in this organization")
        self._select(query, scope, plan)
        for name, number in (("limit", query.limit), ("offset", query.offset)):
            if number is not None and not 0 <= number < 2**31:
                raise ApiError("MALFORMED_QUERY", f"Query {name} must be a number between 0 and 2147483647")
        if (query.offset or 0) > 2000:
            raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        conditions = Conditions(scope, self._operand(scope, query), self._subquery)
        if query.where is not None:
            plan.where.append(conditions.sql(query.where))
            plan.parameters += conditions.parameters
        if sobject.get("IsDeleted") and not include_deleted:
            plan.where.append(f'{scope.alias}."IsDeleted" = 0')
        self._group(query, scope, plan)
        plan.order = [self._order(one, scope, plan) for one in query.order]
        for child in query.children:
            plan.children.append(self._child(child, sobject, include_deleted))
        plan.from_clause = scope.from_clause()
        return plan

    # SELECT ------------------------------------------------------------------------------------------------

    def _select(self, query: Query, scope: Scope, plan: Plan) -> None:
        items = self._expand(query, scope)
        if [one.what for one in items] == [Function("COUNT", ())]:
            plan.count_only = True
            plan.columns = [Column(("count",), "int", "COUNT(*)")]
            return
        plan.aggregate = bool(query.group) or any(_is_aggregate(one.what) for one in items)
        anonymous = 0
        seen: set[tuple[str, ...]] = set()
        for item in items:
            if isinstance(item.what, Function):
                sql, kind = self.function(item.what, scope)
                if item.alias:
                    name = item.alias
                else:
                    name, anonymous = f"expr{anonymous}", anonymous + 1
                if item.what.name in _SAME and not item.alias:
                    name, anonymous = item.what.arguments[0][-1], anonymous - 1
                plan.columns.append(Column((name,), kind, sql))
                continue
            path = _strip_alias(item.what, query)
            inner, one = scope.resolve(path)
            canonical = (*self._canonical(path[:-1], scope), one.name)
            if canonical in seen:
                raise ApiError("INVALID_FIELD", f"duplicate field selected: {'.'.join(canonical)}")
            seen.add(canonical)
            if plan.aggregate:
                canonical = (item.alias or one.name,)
            sql = masked(inner.sql(one)) if one.masked else inner.sql(one)
            plan.columns.append(Column(canonical, one.type, sql, one))
        if not plan.aggregate:
            self._parent_ids(scope, plan)

    def _expand(self, query: Query, scope: Scope) -> list[Select]:
        """FIELDS(ALL|STANDARD|CUSTOM) in the select list."""
        items: list[Select] = []
        for item in query.select:
            if isinstance(item.what, Function) and item.what.name == "FIELDS":
                which = item.what.arguments[0][0].upper() if item.what.arguments else ""
                if which != "STANDARD" and (query.limit is None or query.limit > 200):
                    raise ApiError(
                        "MALFORMED_QUERY", "The SOQL FIELDS function must have a LIMIT of at most 200"
                    )
                items += [
                    Select((one.name,))
                    for one in scope.sobject.fields
                    if not self.schema.is_hidden(scope.sobject, one)
                    and (which == "ALL" or one.custom == (which == "CUSTOM"))
                ]
            else:
                items.append(item)
        return items

    def _canonical(self, relationships: Path, scope: Scope) -> Path:
        names: list[str] = []
        for part in relationships:
            link = scope.sobject.by_relationship[part.lower()]
            names.append(str(link.relationship_name))
            scope = scope.parent(part)
        return tuple(names)

    def _parent_ids(self, scope: Scope, plan: Plan) -> None:
        """Hidden Id columns: REST answers carry each record's URL, and null parents must show as null."""
        paths: list[Path] = [()]
        for one in plan.columns:
            for depth in range(1, len(one.path)):
                if one.path[:depth] not in paths:
                    paths.append(one.path[:depth])
        for path in paths:
            inner = scope
            for part in path:
                inner = inner.parent(part)
            plan.parents[path] = (inner.sobject, f'{inner.alias}."Id"')

    # the rest ----------------------------------------------------------------------------------------------

    def function(self, call: Function, scope: Scope) -> tuple[str, str]:
        """SQL and type of a function call."""
        if call.name == "COUNT" and not call.arguments:
            return "COUNT(*)", "int"
        if len(call.arguments) != 1 or call.name == "FIELDS":
            raise ApiError("MALFORMED_QUERY", f"unexpected function: {call.name}")
        argument = call.arguments[0]
        if isinstance(argument, Function):
            inner, kind = self.function(argument, scope)
        elif isinstance(argument, tuple):
            holder, one = scope.resolve(argument)
            inner, kind = holder.sql(one), one.type
        else:
            raise ApiError("MALFORMED_QUERY", f"unexpected argument of {call.name}")
        if call.name in _SAME:
            return inner, kind
        if call.name in ("COUNT", "COUNT_DISTINCT"):
            return f"COUNT({'DISTINCT ' if call.name == 'COUNT_DISTINCT' else ''}{inner})", "int"
        if call.name in ("SUM", "AVG"):
            if kind not in ("double", "currency", "percent", "int"):
                raise ApiError("INVALID_FIELD", f"field does not support aggregate operator {call.name}")
            return f"{call.name}({inner})", "double" if kind == "int" and call.name == "AVG" else kind
        if call.name in ("MIN", "MAX"):
            return f"{call.name}({inner})", kind
        if call.name in _DATE_PARTS and kind in ("date", "datetime"):
            return f"CAST(strftime('{_DATE_PARTS[call.name]}', {inner}) AS INTEGER)", "int"
        if call.name == "DAY_ONLY" and kind == "datetime":
            return f"SUBSTR({inner}, 1, 10)", "date"
        if call.name == "DAY_IN_WEEK" and kind in ("date", "datetime"):
            return f"CAST(strftime('%w', {inner}) AS INTEGER) + 1", "int"
        if call.name == "CALENDAR_QUARTER" and kind in ("date", "datetime"):
            return f"(CAST(strftime('%m', {inner}) AS INTEGER) + 2) / 3", "int"
        raise ApiError("MALFORMED_QUERY", f"unexpected function: {call.name}")

    def _operand(self, scope: Scope, query: Query) -> Any:
        def operand(what: Path | Function) -> tuple[str, str, Field | None]:
            if isinstance(what, Function):
                return (*self.function(what, scope), None)
            inner, one = scope.resolve(_strip_alias(what, query))
            return inner.sql(one), one.type, one

        return operand

    def _group(self, query: Query, scope: Scope, plan: Plan) -> None:
        for item in query.group:
            if isinstance(item, Function):
                plan.group.append(self.function(item, scope)[0])
            else:
                inner, one = scope.resolve(_strip_alias(item, query))
                plan.group.append(inner.sql(one))
        if plan.aggregate:
            for column in plan.columns:
                if column.field is not None and column.sql not in plan.group:
                    raise ApiError(
                        "MALFORMED_QUERY", f"Field must be grouped or aggregated: {column.field.name}"
                    )
        if query.having is not None:
            conditions = Conditions(scope, self._operand(scope, query), self._subquery)
            plan.having = conditions.sql(query.having)
            plan.having_parameters = conditions.parameters

    def _order(self, item: OrderBy, scope: Scope, plan: Plan) -> str:
        if isinstance(item.what, Function):
            sql = self.function(item.what, scope)[0]
        else:
            alias = next((one.sql for one in plan.columns if plan.aggregate and one.path == item.what), None)
            if alias is None:
                inner, one = scope.resolve(_strip_alias(item.what, plan.query))
                if one.long_text or one.type in ("address", "location"):
                    raise ApiError("INVALID_FIELD", f"field '{one.name}' can not be sorted in a query call")
                alias = inner.sql(one)
            sql = alias
        return f"{sql} {'DESC' if item.descending else 'ASC'} NULLS {'LAST' if item.nulls_last else 'FIRST'}"

    def _subquery(self, query: Query, include_deleted: bool = False) -> tuple[str, list[Any]]:
        plan = self._plan(query, self._source(query, False), include_deleted)
        if len(plan.columns) != 1 or plan.aggregate or query.children:
            raise ApiError("MALFORMED_QUERY", "a semi join sub-select must select exactly one field")
        return plan.sql(), plan.all_parameters()

    def _child(self, child: Query, parent: SObject, include_deleted: bool) -> tuple[str, Field, Plan]:
        for sobject, link in self.schema.children(parent.name):
            name = link.child_relationship
            if (
                name is not None
                and name.lower() == child.source.lower()
                and not self.schema.is_hidden(sobject, link)
            ):
                plan = self._plan(child, sobject, include_deleted)
                if plan.aggregate or plan.count_only:
                    raise ApiError("MALFORMED_QUERY", "aggregates are not allowed in a relationship query")
                return name, link, plan
        raise ApiError(
            "INVALID_TYPE",
            f"Didn't understand relationship '{child.source}' in FROM part of query call."
            " If you are attempting to use a custom relationship, be sure to append the '__r' after the custom"
            " relationship name. Please reference your WSDL or the describe call for the appropriate names.",
        )


def unsupported_object(query: Query) -> ApiError:
    """INVALID_TYPE with the picture of the contract (E3)."""
    from orgsim.soql.tree import located

    text = query.text or f"SELECT Id FROM {query.source}"
    column = max(text.lower().find("from " + query.source.lower()), 0) + 6
    hint = (
        f"sObject type '{query.source}' is not supported. If you are attempting to use a custom object, be sure to"
        " append the '__c' after the entity name. Please reference your WSDL or the describe call for the"
        " appropriate names."
    )
    return ApiError("INVALID_TYPE", located(text, 1, column, hint))


def _is_aggregate(what: Path | Function) -> bool:
    return isinstance(what, Function) and (
        what.name in AGGREGATES
        or any(isinstance(one, Function) and _is_aggregate(one) for one in what.arguments)
    )


def _strip_alias(path: Path, query: Query) -> Path:
    """``a.Name`` of ``FROM Account a``, and ``Account.Name`` of ``FROM Account``."""
    if len(path) > 1 and path[0].lower() in (query.alias.lower(), query.source.lower()):
        return path[1:]
    return path


__all__ = ["AGGREGATES", "Column", "Compare", "Compiler", "Logic", "Plan", "unsupported_object"]


def masked(sql: str) -> str:
    """What a user without View Encrypted Data is shown: an asterisk a character."""
    return f"CASE WHEN {sql} IS NULL THEN NULL ELSE REPLACE(HEX(ZEROBLOB(LENGTH({sql}))), '00', '*') END"
