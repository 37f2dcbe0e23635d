"""Resolving field paths to SQL: joins to parents are added as paths need them, formulas expand in place."""

from __future__ import annotations

from dataclasses import dataclass, field

from orgsim.clock import Clock
from orgsim.errors import ApiError
from orgsim.schema.model import Field, Schema, SObject

_CUSTOM_FIELD_HINT = (
    "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name."
    " Please reference your WSDL or the describe call for the appropriate names."
)
_CUSTOM_RELATION_HINT = (
    "If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship"
    " name. Please reference your WSDL or the describe call for the appropriate names."
)


@dataclass(slots=True)
class _Joins:
    """Shared by a scope and the scopes of its parents: alias and SQL of each joined path."""

    aliases: dict[tuple[str, ...], str] = field(default_factory=dict)
    clauses: list[str] = field(default_factory=list)


class Scope:
    """An object at an alias. ``trusted`` scopes (formulas, the org itself) see fields hidden from the user."""

    def __init__(
        self,
        schema: Schema,
        sobject: SObject,
        clock: Clock,
        *,
        alias: str = "t",
        trusted: bool = False,
        joins: _Joins | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.schema = schema
        self.sobject = sobject
        self.clock = clock
        self.alias = alias
        self.trusted = trusted
        self._joins = joins or _Joins()
        self._prefix = prefix

    def today(self) -> str:
        return self.clock.today().isoformat()

    def field(self, name: str) -> Field:
        one = self.sobject.get(name) if self.trusted else self.schema.visible(self.sobject, name)
        if one is None:
            raise ApiError(
                "INVALID_FIELD",
                f"No such column '{name}' on entity '{self.sobject.name}'. {_CUSTOM_FIELD_HINT}",
            )
        return one

    def parent(self, relationship: str) -> Scope:
        """The scope of a parent; of an owner it is the user."""
        link = self.sobject.by_relationship.get(relationship.lower())
        if link is None or (not self.trusted and self.schema.is_hidden(self.sobject, link)):
            raise ApiError(
                "INVALID_FIELD",
                f"Didn't understand relationship '{relationship}' in field path. {_CUSTOM_RELATION_HINT}",
            )
        target = self.schema["User"] if "User" in link.reference_to else self.schema[link.reference_to[0]]
        path = (*self._prefix, relationship.lower())
        alias = self._joins.aliases.get(path)
        if alias is None:
            alias = f"j{len(self._joins.aliases)}"
            self._joins.aliases[path] = alias
            self._joins.clauses.append(
                f'LEFT JOIN "{target.name}" {alias} ON {alias}."Id" = {self.alias}."{link.name}"'
            )
        return Scope(
            self.schema, target, self.clock, alias=alias, trusted=self.trusted, joins=self._joins, prefix=path
        )

    def resolve(self, path: tuple[str, ...]) -> tuple[Scope, Field]:
        """The scope that holds the last part of the path, and the field."""
        scope = self
        for relationship in path[:-2]:
            scope = scope.parent(relationship)
        if len(path) > 1:
            link = scope.sobject.by_relationship.get(path[-2].lower())
            if path[-1].lower() == "type" and link is not None and link.polymorphic:
                return scope, self._type_of(link)
            scope = scope.parent(path[-2])
        return scope, scope.field(path[-1])

    def _type_of(self, link: Field) -> Field:
        """``What.Type``: the API name of the object that a polymorphic lookup points at, by its key prefix."""
        targets = [self.schema[name] for name in link.reference_to if self.schema.get(name) is not None]
        cases = " ".join(f"WHEN '{one.prefix}' THEN '{one.name}'" for one in targets)
        return Field(
            "Type",
            "Type",
            "string",
            length=40,
            createable=False,
            updateable=False,
            sql=lambda scope: f'CASE substr({scope.alias}."{link.name}", 1, 3) {cases} END',
        )

    def sql(self, one: Field) -> str:
        """SQL of a field of this very object."""
        if one.sql is None:
            return f'{self.alias}."{one.name}"'
        inner = Scope(
            self.schema,
            self.sobject,
            self.clock,
            alias=self.alias,
            trusted=True,
            joins=self._joins,
            prefix=self._prefix,
        )
        return f"({one.sql(inner)})"

    def column(self, *path: str) -> str:
        scope, one = self.resolve(path)
        return scope.sql(one)

    def from_clause(self) -> str:
        return " ".join([f'FROM "{self.sobject.name}" {self.alias}', *self._joins.clauses])
