#!/usr/bin/env python3
"""Checks the evidence of a migration run, with neither org, nor the program that made it, nor anything to install.

    python3 coa-verify-evidence FOLDER                    the bundle, and each artifact that lies beside it
    python3 coa-verify-evidence FOLDER SO-00001234        one record (order number or source id) by its path to the root
    python3 coa-verify-evidence FOLDER SO-00001234 --values VALUES.json   that these were its values
    python3 coa-verify-evidence FOLDER --file OFFER.pdf   that a file with these very bytes was carried, and where
    python3 coa-verify-evidence FOLDER --key KEY.pem      the signature must be by this key (or 64 hex digits)

Exit status: 0 when all that is here is as it was sealed, 1 when anything differs (the file is named), 2 when the
command cannot be understood. Needs Python 3.8 and its standard library. It can check signatures and make none.

The bundle: `statement.json` (what is claimed), `signature.json` (over the bytes of the statement), `leaves.tsv` (a line
for each record, hashed to a Merkle tree as in RFC 6962), `salts.tsv` (until personal data is purged), `attached.tsv`
(the SHA-256 of each file that was carried with the records, where there are any), this program.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Point = tuple[int, int, int, int]

STATEMENT, SIGNATURE, LEAVES, SALTS = "statement.json", "signature.json", "leaves.tsv", "salts.tsv"
FILES = "attached.tsv"
PROGRAM = "coa-verify-evidence"
FOLDER = "evidence"
FORMAT, EARLIER = "coa-evidence-2", "coa-evidence-1"
"""How the values of a record are hashed: as a list, which the statement gives names to; earlier with their names, for
which a database needs five times as long. Everything else is the same."""
SUMMARY = "summary.json"
ROLES = ("source", "plan", "target")
FILE_COLUMNS = ("sobject", "source_id", "target_id", "bytes", "sha256", "outcome")
"""Of `attached.tsv`: what was carried beside the records; `sha256` is of a file's bytes, empty for what has none."""
COLUMNS = ("sobject", "source_id", "target_id", "number", "action", "outcome", "source", "plan", "target")
"""Of `leaves.tsv`; the last three are salted hashes of values, empty where there is no such record."""
PROVED = ("equal", "explained")
"""Outcomes that `summary.json` counts as verified."""
PEM_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a public key's DER (RFC 8410)."""


# ---- Ed25519, checking only (RFC 8032, 5.1.7) ------------------------------------------------------
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def _x_of(y: int, sign: int) -> int | None:
    """The x coordinate of a point by its y and the lowest bit of x; None when no point has them."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def _add(a: Point, b: Point) -> Point:
    """Sum of two points in extended coordinates."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return (w * x % P, y * z % P, x * y % P, w * z % P)


