"""Signs with the Ed25519 key that the deployment names by COA_EVIDENCE_KEY: the path of a PEM file (PKCS 8)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coa.config import Settings
from coa.errors import ConfigurationError
from coa.files import MOST_KEY_BYTES, NotReadable, read_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SETTING = "COA_EVIDENCE_KEY"
NEXT_STEP = (
    f"let {SETTING} name an Ed25519 private key in PEM form that the workers can read "
    "(openssl genpkey -algorithm ed25519 -out key.pem), or unset it: evidence is unsigned then."
)


@dataclass(frozen=True)
class Signature:
    """Hex texts; both empty when the deployment names no key."""

    public_key: str = ""
    signature: str = ""


def sign(message: bytes) -> Signature:
    """Raises `ConfigurationError` when the named key cannot be used."""
    key = _key()
    if key is None:
        return Signature()
    return Signature(key.public_key().public_bytes_raw().hex(), key.sign(message).hex())


def check_key() -> None:
    """Raises `ConfigurationError` when a key is named that cannot sign: better before the load than after it."""
    _key()


def _key() -> Ed25519PrivateKey | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = Settings.from_environment("evidence_key").evidence_key
    if not path:
        return None
    try:
        key = load_pem_private_key(read_regular(Path(path), MOST_KEY_BYTES), password=None)
    except (NotReadable, ValueError, TypeError, UnsupportedAlgorithm) as error:
        # No word of the error itself: it may quote the file.
        raise ConfigurationError(
            f"The key that {SETTING} names cannot be read ({type(error).__name__}).", next_step=NEXT_STEP
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"The key that {SETTING} names is not an Ed25519 key.", next_step=NEXT_STEP)
    return key
