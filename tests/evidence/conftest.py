"""A signed migration between two small orgs whose texts are awkward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from coa.evidence.signing import SETTING
from coa.model import NS, ORDER
from coa.staging.database import Database
from orgsim.launch import running_pair
from tests.engine.harness import Migration, Migrator

AWKWARD = 'a "quoted" \\ text\twith\nlines,\x7f\x1f und Umlauten äöü \u2028 😀 </script>'


@dataclass
class Sealed:
    """The migration, and where the key is that it was signed with."""

    migration: Migration
    migrator: Migrator
    private: Path
    public: Path

    @property
    def bundle(self) -> Path:
        return self.migration.folder / "evidence"


def new_key(folder: Path) -> tuple[Path, Path]:
    """PEM files of a fresh key: private, public."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "key.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def sealed(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    private, public = new_key(tmp_path_factory.mktemp("key"))
    with running_pair(orders=40, seed=17, job_delay=0.01, partner_fields=True) as (source, target):
        blocked = source.control("GET", "planted")["blocked_orders"]
        order = next(o for o in source.control("GET", f"table/{ORDER}") if o["Id"] not in blocked)
        source.control(
            "PATCH", f"records/{ORDER}/{order['Id']}", {NS + "Invoice_Description__c": AWKWARD}, raw="true"
        )
        migrator = Migrator(module_database, source, target, tmp_path_factory.mktemp("artifacts"))
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(SETTING, str(private))
            migration = migrator.migrate(canary=10)
        assert migration.state == "verified", migration.error
        yield Sealed(migration, migrator, private, public)
