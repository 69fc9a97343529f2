"""Reads Redis URLs, those of a Redis behind Sentinel included, and shows them without their secrets.

`sentinel://[USER:PASSWORD@]HOST:26379[,HOST…]/SERVICE[/DB]` is our own form; the others are redis-py's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

SCHEME = "sentinel://"
# What to do about a URL that cannot be used.
REDIS_URL_FORMS = (
    "set redis://HOST:6379/0, rediss://HOST:6379/0?ssl_cert_reqs=required, unix:///PATH "
    "or sentinel://HOST:26379,HOST:26379/SERVICE/0"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
_SCHEMES = ("redis", "rediss", "unix", "sentinel")
_DEFAULT_PORT = 26379
# The Sentinels' own credentials; the ones before the @ are the Redis's.
_SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}
_TLS_OPTIONS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"}


def _split(url: str) -> SplitResult:
    """Return the parts of `url`; Python's own way takes no brackets beside other hosts."""
    scheme, _, rest = url.partition("://")
    end = min((at for sign in "/?#" if (at := rest.find(sign)) >= 0), default=len(rest))
    return urlsplit(f"{scheme}://{rest[end:]}")._replace(netloc=rest[:end])


def check_name(name: str) -> str:
    """Return `name` if it may be that of one Redis among several. Raises ValueError, without its text."""
    if not _NAME.fullmatch(name):
        raise ValueError("no name; use 1-16 letters, digits, dots, - or _")
    return name


def check_url(url: str) -> str:
    """Return `url` if every client of ours can use it. Raises ValueError."""
    if not url.isprintable() or " " in url:
        raise ValueError("a blank, or a control character")
    parts = _split(url)
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        raise ValueError("not a Redis URL")
    if parts.fragment:
        # Each client would take another part of it.
        raise ValueError("a fragment; write # as %23")
    if parts.scheme == "sentinel":
        SentinelUrl.parse(url)
    elif parts.scheme == "unix":
        if not parts.path.strip("/") or parts.netloc.rpartition("@")[2]:
            raise ValueError("no whole path of a socket")
        _database(_known(parts.query, {"db"}).get("db", ""))
    else:
        _host(parts.netloc.rpartition("@")[2])
        _database(parts.path[1:])
        options = _known(parts.query, _TLS_OPTIONS if parts.scheme == "rediss" else set())
        if parts.scheme == "rediss" and options.get("ssl_cert_reqs") != "required":
            # Without it the broker's connection would accept any certificate.
            raise ValueError("no certificate check")
        if options.get("ssl_check_hostname", "true").lower() not in {"true", "false"}:
            raise ValueError("ssl_check_hostname is true or false")
        for each in {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"} & options.keys():
            _readable(each, options[each])
    return url


def for_celery(url: str) -> str:
    """Return `url` in the words of Celery and kombu, which have their own for a socket and for Sentinels."""
    if url.startswith(SCHEME):
        return SentinelUrl.parse(url).as_celery()
    # kombu takes a semicolon for the end of one URL and the beginning of another.
    url = url.replace(";", "%3B")
    if url.startswith("unix://"):
        return url.replace("unix://", "socket://", 1).replace("?db=", "?virtual_host=", 1)
    return url


def address(url: str) -> str:
    """Return what of `url` may be shown: neither its credentials nor its options."""
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def with_password(url: str, password: str) -> str:
    """Return `url` with `password` for its user. Raises ValueError when it holds a password already."""
    parts = _split(url)
    user, _, hosts = parts.netloc.rpartition("@")
    if ":" in user:
        raise ValueError("a password already")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{hosts}"))


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
        parts = _split(url)
        userinfo, _, hosts = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        credentials = {"username": unquote(user), "password": unquote(password)}
        service, _, db = parts.path[1:].partition("/")
        if not service:
            raise ValueError("no service name")
        options = _known(parts.query, set(_SENTINEL_OPTIONS))
        return cls(
            hosts=tuple(_host(each) for each in hosts.split(",")),
            service=unquote(service),
            db=_database(db),
            credentials={name: value for name, value in credentials.items() if value},
            sentinel_credentials={_SENTINEL_OPTIONS[name]: value for name, value in options.items()},
        )

    def as_celery(self) -> str:
        """Return the URL in Celery's words: one for each Sentinel, joined by semicolons."""
        user = quote(self.credentials.get("username", ""), safe="")
        password = quote(self.credentials.get("password", ""), safe="")
        userinfo = f"{user}:{password}@" if self.credentials else ""
        places = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return ";".join(f"{SCHEME}{userinfo}{place}/{self.db}" for place in places)


def _host(text: str) -> tuple[str, int]:
    # urlsplit reads brackets and ports, and raises for what is no port, once it has one host before it.
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port == 0 or "," in parts.hostname:
        raise ValueError("no host, or no port")
    return parts.hostname, parts.port or _DEFAULT_PORT


def _readable(option: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            return
    except OSError as error:
        raise ValueError(f"{option}: {error.strerror}") from None


def _database(text: str) -> int:
    if text and not text.isdecimal():
        raise ValueError("the database is a number")
    return int(text or 0)


def _known(query: str, names: set[str]) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    if unknown := set(given) - names:
        raise ValueError(f"unknown option {min(unknown)}")
    if len(given) < len(pairs):
        # Each client would take another one of them.
        raise ValueError("an option twice")
    return given
