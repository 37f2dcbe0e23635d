"""The ledger of a target as one file: with it, a fresh staging database creates nothing twice.

CSV, one line for each record with a counterpart:
`target_org_id,source_org_id,sobject,source_id,target_id,origin`. The last line has `end` and the number of
lines before it, so that an incomplete file is recognised.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

from psycopg import sql

from coa.codes import LedgerOrigin
from coa.errors import ConfigurationError
from coa.model import LOADED
from coa.private_files import keep_files_private
from coa.staging.database import Database
from coa.staging.fragments import same_record
from coa.staging.lease import Connection

COLUMNS = ("target_org_id", "source_org_id", "sobject", "source_id", "target_id", "origin")
END = "end"
_ID = re.compile(r"[0-9A-Za-z]{18}")


def export_id_map(db: Database, target_org_id: str, file: Path) -> int:
    """Writes the file, readable for its owner only and whole or not at all; records in it.

    Raises `ConfigurationError` when it cannot be written, or is there already.
    """
    keep_files_private()
    rows = db.stream(
        """SELECT p.target_org_id, p.source_org_id, l.sobject, l.source_id, l.target_id, l.origin
           FROM coa.ledger l JOIN coa.org_pair p USING (pair_id)
           WHERE p.target_org_id = %s AND NOT p.masked AND l.target_id IS NOT NULL AND l.origin <> 'none'
           ORDER BY p.source_org_id, l.sobject, l.source_id""",
        [target_org_id],
    )
    part = file.with_name(file.name + ".part")
    count = 0
    try:
        if file.exists():
            raise FileExistsError("it is there already")
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(COLUMNS)
            for row in rows:
                writer.writerow([row[name] for name in COLUMNS])
                count += 1
            writer.writerow([END, count])
            opened.flush()
            os.fsync(opened.fileno())
        part.rename(file)
    except OSError as error:
        raise ConfigurationError(
            f"The id map cannot be written to {file}: {error.strerror or error}.",
            next_step="name another file: EXPORT=path/id_map.csv.",
        ) from error
    return count


def import_id_map(db: Database, target_org_id: str, file: Path) -> int:
    """Takes the records of an exported id map into the ledger; how many the ledger did not have, or only as matched: to
    a plan without the map, customers that we created look like any others.

    Raises `ConfigurationError` for a file that is cut off, of another target, or that contradicts the ledger. Then
    nothing is taken.
    """
    with db.transaction() as connection:
        connection.execute(
            "CREATE TEMP TABLE id_map (target_org_id text, source_org_id text, sobject text, source_id text, "
            "target_id text, origin text) ON COMMIT DROP"
        )
        with connection.cursor() as cursor, cursor.copy("COPY id_map FROM STDIN") as copy:
            for row in _lines(file, target_org_id):
                copy.write_row(row)
        connection.execute(
            """INSERT INTO coa.org_pair (source_org_id, target_org_id)
               SELECT DISTINCT source_org_id, target_org_id FROM id_map ON CONFLICT DO NOTHING"""
        )
        _require_agreement(connection, file)
        return connection.execute(
            """INSERT INTO coa.ledger AS l (pair_id, sobject, source_id, target_id, origin, step)
               SELECT p.pair_id, m.sobject, m.source_id, m.target_id, m.origin, 'done'
               FROM id_map m JOIN coa.org_pair p
                 ON (p.source_org_id, p.target_org_id, p.masked) = (m.source_org_id, m.target_org_id, false)
               ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                 SET target_id = EXCLUDED.target_id, origin = EXCLUDED.origin, step = 'done',
                     updated_at = clock_timestamp()
                 WHERE (l.target_id, l.origin) IS DISTINCT FROM (EXCLUDED.target_id, EXCLUDED.origin)"""
        ).rowcount


def _require_agreement(connection: Connection, file: Path) -> None:
    found = connection.execute(
        sql.SQL(
            """SELECT m.sobject, m.source_id, m.target_id, l.target_id AS known, count(*) OVER () AS n
               FROM id_map m JOIN coa.org_pair p
                 ON (p.source_org_id, p.target_org_id, p.masked) = (m.source_org_id, m.target_org_id, false)
               JOIN coa.ledger l ON l.pair_id = p.pair_id AND {l_is_m}
               WHERE l.target_id <> m.target_id AND l.origin = 'inserted' ORDER BY 1, 2 LIMIT 1"""
        ).format(l_is_m=same_record("l", "m"))
    ).fetchone()
    if found:
        raise ConfigurationError(
            f"{file}: {found['n']} records have another counterpart in the ledger, such as {found['sobject']} "
            f"{found['source_id']}: {found['target_id']} in the file, {found['known']} in the ledger. "
            "Nothing was taken.",
            next_step="the ledger is newer than this file: work with it as it is, "
            "or import into a fresh staging database.",
        )


def _lines(file: Path, target_org_id: str) -> Iterator[tuple[str, ...]]:
    """The checked records of the file, one by one."""
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            reader = csv.reader(opened)
            if tuple(next(reader, ())) != COLUMNS:
                raise _unusable(file, f"its first line is not {','.join(COLUMNS)}")
            for count, row in enumerate(reader):
                if row == [END, str(count)]:
                    return
                _require_record(file, row, count + 2, target_org_id)
                yield tuple(row)
            raise _unusable(file, "its end is missing: it was cut off")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unusable(file, f"it cannot be read ({type(error).__name__})") from error


def _require_record(file: Path, row: list[str], line: int, target_org_id: str) -> None:
    if len(row) != len(COLUMNS):
        raise _unusable(file, f"line {line} has {len(row)} columns instead of {len(COLUMNS)}")
    target, source, sobject, source_id, target_id, origin = row
    if target != target_org_id:
        raise _unusable(
            file, f"line {line} is of the target {target}, and the connection leads to {target_org_id}"
        )
    ids = (source, source_id, target_id)
    known = (LedgerOrigin.INSERTED, LedgerOrigin.MATCHED)
    if sobject not in LOADED or origin not in known or not all(_ID.fullmatch(one) for one in ids):
        raise _unusable(file, f"line {line} is no record of an id map")


def _unusable(file: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The id map {file} cannot be used: {why}. Nothing was taken.",
        next_step="import the file as make remove-target-fields wrote it.",
    )
