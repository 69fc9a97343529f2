"""Who may see the page and halt: whoever has logged in with the token, or whom a named proxy vouches for."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from tasks.operations.changes.dials import CHANGED_BY, RAW_ACTOR
from tasks.operations.visible import is_seen
from worker.web.token import same

# A night, and no more: whoever finds the phone next week is asked again.
SESSION_SECONDS = 12 * 3600
_MOST_SESSIONS = 100
_MOST_NAME = 64
# By these the audit knows what no person did.
_NO_PERSONS = {*CHANGED_BY[1:], RAW_ACTOR}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: `actor`, for the audit. A form of theirs has `form_token`, which no other page knows."""

    actor: str
    form_token: str


@dataclass(frozen=True, slots=True)
class Proxy:
    """Those who log people in before they come here: at these addresses, they name them in a header."""

    addresses: frozenset[IPv4Address | IPv6Address]
    header: str

    def named(self, peer: str, sent: list[str]) -> str | None:
        """Return whom the proxy at `peer` names; None for nobody, for two, or where `peer` is no proxy."""
        try:
            trusted = ip_address(peer) in self.addresses
        except ValueError:
            return None
        # Starlette reads a header as Latin-1, and a proxy writes UTF-8.
        return (
            as_name(sent[0].encode("latin-1").decode(errors="replace"))
            if trusted and len(sent) == 1
            else None
        )


@dataclass(slots=True)
class Access:
    """Tells visitors from strangers. `token` and `proxy` are two ways in; without either there is none.

    Sessions live in this process: when it ends, everybody logs in again. `clock` returns seconds.
    """

    token: str | None
    proxy: Proxy | None
    clock: Callable[[], float] = time.monotonic
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _sessions: dict[str, tuple[str, float]] = field(default_factory=dict)

    def log_in(self, name: str, token: str) -> str | None:
        """Return a new session, for the cookie; None for a wrong token or no name."""
        actor = as_name(name)
        if self.token is None or not same(token.encode(errors="replace"), self.token) or actor is None:
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[session] = actor, self.clock() + SESSION_SECONDS
        while len(self._sessions) > _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def log_out(self, session: str) -> None:
        """End a session, whatever browser still has its cookie."""
        self._sessions.pop(session, None)

    def visitor(self, peer: str, named: list[str], cookies: Mapping[str, str], cookie: str) -> Visitor | None:
        """Return who asks from address `peer`, with these values of the proxy's header; None: a stranger."""
        if self.proxy and (actor := self.proxy.named(peer, named)):
            return Visitor(actor, self._form_token(f"proxy {actor}"))
        session = cookies.get(cookie, "")
        actor, until = self._sessions.get(session, ("", 0.0))
        if self.clock() >= until:
            self.log_out(session)
            return None
        return Visitor(actor, self._form_token(f"session {session}"))

    def _form_token(self, of: str) -> str:
        return hmac.new(self._key, of.encode(), hashlib.sha256).hexdigest()


def as_name(text: str) -> str | None:
    """Return a name for the audit without the blanks around it, or None where it is none."""
    name = text.strip()
    sound = (
        name
        and is_seen(name)
        and "\ufe0f" not in name
        and len(name) <= _MOST_NAME
        and name not in _NO_PERSONS
    )
    return name if sound else None
