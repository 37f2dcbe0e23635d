"""Keeps the mapping with the run: the file is read once, when the run starts;
every later task uses what was read then."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from psycopg import sql

from coa.config import RunParams, Settings
from coa.errors import ConfigurationError
from coa.mapping.file import read_mapping
from coa.mapping.model import Mapping
from coa.mapping.place import NamedBy, place_for
from coa.staging import tables
from coa.staging.database import json_value
from coa.staging.runs import Run
from coa.staging.tables import Table, identifier


@dataclass(frozen=True)
class _Read:
    """A mapping file as it was found: all empty where the run has none."""

    path: str = ""
    text: str = ""
    mapping: Mapping = field(default_factory=Mapping)

    @property
    def name(self) -> str:
        return Path(self.path).name

    @property
    def sha256(self) -> str:
        """Includes what was parsed: the owners' CSV and the modules of custom rules belong to the
        mapping as well.
        """
        return sha256((self.text + repr(self.mapping.as_data())).encode()).hexdigest() if self.path else ""


def mapping_of(run: Run) -> Mapping:
    """The mapping that was frozen when the run started, as it holds for the run's source.

    Sections by org id count as soon as preflight knows the org. Raises `ConfigurationError` where nothing was frozen.
    """
    # A verification goes by the connection of the migration that it looks at.
    params = run.record.params if run.record.policies is None else run.record.policies
    connection = str(params.get("source_conn_id") or RunParams().source_conn_id)
    return whole_mapping_of(run).of_source(str(run.record.source_org.get("id") or ""), connection)


def whole_mapping_of(run: Run) -> Mapping:
    """The same with the sections of all sources. Raises `ConfigurationError` as `mapping_of` does."""
    if not run.has_table(Table.MAPPING_FILE):
        raise ConfigurationError(
            f"Run {run.run_id} has no mapping: its task start did not finish, or its tables were purged.",
            next_step="clear its task start, or trigger a new run.",
        )
    data = run.db.value(sql.SQL("SELECT parsed FROM {}").format(run.table(Table.MAPPING_FILE)))
    return Mapping.from_data(data) if data else Mapping()


def freeze(run: Run, named_by: NamedBy = NamedBy.DEPLOYMENT) -> None:
    """Reads the mapping file and keeps it with the run; its filter of orders goes into the run's params.
    Done once a run.

    The file is what the param `mapping` names (`named_by`: who gave that name), else COA_MAPPING. Raises
    `InvalidParams` for a file that cannot be used or may not be read.
    """
    if run.has_table(Table.MAPPING_FILE):
        return
    read = _read(run.params.mapping or Settings.from_environment("mapping").mapping, named_by)
    where = _both(run.params.orders_where, read.mapping.orders_where)
    params = {**run.record.given_params, **({"orders_where": where} if where else {})}
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.MAPPING_FILE)
        connection.execute(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s)").format(run.table(Table.MAPPING_FILE)),
            [read.path, read.sha256, read.text, json_value(read.mapping.as_data())],
        )
        connection.execute(
            "UPDATE coa.run SET params = %s, mapping_name = %s, mapping_sha256 = %s WHERE run_id = %s",
            [json_value(params), read.name, read.sha256, run.run_id],
        )
    run.params = run.params.model_copy(update={"orders_where": where})
    run.refresh()


def adopt(run: Run, other: str) -> None:
    """Gives a verification the mapping of the run that it verifies, whatever the file says now.

    Raises `ConfigurationError` when that mapping was purged and the file is not the same any more.
    """
    theirs = identifier(other, Table.MAPPING_FILE)
    told = run.db.row("SELECT mapping_name, mapping_sha256 FROM coa.run WHERE run_id = %s", [other]) or {}
    if run.db.has_table(theirs):
        with run.db.transaction() as connection:
            tables.create_as(connection, run, Table.MAPPING_FILE, sql.SQL("SELECT * FROM {}").format(theirs))
            connection.execute(
                "UPDATE coa.run SET mapping_name = %s, mapping_sha256 = %s WHERE run_id = %s",
                [told["mapping_name"], told["mapping_sha256"], run.run_id],
            )
        run.refresh()
    elif run.record.mapping_sha256 != told.get("mapping_sha256"):
        named = f"the file {told['mapping_name']}" if told["mapping_name"] else "no file"
        raise ConfigurationError(
            f"The mapping of run {other} was purged, and what COA_MAPPING names is not the same.",
            next_step=f"set COA_MAPPING to what that run had, {named}, and trigger the run again.",
        )


def _read(path: str, named_by: NamedBy) -> _Read:
    if not path:
        return _Read()
    mapping, text = read_mapping(path, place_for(path, named_by))
    return _Read(path, text, mapping)


def _both(given: str, of_the_file: str) -> str:
    """One condition of two, either of which may be empty."""
    return f"({given}) AND ({of_the_file})" if given and of_the_file else given or of_the_file