def _times(scalar: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _point(encoded: bytes) -> Point | None:
    number = int.from_bytes(encoded, "little")
    y = number & ((1 << 255) - 1)
    x = _x_of(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


def signature_is_valid(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) of `message` was made with the private half of `public_key` (32 bytes)."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key, commitment = _point(public_key), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    left, right = _times(scalar, BASE), _add(commitment, _times(challenge, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 == (left[1] * right[2] - right[1] * left[2]) % P


# ---- Merkle tree (RFC 6962, 2.1) ----------------------------------------------------------------
def leaf_hash(line: bytes) -> bytes:
    """SHA-256 of a line of the list, as RFC 6962 hashes a leaf."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of two hashes, as RFC 6962 hashes an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """Takes leaves one after another and keeps one hash a level; follows one leaf's path if asked to."""

    def __init__(self, followed: int | None = None) -> None:
        self.size = 0
        self.followed = followed
        self.path: list[tuple[str, bytes]] = []
        """(side, hash) of each neighbour of the followed leaf, from the leaf up; side: where the neighbour stands."""
        self._open: list[tuple[int, bytes, bool]] = []

    def add(self, line: bytes) -> None:
        """Adds a leaf: one line of the record file, without its line break."""
        self._open.append((1, leaf_hash(line), self.size == self.followed))
        self.size += 1
        # Two whole subtrees of one size are one of twice the size.
        while len(self._open) > 1 and self._open[-2][0] == self._open[-1][0]:
            self._merge()

    def root(self) -> bytes:
        """The root over all leaves so far; of no leaf the hash of nothing. The tree takes no leaf afterwards."""
        while len(self._open) > 1:
            self._merge()
        return self._open[0][1] if self._open else hashlib.sha256(b"").digest()

    def _merge(self) -> None:
        size, right, in_right = self._open.pop()
        earlier, left, in_left = self._open.pop()
        if in_left:
            self.path.append(("right", right))
        elif in_right:
            self.path.append(("left", left))
        self._open.append((size + earlier, node_hash(left, right), in_left or in_right))


def climb(hashed: bytes, path: Sequence[tuple[str, bytes]]) -> bytes:
    """The root that a leaf's hash and its path lead to."""
    for side, other in path:
        hashed = node_hash(other, hashed) if side == "left" else node_hash(hashed, other)
    return hashed


# ---- values -------------------------------------------------------------------------------------
def value_hash(salt: bytes, role: str, values: dict[str, str | None], form: str = FORMAT) -> str:
    """Salted hash (hex) of a record's values, name -> text or None, in the order given; the salt is 16 bytes.

    `form`: `FORMAT` or `EARLIER`, as the statement says.
    """
    hashed = values if form == EARLIER else list(values.values())
    text = json.dumps(hashed, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(salt + role.encode() + b"\x00" + text.encode("utf-8")).hexdigest()


# ---- the bundle ---------------------------------------------------------------------------------
def signature_document(fields: dict[str, str]) -> bytes:
    """The only form of `signature.json` that is accepted: no byte of it is free."""
    return (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode("ascii")


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def public_key_of(text: str) -> bytes:
    """32 bytes of a public key: the path of a PEM file, or 64 hex digits. Raises `ValueError`."""
    if len(text) == 64:
        return bytes.fromhex(text)
    lines = Path(text).read_text("ascii").strip().splitlines()
    der = base64.b64decode("".join(line for line in lines if not line.startswith("-----")))
    if len(der) != 44 or not der.startswith(PEM_PREFIX):
        raise ValueError(f"{text} is not an Ed25519 public key")
    return der[len(PEM_PREFIX) :]


class Check:
    """One look at one bundle. `faults`: (file, what is wrong with it); `notes`: what else there is to say."""

    def __init__(self, folder: Path, key: bytes | None = None) -> None:
        self.folder = folder if (folder / STATEMENT).exists() else folder / FOLDER
        # Artifacts lie where the bundle does, or one folder up.
        self.places = [folder, *([folder.resolve().parent] if folder.resolve().name == FOLDER else [])]
        self.key = key
        self.faults: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.checked: list[str] = []
        self.statement: dict[str, Any] = {}

    def fault(self, name: str, what: str) -> None:
        """Notes that a file is not what the bundle says."""
        self.faults.append((name, what))

    def run(self) -> None:
        """Checks everything. The order matters: nothing of the statement is believed before its signature is."""
        if not self._signed_statement():
            return
        for entry in self.statement["files"]:
            self._file(self.folder / entry["name"], entry, needed=entry["name"] != SALTS)
        self._leaves()
        absent = [e["name"] for e in self.statement["artifacts"] if not self._artifact(e)]
        if absent:
            self.notes.append(f"not here, so not checked: {', '.join(absent)}")
        self._summary()
        known = {STATEMENT, SIGNATURE, *(e["name"] for e in self.statement["files"])}
        others = sorted(p.name for p in self.folder.iterdir() if p.is_file() and p.name not in known)
        others = [n for n in others if n not in {e["name"] for e in self.statement["artifacts"]}]
        if others:
            self.notes.append(f"not part of the evidence: {', '.join(others)}")

    def _signed_statement(self) -> bool:
        """Whether `statement.json` is what was signed, or for an unsigned bundle what was sealed."""
        try:
            said = (self.folder / STATEMENT).read_bytes()
            raw = (self.folder / SIGNATURE).read_bytes()
        except OSError as error:
            self.fault(Path(str(error.filename)).name, "cannot be read")
            return False
        try:
            fields = json.loads(raw.decode("ascii"))
            signed = fields["algorithm"] == "Ed25519"
            key, signature = bytes.fromhex(fields["public_key"]), bytes.fromhex(fields["signature"])
            told = fields["statement_sha256"]
            strict = raw == signature_document(
                {
                    "algorithm": "Ed25519" if signed else "none",
                    "public_key": key.hex(),
                    "signature": signature.hex(),
                    "statement_sha256": told,
                }
            )
        except (ValueError, KeyError, TypeError):
            strict = False
        if not strict:
            self.fault(SIGNATURE, "is not in the form that it was written in")
            return False
        valid = signed and signature_is_valid(key, said, signature)
        if told != hashlib.sha256(said).hexdigest():
            self.fault(SIGNATURE if valid else STATEMENT, "the statement is not the one that was sealed")
            return False
        if signed and not valid:
            self.fault(SIGNATURE, "the signature does not belong to the statement")
            return False
        self._signer(key if signed else None)
        self.statement = json.loads(said.decode("utf-8"))
        if self.statement.get("format") not in (FORMAT, EARLIER):
            self.fault(
                STATEMENT,
                f"has the format {self.statement.get('format')!r}, this program reads {FORMAT!r} and {EARLIER!r}",
            )
            return False
        return True

    def _signer(self, key: bytes | None) -> None:
        if key is None:
            self.notes.append("UNSIGNED: whoever can write these files could have made them")
            if self.key is not None:
                self.fault(SIGNATURE, "the bundle is not signed, and a key was asked for")
        elif self.key is None:
            self.notes.append(
                f"signed by the key {key.hex()}: compare it with the one that you were told, or give --key"
            )
        elif self.key != key:
            self.fault(SIGNATURE, f"signed by another key: {key.hex()}")
        else:
            self.notes.append("signed by the key that was asked for")

    def _file(self, path: Path, entry: dict[str, Any], needed: bool = True) -> bool:
        """Whether the file is there; faults when it is not what the statement says."""
        if not path.is_file():
            if needed:
                self.fault(entry["name"], "is missing")
            elif entry["name"] == SALTS:
                self.notes.append(
                    f"{SALTS} is purged or was not copied: no values can be shown to belong to a record"
                )
            return False
        size, digest = path.stat().st_size, hash_of(path)
        if (size, digest) != (entry["bytes"], entry["sha256"]):
            self.fault(
                entry["name"],
                f"{size} bytes with SHA-256 {digest}; sealed were {entry['bytes']} bytes with {entry['sha256']}",
            )
        self.checked.append(entry["name"])
        return True

    def _artifact(self, entry: dict[str, Any]) -> bool:
        found = [p for p in (place / entry["name"] for place in self.places) if p.is_file()]
        return bool(found) and self._file(found[0], entry, needed=False)

    def lines(self) -> Iterator[bytes]:
        """The records' lines of `leaves.tsv` as bytes; none when the file is not there."""
        path = self.folder / LEAVES
        if not path.is_file():
            return
        with path.open("rb") as file:
            if file.readline() != ("\t".join(COLUMNS) + "\n").encode():
                self.fault(LEAVES, "does not begin with the names of its columns")
            for line in file:
                yield line.rstrip(b"\n")

    def _leaves(self) -> None:
        """Root, number of records, and the counts that the statement makes of them."""
        tree = Tree()
        counts: dict[tuple[str, ...], int] = {}
        for line in self.lines():
            tree.add(line)
            cells = line.decode("utf-8", "replace").split("\t")
            kind = (cells[0], *cells[4:6])
            counts[kind] = counts.get(kind, 0) + 1
        sealed = self.statement["tree"]
        if (tree.root().hex(), tree.size) != (sealed["root"], sealed["leaves"]):
            self.fault(
                LEAVES, f"{tree.size} records do not make the root {sealed['root']} of {sealed['leaves']}"
            )
        if counts != {(c["sobject"], c["action"], c["outcome"]): c["records"] for c in sealed["counts"]}:
            self.fault(STATEMENT, "counts other records than leaves.tsv has")

    def _summary(self) -> None:
        """Where `summary.json` is beside the bundle: do its totals follow from the records?"""
        path = next((p for p in (place / SUMMARY for place in self.places) if p.is_file()), None)
        if path is None or any(name == SUMMARY for name, _ in self.faults):
            return
        objects = json.loads(path.read_text("utf-8"))["objects"]
        for sobject, told in objects.items():
            rows = [c for c in self.statement["tree"]["counts"] if c["sobject"] == sobject]
            made = {
                "extracted": sum(c["records"] for c in rows),
                "verified": sum(c["records"] for c in rows if c["outcome"] in PROVED),
            }
            for name, number in made.items():
                if told[name] != number:
                    self.fault(SUMMARY, f"{sobject}: {told[name]} {name}, the records make {number}")

    # ---- one file ----------------------------------------------------------------------------------
    def find_file(self, path: Path) -> None:
        """Prints what was carried with the bytes of this file."""
        digest, listed = hash_of(path), self.folder / FILES
        lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
        cells = [line.split("\t") for line in lines[1:]]
        rows = [{name: texts[n] for n, name in enumerate(FILE_COLUMNS)} for texts in cells]
        found = [row for row in rows if row["sha256"] == digest]
        for row in found:
            print(
                f"{row['sobject']} {row['source_id']} -> {row['target_id']}, proved {row['outcome']}: {digest}"
            )
        if not found:
            self.fault(path.name, f"no file with its SHA-256 {digest} was carried")

    # ---- one record --------------------------------------------------------------------------------
    def prove(self, wanted: str, values: dict[str, dict[str, str | None]] | None = None) -> None:
        """Prints each record with this number or source id and its path to the root."""
        found = [
            (n, line)
            for n, line in enumerate(self.lines())
            if wanted in (cells := line.decode("utf-8").split("\t"))[1:2] + cells[3:4]
            or cells[1][:15] == wanted
        ]
        if not found:
            self.fault(LEAVES, f"there is no record {wanted}")
        for n, line in found:
            self._prove(n, line, values)

    def _prove(self, number: int, line: bytes, values: dict[str, dict[str, str | None]] | None) -> None:
        tree = Tree(followed=number)
        for one in self.lines():
            tree.add(one)
        tree.root()
        texts = line.decode("utf-8").split("\t")
        cells = {name: texts[n] for n, name in enumerate(COLUMNS)}
        print(f"{cells['number'] or cells['source_id']}: {cells['sobject']} {cells['source_id']}", end=" ")
        print(f"-> {cells['target_id'] or 'nothing'}, planned {cells['action']}, proved {cells['outcome']}")
        for role in ROLES:
            print(f"  {role:>6} values  {cells[role] or 'none'}")
        print(f"  record {number + 1} of {tree.size}  {leaf_hash(line).hex()}")
        for side, other in tree.path:
            print(f"  {side:>5} neighbour  {other.hex()}")
        root = climb(leaf_hash(line), tree.path).hex()
        same = root == self.statement["tree"]["root"]
        print(f"  root             {root}: {'the sealed one' if same else 'NOT the sealed one'}")
        if not same:
            self.fault(LEAVES, f"{cells['source_id']} is not under the sealed root")
        if values is not None:
            self._values(number, cells, values)

    def _values(self, number: int, cells: dict[str, str], values: dict[str, dict[str, str | None]]) -> None:
        salt = self._salt(number, cells["source_id"])
        if salt is None:
            self.fault(SALTS, f"has no salt of {cells['source_id']}")
            return
        for role in [r for r in ROLES if r in values]:
            names = self.statement["fields"][role].get(cells["sobject"], [])
            unknown = sorted(set(values[role]) - set(names))
            if unknown:
                self.fault("values", f"{role}: {', '.join(unknown)} were not sealed")
            given = {n: values[role].get(n) for n in names}
            made = value_hash(salt, role, given, self.statement["format"])
            print(
                f"  {role:>6} values given: {'the sealed ones' if made == cells[role] else 'NOT the sealed ones'}"
            )
            if made != cells[role]:
                self.fault("values", f"these are not the {role} values of {cells['source_id']}")

    def _salt(self, number: int, source_id: str) -> bytes | None:
        path = self.folder / SALTS
        if not path.is_file():
            return None
        with path.open("r", encoding="ascii") as file:
            for n, line in enumerate(file):
                if n == number:
                    owner, salt = line.rstrip("\n").split("\t")
                    return bytes.fromhex(salt) if owner == source_id else None
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="the bundle, or a folder with `evidence` in it")
    parser.add_argument("record", nargs="?", help="order number or source id of one record")
    parser.add_argument("--values", type=Path, metavar="JSON", help='{"source": {"Field": "text"}, ...}')
    parser.add_argument("--file", type=Path, metavar="FILE", help="a file that was carried with a record")
    parser.add_argument("--key", type=public_key_of, metavar="PEM|HEX", help="public key of the signer")
    given = parser.parse_args(arguments)
    check = Check(given.folder, given.key)
    try:
        check.run()
        if given.record and not check.faults:
            values = json.loads(given.values.read_text("utf-8")) if given.values else None
            check.prove(given.record, values)
        if given.file and not check.faults:
            check.find_file(given.file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        check.fault(str(check.folder), f"cannot be read as evidence: {type(error).__name__}: {error}")
    if check.statement:
        told = check.statement.get("run", {})
        tree = check.statement.get("tree", {})
        print(
            f"run {told.get('run_id')}: {told.get('state')}, {tree.get('leaves')} records, root {tree.get('root')}"
        )
    print(f"checked: {', '.join(check.checked) or 'nothing'}")
    for note in check.notes:
        print(note)
    for name, what in check.faults:
        print(f"FAILED {name}: {what}")
    print("NOT as sealed" if check.faults else "all that is here is as it was sealed")
    return 1 if check.faults else 0


if __name__ == "__main__":
    sys.exit(main())
