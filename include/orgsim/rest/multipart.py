"""Bodies of type multipart/form-data whose parts may be binary (RFC 7578)."""

from __future__ import annotations

import re
from email.message import Message

from orgsim.errors import ApiError

_NAME = re.compile(r'\bname="?([^";]+)"?')


def parts_of(body: bytes, kind: str) -> list[tuple[str, bool, bytes]]:
    """(name, whether it is JSON, bytes) of each part."""
    header = Message()
    header["content-type"] = kind
    boundary = header.get_boundary()
    if not boundary:
        raise ApiError("INVALID_MULTIPART_REQUEST", "the boundary is missing")
    mark = b"--" + boundary.encode()
    if not body.rstrip(b"\r\n").endswith(mark + b"--"):
        raise ApiError("INVALID_MULTIPART_REQUEST", "the last boundary is missing")
    found = []
    for part in (b"\r\n" + body).split(b"\r\n" + mark)[1:-1]:
        head, separator, data = part.partition(b"\r\n\r\n")
        name = _NAME.search(head.decode("utf-8", "replace"))
        if not separator or name is None:
            raise ApiError("INVALID_MULTIPART_REQUEST", "a part has no name")
        found.append((name[1], b"application/json" in head.lower(), data))
    return found
