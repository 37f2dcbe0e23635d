"""What a measurement leaves behind: nothing that the next one would meet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bench.scene import TRUST, orgs


@pytest.mark.parametrize("before", [None, "/etc/ssl/certs/ca-certificates.crt"])
def test_the_orgs_certificate_is_trusted_only_while_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv(TRUST, raising=False)
    if before is not None:
        monkeypatch.setenv(TRUST, before)

    with orgs(tmp_path, orders=2) as (source, _target, certificate):
        assert os.environ[TRUST] == str(certificate)
        assert source.count("SELECT COUNT() FROM CHANNEL_ORDERS__Service_Order__c") == 2

    assert os.environ.get(TRUST) == before
