"""What stands against carrying is found before anything is written; without files nothing is asked for them."""

from __future__ import annotations

from pathlib import Path

from coa.staging.database import Database
from tests.attachments.orgs import CARRY, around
from tests.reconcile.pairs import two_orgs


def test_missing_rights_and_missing_room_stop_the_run_before_the_first_write(
    database: Database, tmp_path: Path
) -> None:
    target = {"file_storage_mb": 0, "read_only_field": ["Attachment.Body"]}
    with two_orgs(database, tmp_path, orders=12, planted=False, attachments=True, target=target) as migrator:
        migration = migrator.migrate(**CARRY)

        found = migrator.db.rows(
            "SELECT code, sobject, field FROM coa.finding WHERE run_id = %s AND severity = 'blocker'",
            [migration.run.run_id],
        )
        assert migration.state == "blocked"
        assert {(r["code"], r["sobject"], r["field"]) for r in found} == {
            ("attached_not_writeable", "Attachment", "Body"),
            ("file_storage", "", ""),
        }
        assert around(migrator.target).versions == {}
