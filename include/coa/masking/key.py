"""The key of a rehearsal's masks: a file that the deployment names by COA_MASKING_KEY,
else one made and kept in staging.

One key a target: deltas give the masks that the rehearsal gave, and so do other sources. Of a file's key staging keeps
a fingerprint, which is refused under another key and does not lead back to it.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from coa.config import Settings
from coa.errors import ConfigurationError
from coa.files import MOST_KEY_BYTES, NotReadable, read_regular
from coa.masking.masks import KEY_BYTES
from coa.staging.runs import TARGET, Run

SETTING = "COA_MASKING_KEY"
NEXT_STEP = (
    f"let {SETTING} name a file of at least {KEY_BYTES} random bytes that the workers can read "
    f"(openssl rand -out masking.key {KEY_BYTES}), or unset it: a key is made and kept in the staging database then."
)


def key_of(run: Run) -> bytes:
    """Raises `ConfigurationError` for a file that cannot be used, and where the target's rehearsals had another key."""
    if "masking_key" not in run.kept:
        run.kept["masking_key"] = _agreed(run, _named())
    found: bytes = run.kept["masking_key"]
    return found


def fingerprint(key: bytes) -> str:
    """By which a key is known again."""
    return hmac.digest(key, b"coa masking key", "sha256").hex()


def _named() -> bytes | None:
    path = Settings.from_environment("masking_key").masking_key
    if not path:
        return None
    try:
        key = read_regular(Path(path), MOST_KEY_BYTES)
    except NotReadable as error:
        raise ConfigurationError(
            f"The key that {SETTING} names cannot be read: {error}.", next_step=NEXT_STEP
        ) from None
    if len(key) < KEY_BYTES:
        raise ConfigurationError(
            f"The key that {SETTING} names has {len(key)} bytes; {KEY_BYTES} are needed.", next_step=NEXT_STEP
        )
    return key


def _agreed(run: Run, named: bytes | None) -> bytes:
    target = run.org_id(TARGET)
    made = None if named else secrets.token_bytes(KEY_BYTES)
    kept = run.db.row(
        """INSERT INTO coa.masking_key AS k (target_org_id, key, fingerprint) VALUES (%s, %s, %s)
           ON CONFLICT (target_org_id) DO UPDATE SET key = k.key RETURNING key, fingerprint""",
        [target, made, fingerprint(named) if named else None],
    )
    assert kept is not None
    before = bytes(kept["key"]) if kept["key"] is not None else None
    if named is None and before is not None:
        return before
    if named is not None and (fingerprint(before) if before else kept["fingerprint"]) == fingerprint(named):
        return named
    raise ConfigurationError(
        f"Rehearsals into {target} were masked by another key than {SETTING} names now"
        f"{'' if named else ', which is none'}: every value would differ.",
        next_step=f"set {SETTING} to that key{'' if before is None else ', or unset it'}; or refresh the sandbox, "
        "which gives it another org id.",
    )
