"""Reads the URL of a Redis behind Sentinel: `sentinel://[USER:PASSWORD@]HOST:26379[,HOST…]/SERVICE[/DB]`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

SCHEME = "sentinel://"
_DEFAULT_PORT = 26379
# The Sentinels' own credentials; the ones before the @ are the Redis's.
_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """The parts of the URL. `hosts` are the Sentinels; `service` is their name for the primary.

    `credentials` has `username` and `password` for Redis, `sentinel_credentials` the same for the
    Sentinels; each may lack either.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int
    credentials: dict[str, str]
    sentinel_credentials: dict[str, str]

    @classmethod
    def parse(cls, url: str) -> SentinelUrl:
        """Return the parts of `url`. Raises ValueError when it is no such URL."""
        parts = urlsplit(url)
        userinfo, _, hosts = parts.netloc.rpartition("@")
        service, _, db = parts.path[1:].partition("/")
        if not service:
            raise ValueError("no service name")
        if db and not db.isdecimal():
            raise ValueError("the database is a number")
        return cls(
            hosts=tuple(_host(each) for each in hosts.split(",")),
            service=unquote(service),
            db=int(db or 0),
            credentials=_credentials(userinfo),
            sentinel_credentials=_sentinel_credentials(parts.query),
        )

    def as_celery(self) -> str:
        """Return the URL in Celery's words: one for each Sentinel, joined by semicolons."""
        user = quote(self.credentials.get("username", ""), safe="")
        password = quote(self.credentials.get("password", ""), safe="")
        userinfo = f"{user}:{password}@" if self.credentials else ""
        return ";".join(f"{SCHEME}{userinfo}{host}:{port}/{self.db}" for host, port in self.hosts)


def _host(text: str) -> tuple[str, int]:
    # urlsplit reads brackets and ports once it has one host before it.
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host, or no port")
    return parts.hostname, parts.port or _DEFAULT_PORT


def _credentials(userinfo: str) -> dict[str, str]:
    user, _, password = userinfo.partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def _sentinel_credentials(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query))
    unknown = set(given) - set(_OPTIONS)
    if unknown:
        raise ValueError(f"unknown option {min(unknown)}")
    return {_OPTIONS[name]: value for name, value in given.items()}
