"""Keeps the mapping with the run: the file is read once, every worker uses what was read then."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from psycopg import sql

from coa.mapping.file import parse_mapping, read_text
from coa.mapping.model import Mapping
from coa.staging import tables
from coa.staging.database import json_value
from coa.staging.runs import Run
from coa.staging.tables import Table


def mapping_of(run: Run) -> Mapping:
    """The mapping of the run. The first call reads the file; raises `InvalidParams` for a bad one."""
    table = run.table(Table.MAPPING_FILE)
    if not run.has_table(Table.MAPPING_FILE):
        _keep(run, run.params.mapping or os.environ.get("COA_MAPPING", ""))
    data = run.db.value(sql.SQL("SELECT parsed FROM {}").format(table))
    return Mapping.from_data(data) if data else Mapping()


def _keep(run: Run, path: str) -> None:
    mapping, text = Mapping(), ""
    if path:
        where = Path(path).expanduser()
        text = read_text(where, f"The mapping file {path}")
        mapping = parse_mapping(text, where)
    parsed = mapping.as_data()
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.MAPPING_FILE)
        # Over what was parsed, too: an owner's CSV and custom code belong to what the run was told.
        digest = sha256((text + repr(parsed)).encode()).hexdigest() if path else ""
        connection.execute(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s)").format(run.table(Table.MAPPING_FILE)),
            [path, digest, text, json_value(parsed)],
        )
    if not path:
        return
    run.update(versions={**run.row["versions"], "mapping": Path(path).name, "mapping_sha256": digest})
    if mapping.orders_where:
        _narrow_orders(run, mapping.orders_where)


def _narrow_orders(run: Run, condition: str) -> None:
    """Puts the file's filter into the run's params, where extract, checks and reports look for it."""
    given = run.params.orders_where
    both = f"({given}) AND ({condition})" if given else condition
    run.update(
        params={**run.row["params"], "orders_where": both},
        versions={**run.row["versions"], "orders_where_given": given},
    )
    run.params = type(run.params).parse(run.row["params"])
