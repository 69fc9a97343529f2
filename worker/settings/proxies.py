"""Refuses the proxies of the environment that no request to the model could take.

They are read by the HTTP client as it is made: one that it cannot use would fail every job.
"""

import os
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from worker.settings.settings import BadSetting, http_url, is_loopback

_PROXIES = ("http", "https", "all")


def refuse_bad_proxies(openai_base_url: str | None) -> None:
    """Make sure that requests to `openai_base_url` (None: OpenAI's) find their way.

    Raises:
        BadSetting: one line for each variable that names no HTTP proxy, or in NO_PROXY no host.

    """
    found = getproxies_environment()
    if is_loopback(openai_base_url or "") or not any(found.get(each) for each in _PROXIES):
        return
    lines = [
        f"{_variable(each, found[each])} is {_shown(found[each])}; set http://HOST:PORT or https://HOST:PORT "
        "of an HTTP proxy (there is no support for SOCKS), or unset it"
        for each in _PROXIES
        if found.get(each) and not _usable(found[each])
    ]
    lines += [
        f"{_variable('no', found['no'])} has {each!r}; set hosts and addresses with commas between them"
        for each in map(str.strip, found.get("no", "").split(","))
        if each not in {"", "*"} and not _is_host(each)
    ]
    if lines:
        raise BadSetting("\n".join(lines))


def _usable(proxy: str) -> bool:
    scheme, _, rest = proxy.rpartition("://")
    try:
        user, _, place = urlsplit(f"//{rest}").netloc.rpartition("@")
        http_url(f"{scheme or 'http'}://{place}")
        # What the header for the proxy has room for.
        unquote(user).encode("latin-1")
    except ValueError:
        return False
    return ":" not in unquote(user.partition(":")[0]) and proxy.isprintable() and " " not in proxy


def _is_host(name: str) -> bool:
    host, slash, network = name.rpartition("://")[2].removeprefix("*").removeprefix(".").partition("/")
    bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    try:
        http_url(f"http://[{host}]{slash}{network}" if bare_ipv6 else f"http://{host}{slash}{network}")
    except ValueError:
        return False
    return True


def _shown(proxy: str) -> str:
    """Return `proxy` without its user and password."""
    before, at, place = proxy.rpartition("@")
    scheme, mark, _ = before.rpartition("://")
    return repr(f"{scheme}{mark}…@{place}" if at else proxy)


def _variable(scheme: str, value: str) -> str:
    """Return the variable as it is spelled: either case counts, and the lower one more."""
    names = [each for each in os.environ if each.lower() == f"{scheme}_proxy" and os.environ[each] == value]
    return min(names, key=str.isupper)
