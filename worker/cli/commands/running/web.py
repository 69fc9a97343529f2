"""`slotgen web`: one page for a phone, with a halt button."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated

import typer

from telemetry import PortUnavailable
from worker.cli.support.connection import load_settings
from worker.cli.support.errors import CliError, refuses
from worker.cli.support.options import AsJson, Host, Port
from worker.cli.support.signals import termination_held
from worker.cli.support.terminal import answer
from worker.cli.support.tokens import log_to_stdout, read_token

_EXTRA = {"jinja2", "starlette", "uvicorn", "h11", "markupsafe"}


def web(
    *,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that people log in with.")
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="Address of a proxy that logs people in and names them; repeatable.", metavar="IP"),
    ] = None,
    user_header: Annotated[
        str, typer.Option(help="The header in which that proxy names who asks.", metavar="NAME")
    ] = "X-Forwarded-User",
    webhook_token_file: Annotated[
        Path | None, typer.Option(help="A file with the token of the alert webhook, POST /halt.")
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(help="How browsers reach the page, if not as localhost; repeatable.", metavar="URL"),
    ] = None,
    port: Port = 9466,
    host: Host = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Serve one page for a phone: the status of the fleet, and a halt button. It cannot release.

    It needs the extra "web" of the package. Everybody logs in, with a token or through a proxy.
    """
    proxies = _addresses(proxy or [])
    if token_file is None and not proxies:
        raise CliError(
            "slotgen web lets nobody in without a login: give it --token-file, with a token that you make by "
            "openssl rand -base64 32, or --proxy, the address of a proxy that logs people in"
        )
    try:
        from worker.web.access import Proxy
        from worker.web.composition import Entrances, application
        from worker.web.server import bound_socket, server
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        if package not in _EXTRA:
            raise
        raise CliError(
            f'slotgen web needs the extra "web" ({package} is not installed): pip install "slotgen[web]"'
        ) from None
    settings, urls = load_settings(), url or []
    tokens = {file: read_token(file) for file in (token_file, webhook_token_file) if file}
    login = tokens[token_file].get_secret_value() if token_file else None
    alerts = tokens[webhook_token_file].get_secret_value() if webhook_token_file else None
    if login and login == alerts:
        raise CliError("the webhook has the token of the page; make one of its own: alerts need no page")
    log_to_stdout(settings, *tokens.values())
    entrances = Entrances(login, Proxy(proxies, user_header) if proxies else None, alerts)
    with (
        termination_held() as interruptible,
        refuses(PortUnavailable),
        bound_socket(host, port) as listening,
        refuses(ValueError, before="--url is ", after="; give a scheme and a host: https://halt.example.org"),
        application(settings, entrances, listening, urls) as answers,
    ):
        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        page = (urls or [address])[0]
        lines = [f"the page is at {page}; it can halt the fleet, and not release it"]
        lines += [f"{each} is not encrypted: its token can be read on the way" for each in _in_clear(urls)]
        answer({"listening": address, "url": page}, lines, as_json=as_json)
        with suppress(KeyboardInterrupt), interruptible():
            server(answers).run(sockets=[listening])


def _in_clear(urls: list[str]) -> list[str]:
    return [each for each in urls if each.startswith("http:")]


def _addresses(texts: list[str]) -> frozenset[IPv4Address | IPv6Address]:
    with refuses(ValueError, before="--proxy: ", after="; give one address, as 10.0.0.7"):
        return frozenset(map(ip_address, texts))
