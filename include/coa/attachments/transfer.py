"""One file from org to org in bounded memory: streamed to disk with its hashes, streamed on from there.

It lies on disk in between, in a file without a name, because a request that has to be repeated needs the bytes again,
and a multipart body its length before it begins. What is held in memory is `CHUNK` bytes at a time.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

import requests

from coa.errors import AmbiguousWrite, IncompleteExtract
from coa.hanging import MOST_BASE64, Hanging
from coa.salesforce.session import Org

CHUNK = 256 * 1024
IN_MEMORY = 1024 * 1024
"""A file up to this size never touches the disk."""


@dataclass
class Spooled:
    """A file that was read: its bytes, how many, and their hashes."""

    file: IO[bytes]
    size: int
    sha256: str
    md5: str

    def close(self) -> None:
        """Closes the temporary file, which removes it."""
        self.file.close()

    def __enter__(self) -> Spooled:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def download(org: Org, kind: Hanging, record_id: str, *, size: int | None, md5: str = "") -> Spooled:
    """The bytes of a record. Raises `IncompleteExtract` when they do not come whole (`size`, `md5`)."""
    for attempt in range(1, org.settings.request_retries + 1):
        spooled = _read(org, kind, record_id)
        if isinstance(spooled, Spooled):
            if (size is None or spooled.size == size) and (not md5 or spooled.md5 == md5):
                return spooled
            found = f"{spooled.size} bytes, {size} were announced"
            spooled.close()
        else:
            found = type(spooled).__name__
        if attempt < org.settings.request_retries:
            time.sleep(
                min(org.settings.retry_first_seconds * 2 ** (attempt - 1), org.settings.retry_max_seconds)
            )
    raise IncompleteExtract(
        f"{org.name}: {kind.sobject} {record_id} did not come whole ({found}).",
        next_step="open the file in the org; if it can be read there, run again.",
    )


def _read(org: Org, kind: Hanging, record_id: str) -> Spooled | Exception:
    """A whole reading, or what broke it off."""
    path = f"{org.data_path}/sobjects/{kind.sobject}/{record_id}/{kind.body}"
    response = org.request("GET", path, kind="file_read", stream=True)
    sha256, md5, total = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the caller closes it
    try:
        with closing(response):
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                sha256.update(chunk)
                md5.update(chunk)
                total += len(chunk)
    except (requests.RequestException, OSError) as broken:
        file.close()
        if isinstance(broken, OSError) and not isinstance(broken, requests.RequestException):
            raise
        return broken
    return Spooled(file, total, sha256.hexdigest(), md5.hexdigest())


class Body(io.RawIOBase):
    """A request body of bytes and files one after the other, with its length, and from the start as often as needed."""

    def __init__(self, *parts: bytes | Spooled) -> None:
        self._parts = parts
        self._length = sum(len(p) if isinstance(p, bytes) else p.size for p in parts)
        self._chunks = self._read_all()

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        """Always true: `requests` asks before it reads."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """To the start only."""
        if offset or whence:
            raise io.UnsupportedOperation("only to the start")
        self._chunks = self._read_all()
        return 0

    def read(self, size: int = -1) -> bytes:
        """The next chunk, whatever size is asked for; empty at the end."""
        return next(self._chunks, b"")

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def _read_all(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            part.file.seek(0)
            while chunk := part.file.read(CHUNK):
                yield chunk


def create_with_body(
    org: Org, kind: Hanging, values: dict[str, Any], spooled: Spooled, file_name: str
) -> str:
    """Creates a record with its bytes; its id. Raises `AmbiguousWrite` for an answer that did not come, `OrgRefused`.

    REST API guide, "Insert or Update Blob Data": the fields come first, as JSON, in a part named `entity_content`.
    """
    path = f"{org.data_path}/sobjects/{kind.sobject}"
    if 0 < spooled.size <= min(org.settings.file_base64_bytes, MOST_BASE64):
        spooled.file.seek(0)
        encoded = base64.b64encode(spooled.file.read()).decode()
        answer = org.send_json(
            "POST", path.removeprefix(org.data_path), values | {kind.body: encoded}, kind="file_write"
        )
        return _id_of(answer, org, kind)
    boundary = secrets.token_hex(16)
    name = "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else "_" for c in file_name) or "file"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="entity_content";\r\n'
        "Content-Type: application/json; charset=UTF-8\r\n\r\n"
        f"{json.dumps(values)}\r\n--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{kind.body}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    response = org.request(
        "POST",
        path,
        kind="file_write",
        data=Body(head, spooled, f"\r\n--{boundary}--\r\n".encode()),  # type: ignore[arg-type]
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        safe=False,
    )
    try:
        return _id_of(response.json(), org, kind)
    except (ValueError, requests.RequestException) as error:
        raise AmbiguousWrite(f"{org.name}: POST {kind.sobject} did not answer with JSON.") from error


def _id_of(answer: Any, org: Org, kind: Hanging) -> str:
    found = str(answer.get("id") or "") if isinstance(answer, dict) else ""
    if not found:
        raise AmbiguousWrite(f"{org.name}: POST {kind.sobject} answered without an id.")
    return found
