"""Where artifacts are written, and what was written: size and SHA-256 of each file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import IO, Any, Protocol


class Folder(Protocol):
    """What is needed of a path: `pathlib.Path` and Airflow's `ObjectStoragePath` both do."""

    def __truediv__(self, name: str) -> Folder: ...
    def mkdir(self, mode: int = ..., parents: bool = ..., exist_ok: bool = ...) -> None:
        """Makes the folder; `parents` and `exist_ok` as in `pathlib`."""

    def unlink(self, missing_ok: bool = ...) -> None:
        """Removes the file."""

    def is_dir(self) -> bool:
        """Whether it is an existing folder."""

    def iterdir(self) -> Iterator[Folder]:
        """What is in the folder."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    # `Path.open` is overloaded by its mode: no single signature fits it.
    @property
    def open(self) -> Callable[..., IO[Any]]:
        """Opens the file, with the arguments of `Path.open`."""


class Hashed(io.RawIOBase):
    """Passes bytes on to a file and hashes them on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest, self.size = file, sha256(), 0

    def writable(self) -> bool:
        """Always true: bytes can only be written."""
        return True

    def write(self, data: Any) -> int:
        """Writes and hashes the bytes; gives their number."""
        piece = bytes(data)
        self.file.write(piece)
        self.digest.update(piece)
        self.size += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size


@dataclass
class Artifacts:
    """The folder of a run and the list of what stands in it."""

    folder: Folder
    listed: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def binary(self, name: str) -> Iterator[IO[bytes]]:
        """A file that is written from its beginning to its end; listed with its hash when it is closed."""
        with (self.folder / name).open("wb") as file:
            hashed = Hashed(file)
            with io.BufferedWriter(hashed, 1 << 16) as buffered:
                yield buffered
        self.listed.append({"name": name, "bytes": hashed.size, "sha256": hashed.digest.hexdigest()})

    @contextmanager
    def text(self, name: str, encoding: str = "utf-8") -> Iterator[IO[str]]:
        """A text file, line ends as they are written; listed with its hash when it is closed."""
        with self.binary(name) as file, io.TextIOWrapper(file, encoding=encoding, newline="") as text:
            yield text

    def write(self, name: str, content: str) -> None:
        """Writes a text file (UTF-8) and lists it."""
        with self.text(name) as file:
            file.write(content)

    def write_json(self, name: str, document: Any) -> None:
        """Writes a JSON document and lists it."""
        self.write(name, as_json(document) + "\n")

    def write_json_with(self, name: str, document: dict[str, Any], key: str, rows: Iterable[Any]) -> None:
        """An object with one more member: a list of any length, written row by row."""
        with self.text(name) as file:
            file.write(as_json(document).rstrip()[:-1].rstrip() + f',\n  "{key}": [')
            for n, row in enumerate(rows):
                file.write((",\n    " if n else "\n    ") + as_json(row, indent=None))
            file.write("\n  ]\n}\n")

    def list_existing(self, name: str) -> None:
        """Lists a file that an earlier stage wrote, when it is there."""
        try:
            digest, size = hash_of(self.folder / name)
        except FileNotFoundError:
            return
        self.listed.append({"name": name, "bytes": size, "sha256": digest})


def hash_of(path: Folder) -> tuple[str, int]:
    """SHA-256 (hex) and size of a file."""
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def as_json(document: Any, indent: int | None = 2) -> str:
    """JSON text; dates and decimals as text."""
    return json.dumps(document, indent=indent, default=str, ensure_ascii=False)
