"""Custom rules: a Python function over bounded chunks of desired records, for what a file cannot say.

The contract of the function:

    def tidy(desired: pandas.DataFrame, source: pandas.DataFrame) -> pandas.DataFrame

Both frames have the same rows, indexed by source record id. `desired` has one column a carried field of
the target, `source` every field that was extracted; all values are text in Salesforce's form, or None.
The function returns `desired` with values changed: the same rows, no column that was not there. Key fields
and links to records that are moved themselves cannot be changed. It gets up to `CHUNK_ROWS` rows a call, in
the order of their ids, and must give the same answer for the same rows each time, because a retried task
calls it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from traceback import extract_tb
from typing import Any

import pandas
from psycopg import errors as postgres_errors
from psycopg import sql

from coa.errors import ConfigurationError, InvalidParams
from coa.fields.field_map import FieldMapping
from coa.mapping.model import CustomRule, Mapping
from coa.mapping.place import CUSTOM_RULES, custom_rules_allowed
from coa.model import MIGRATION_FIELDS
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

CHUNK_ROWS = 5000

Rule = Callable[[pandas.DataFrame, pandas.DataFrame], pandas.DataFrame]


def apply_custom_rules(run: Run, carried: dict[str, list[FieldMapping]], mapping: Mapping) -> None:
    """Changes the desired tables in place. Raises `ConfigurationError` when a function breaks its contract."""
    for sobject, custom in mapping.custom.items():
        function = load_function(custom)
        name = f"{Path(custom.path).name}:{custom.function}"
        changed = _apply(run, sobject, carried[sobject], function, name)
        run.events.add("custom_rule_applied", sobject=sobject, rule=name, changed_values=changed)


def load_function(custom: CustomRule) -> Rule:
    """The function of a module that was kept with the run; no file is read.

    Raises `InvalidParams` where this worker runs no custom rules, or the run kept no code.
    """
    where = Path(custom.path)
    if not custom_rules_allowed():
        raise InvalidParams(
            f"The mapping names the custom rule {where.name}, but this worker runs no custom rules.",
            next_step=f"set {CUSTOM_RULES}=true on every worker, or remove the rule from the mapping file.",
        )
    if sha256(custom.code.encode()).hexdigest() != custom.sha256:
        raise InvalidParams(
            f"The code of the custom rule {where.name} was not kept with the run: an earlier version began it.",
            next_step="trigger a new run.",
        )
    names: dict[str, Any] = {"__name__": where.stem}
    try:
        exec(compile(custom.code, where.name, "exec"), names)
    except Exception as error:  # noqa: BLE001 - a rule may raise anything
        raise _broken(where.name, f"importing it raised {_place_of(error, where.name)}") from None
    found: Rule = names[custom.function]
    return found


def _place_of(error: Exception, module: str) -> str:
    """Kind of an error, and its line in the module: what it says may quote a record."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == module]
    return type(error).__name__ + (f" in line {lines[-1]}" if lines else "")


def _broken(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The custom rule {name} broke its contract: {what}.",
        next_step="correct the function (docs/mapping.md has its contract) and trigger a new run.",
    )


def _apply(run: Run, sobject: str, fields: list[FieldMapping], function: Rule, name: str) -> int:
    fixed = [f.name for f in fields if f.name in MIGRATION_FIELDS or f.kind == "parent"]
    names = [f.name for f in fields]
    changed, last = 0, ""
    while True:
        desired = _frame(run, run.table(Table.DESIRED, sobject), "source_id", last, names)
        if desired.empty:
            return changed
        last = str(desired.index[-1])
        source = _frame(run, run.table(SOURCE, sobject), "Id", "", None, list(desired.index))
        try:
            result = function(desired.copy(), source.loc[desired.index])
        except Exception as error:  # noqa: BLE001 - a rule may raise anything
            raise _broken(name, f"it raised {_place_of(error, name.partition(':')[0])}") from None
        changed += _write_back(run, sobject, fields, desired, _checked(result, desired, fixed, name), name)


