"""Access tokens and who they stand for. No token says when it ends: the session policy does (contract A2)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orgsim.org import Org


@dataclass(slots=True)
class Session:
    token: str
    user_id: str
    last_used: float
    calls: int = 0


class Sessions:
    """The live sessions of one org."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._live: dict[str, Session] = {}
        #: a session ends after this many calls; 0: no such limit (a fault for tests)
        self.calls_allowed = 0
        self.opened = 0

    def open(self, user_id: str = "") -> Session:
        token = f"{self._org.id[:15]}!AQ{secrets.token_urlsafe(60)}".replace("-", ".")
        session = Session(token, user_id or self._org.user_id, self._org.clock.time())
        self._live[token] = session
        self.opened += 1
        return session

    def find(self, token: str) -> Session | None:
        """The session, its idle time started anew; None when it ended or never was."""
        session = self._live.get(token)
        if session is None:
            return None
        now = self._org.clock.time()
        expired = now - session.last_used > self._org.settings.session_seconds
        if expired or (self.calls_allowed and session.calls >= self.calls_allowed):
            self.close(token)
            return None
        session.last_used = now
        session.calls += 1
        return session

    def close(self, token: str) -> None:
        self._live.pop(token, None)

    def close_all(self) -> int:
        count = len(self._live)
        self._live.clear()
        return count
