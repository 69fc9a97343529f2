"""A real process of `slotgen web`, and requests to it as a browser would send them, or would not."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp

from telemetry.exporter import Bounds
from tests.log_lines import LogLines
from worker.dev.stack import worker_environment
from worker.web.server import bound_socket, server

TOKEN = "Jk3vR9sQ2xW7pLm5Zt8Yb1"
ALERTS = "0123456789abcdef0123456789abcdef"
WAIT_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """One answer; `sets` is the cookie that it sets, without its attributes."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def sets(self) -> str:
        return self.headers.get("set-cookie", "").split(";")[0]

    @property
    def form(self) -> str:
        """The token of the page's forms."""
        (token,) = set(re.findall(r'name="form" value="(\w+)"', self.text))
        return token


@dataclass
class Site:
    """One page, and what its process has logged."""

    url: str
    process: subprocess.Popen[str] | None = None
    log: LogLines = field(default_factory=LogLines)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: dict[str, str] | None = None,
        body: bytes = b"",
        cookie: str = "",
        headers: dict[str, str | None] | None = None,
        more: tuple[tuple[str, str], ...] = (),
    ) -> Answer:
        """Send what a browser on the page would, but for these `headers`; None leaves one out."""
        wanted = {"Host": self.host}
        if method == "POST":
            wanted |= {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        if cookie:
            wanted["Cookie"] = cookie
        wanted |= headers or {}
        body = urlencode(form).encode() if form is not None else body
        connection = http.client.HTTPConnection(self.host, timeout=WAIT_SECONDS)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = [(name, value) for name, value in wanted.items() if value is not None]
        for name, value in (*sent, *more):
            connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)

    def log_in(self, name: str = "ann", token: str = TOKEN) -> str:
        """Return the cookie of a new session."""
        answer = self.ask("POST", "/login", form={"name": name, "token": token})
        assert answer.status == 303, answer.text
        return answer.sets

    def press(self, cookie: str, reason: str = "", **given: object) -> Answer:
        """Press the halt button of the page as it is now."""
        page = self.ask("GET", "/", cookie=cookie)
        return self.ask("POST", "/", cookie=cookie, form={"form": page.form, "reason": reason}, **given)


def secret(folder: Path, name: str, text: str) -> str:
    """Return the path of a new secret file."""
    (folder / name).write_text(text + "\n")
    (folder / name).chmod(0o600)
    return str(folder / name)


@contextmanager
def a_site(
    folder: Path, redis_url: str, *words: str, token: str | None = TOKEN, **environment: str
) -> Iterator[Site]:
    """Run a process of its own on a free port, with these `words` on its command line; it ends with 0."""
    words = ("--port", "0", "--json", *words)
    if token:
        words = ("--token-file", secret(folder, "token", token), *words)
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "web", *words],
        env=os.environ | worker_environment(redis_url, None) | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line.startswith("}"):
            break
    site = Site(json.loads(said)["listening"], process)
    lines = process.stdout
    reading = threading.Thread(target=lambda: [site.log.hear(json.loads(line)) for line in lines])
    reading.start()
    try:
        yield site
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(WAIT_SECONDS)
        reading.join(WAIT_SECONDS)
        process.stdout.close()
    assert code == 0
    assert not any(each in json.dumps(list(site.log)) for each in (TOKEN, ALERTS))


@contextmanager
def served(application: ASGIApp, **bounds: float) -> Iterator[tuple[str, int]]:
    """Serve `application` in a thread, within these bounds; give its address."""
    with bound_socket("127.0.0.1", 0) as listening:
        running = server(application, Bounds(**bounds))
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            running.should_exit = running.force_exit = True
            thread.join(WAIT_SECONDS)