def _frame(
    run: Run,
    table: sql.Identifier,
    key: str,
    after: str,
    names: list[str] | None,
    ids: list[str] | None = None,
) -> pandas.DataFrame:
    columns = sql.SQL(", ").join(map(sql.Identifier, [key, *names])) if names else sql.SQL("*")
    where = sql.SQL("{} = ANY (%(ids)s)") if ids is not None else sql.SQL("{} > %(after)s")
    rows: list[Row] = run.db.rows(
        sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {}").format(
            columns, table, where.format(sql.Identifier(key)), sql.Identifier(key), sql.Literal(CHUNK_ROWS)
        ),
        {"ids": ids, "after": after},
    )
    frame = pandas.DataFrame(rows, columns=[key, *names] if names else None, dtype=object)
    return (
        frame.set_index(key, drop=False).rename_axis(None)
        if key == "Id" and not frame.empty
        else (frame.set_index(key).rename_axis(None) if not frame.empty else frame)
    )


def _checked(result: Any, before: pandas.DataFrame, fixed: list[str], name: str) -> pandas.DataFrame:
    if not isinstance(result, pandas.DataFrame):
        raise _broken(name, f"it returned {type(result).__name__}, not a DataFrame")
    if len(result) != len(before) or set(result.index) != set(before.index):
        raise _broken(name, "it returned different rows than it was given")
    unknown = [str(c) for c in result.columns if c not in before.columns]
    if unknown:
        raise _broken(name, f"it added columns that are not carried: {', '.join(unknown)}")
    after = result.reindex(before.index)
    for column in fixed:
        if column in after.columns and not _texts(after[column]).equals(_texts(before[column])):
            raise _broken(name, f"it changed {column}, which it may not change")
    return after


def _texts(column: pandas.Series) -> pandas.Series:
    """Text or None; what pandas made of it (NaN, numbers, timestamps) is put back into Salesforce's form."""
    return pandas.Series([_text(v) for v in column], index=column.index, dtype=object)


def _text(value: Any) -> str | None:
    if value is None or (not isinstance(value, str) and pandas.isna(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, pandas.Timestamp):
        return value.isoformat()
    return str(value) or None


def _write_back(
    run: Run,
    sobject: str,
    fields: list[FieldMapping],
    before: pandas.DataFrame,
    after: pandas.DataFrame,
    name: str,
) -> int:
    """Writes changed values in their canonical form and notes each as explained."""
    changed = 0
    for one in fields:
        if one.name not in after.columns:
            continue
        old, new = _texts(before[one.name]), _texts(after[one.name])
        ids = [i for i in before.index if old[i] != new[i]]
        if not ids:
            continue
        changed += len(ids)
        try:
            with run.db.transaction() as connection:
                connection.execute(
                    sql.SQL(
                        """UPDATE {desired} d SET {f} = coa.{canon}(n.v)
                           FROM unnest(%(ids)s::text[], %(values)s::text[]) AS n(id, v) WHERE d.source_id = n.id"""
                    ).format(
                        desired=run.table(Table.DESIRED, sobject),
                        f=sql.Identifier(one.name),
                        canon=sql.Identifier(one.target.canonical_function),
                    ),
                    {"ids": ids, "values": [new[i] for i in ids]},
                )
                connection.execute(
                    sql.SQL(
                        """INSERT INTO {custom} (source_id, field) SELECT unnest(%s::text[]), %s
                           ON CONFLICT DO NOTHING"""
                    ).format(custom=run.table(Table.CUSTOM, sobject)),
                    [ids, one.name],
                )
        except postgres_errors.DataError:
            raise _broken(name, f"a value for {one.name} is no {one.target.type}") from None
    return changed


def create_custom_tables(run: Run, mapping: Mapping) -> None:
    """Which values custom rules changed: `custom__<slug>` (source_id, field)."""
    for sobject in mapping.custom:
        with run.db.transaction() as connection:
            tables.create(connection, run, Table.CUSTOM, sobject)
