"""The product's stand-in for OpenAI with every kind of bad answers, and a journal of what it saw.

By hand: `python -m tests.fakes.openai.server --port 8099 --delay 2`.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Mapping

from aiohttp import web

from tests.fakes.openai.behaviour import Behaviour, Play, ReplyScript
from tests.fakes.openai.http import FakeServer
from tests.fakes.openai.journal import Counts, Journal, JournalRecord, Reply
from worker.dev.fake_openai.models import shipped_models
from worker.dev.fake_openai.server import LoopbackServer

__all__ = ["Behaviour", "Counts", "FakeOpenAI", "Journal", "JournalRecord", "Play", "Reply"]


class FakeOpenAI(LoopbackServer):
    """The stand-in, serving from a thread of its own inside `with FakeOpenAI() as fake_openai:`.

    `port` 0 takes a free one. Every method is safe in any thread.
    """

    def __init__(self, *, port: int = 0, behaviour: Behaviour | None = None) -> None:
        self.port = port
        self.journal = Journal()
        self._script = ReplyScript(behaviour or Behaviour())
        # What GET /v1/models lists, with shutdown dates; None is a server that has no such page.
        self.models: Mapping[str, str | None] | None = shipped_models()

    def web_server(self) -> web.Server:
        return FakeServer(self.journal, self._script, lambda: self.models)

    def behave(self, behaviour: Behaviour) -> None:
        """Treat every valid request from now on by `behaviour`; those in flight keep theirs."""
        self._script.standing = behaviour

    def play_next(self, *behaviours: Behaviour) -> None:
        """Queue one behaviour for each of the next valid requests, before the standing one."""
        self._script.queue.extend(behaviours)

    def release(self) -> None:
        """Answer at once every request in the journal that still waits out its delay."""
        self._loop.call_soon_threadsafe(self._script.release)


def main(argv: list[str] | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM, then print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.openai.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--play", type=Play, default=Play.ANSWER, choices=list(Play), help="what to answer")
    given = parser.parse_args(argv)
    ended = threading.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: ended.set())
    behaviour = Behaviour(play=given.play, delay_seconds=given.delay)
    with FakeOpenAI(port=given.port, behaviour=behaviour) as fake_openai:
        print(f"export OPENAI_BASE_URL={fake_openai.base_url} OPENAI_API_KEY=any", flush=True)
        ended.wait()
        print(fake_openai.journal.counts())


if __name__ == "__main__":
    main()
