"""A mail server for one machine that delivers nothing: `make demo NOTIFY=smtp://127.0.0.1:2525` shows what it gets.

As much of SMTP (RFC 5321) as a client needs to hand a message over, without TLS, accounts or relaying.
"""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from html import unescape
from typing import cast

from coa.errors import ConfigurationError

LONGEST_LINE = 2000
MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Mail:
    """A message that came in; `text` without markup."""

    to: str
    subject: str
    text: str


@contextmanager
def mailbox(host: str, port: int, show: Callable[[Mail], object]) -> Iterator[int]:
    """Takes mails until the end of the block, and shows each; the port (0: any that is free).

    Raises `ConfigurationError` when something else listens there.
    """
    try:
        server = _Server((host, port), _Session)
    except OSError as error:
        raise ConfigurationError(
            f"No mailbox can be opened at {host}:{port} ({error.strerror}).",
            next_step="choose a free port of this machine: NOTIFY=smtp://127.0.0.1:2526.",
        ) from error
    server.show = show
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    show: Callable[[Mail], object]


class _Session(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self) -> None:
        recipients: list[str] = []
        self._say("220 mailbox ready")
        while line := self.rfile.readline(LONGEST_LINE):
            command = line[:4].upper()
            if command == b"QUIT":
                self._say("221 bye")
                return
            if command == b"DATA":
                self._say("354 end with a dot on a line of its own")
                cast(_Server, self.server).show(_read(self._data(), recipients))
                recipients = []
            elif command == b"RCPT":
                recipients.append(line.partition(b":")[2].strip().strip(b"<>").decode("utf-8", "replace"))
            elif command == b"RSET":
                recipients = []
            elif command not in (b"EHLO", b"HELO", b"MAIL", b"NOOP"):
                self._say("502 not implemented")
                continue
            self._say("250 ok")

    def _data(self) -> bytes:
        """The message; a line that begins with a dot was sent with two (RFC 5321, 4.5.2)."""
        lines: list[bytes] = []
        size = 0
        while (line := self.rfile.readline(LONGEST_LINE)) and line.rstrip(b"\r\n") != b".":
            size += len(line)
            if size < MOST_BYTES:
                lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


def _read(content: bytes, recipients: list[str]) -> Mail:
    message = message_from_bytes(content, policy=policy.default)
    body = message.get_body(("plain", "html"))
    text = str(body.get_content()) if body else ""
    return Mail(", ".join(recipients), str(message["Subject"]), _plain(text))


def _plain(html: str) -> str:
    """
    >>> _plain("<p>a &amp; b</p><p>c</p>")
    'a & b\\nc'
    """
    text = re.sub(r"<[^>]*>", "", re.sub(r"</p>\s*", "\n", html))
    return "\n".join(unescape(text).strip().splitlines())
