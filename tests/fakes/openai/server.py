"""Plays OpenAI's Responses API on loopback, good answers and every kind of bad ones, at no cost.

By hand: `python -m tests.fakes.openai.server --port 8099 --delay 2`.
"""

import argparse
import asyncio
import signal
import threading
from concurrent.futures import Future
from typing import Self

from aiohttp import web

from tests.fakes.openai.behaviour import Behaviour, Play, ReplyScript
from tests.fakes.openai.http import FakeServer
from tests.fakes.openai.journal import Counts, Journal, JournalRecord, Reply

__all__ = ["Behaviour", "Counts", "FakeOpenAI", "Journal", "JournalRecord", "Play", "Reply"]

_HOST = "127.0.0.1"
_START_SECONDS = 10.0
_BACKLOG = 1024
# What is still in flight when the stand-in stops is cancelled after this; 0 would mean for ever.
_SHUTDOWN_SECONDS = 0.05


class FakeOpenAI:
    """The stand-in, serving from a thread of its own inside `with FakeOpenAI() as fake_openai:`.

    `port` 0 takes a free one. Every method is safe in any thread.
    """

    _thread: threading.Thread
    _loop: asyncio.AbstractEventLoop
    _stop_asked: asyncio.Event

    def __init__(self, *, port: int = 0, behaviour: Behaviour | None = None) -> None:
        self.port = port
        self.journal = Journal()
        self._script = ReplyScript(behaviour or Behaviour())

    @property
    def base_url(self) -> str:
        """What to set as OPENAI_BASE_URL."""
        return f"http://{_HOST}:{self.port}/v1"

    def behave(self, behaviour: Behaviour) -> None:
        """Treat every valid request from now on by `behaviour`; those in flight keep theirs."""
        self._script.standing = behaviour

    def play_next(self, *behaviours: Behaviour) -> None:
        """Queue one behaviour for each of the next valid requests, before the standing one."""
        self._script.queue.extend(behaviours)

    def release(self) -> None:
        """Answer at once every request in the journal that still waits out its delay."""
        self._loop.call_soon_threadsafe(self._script.release)

    def __enter__(self) -> Self:
        """Serve, and return once connections are accepted. Raises OSError when the port is taken."""
        serving: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(serving,), name="fake-openai", daemon=True)
        self._thread.start()
        serving.result(_START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and end the thread; requests in flight count as cancelled."""
        self._loop.call_soon_threadsafe(self._stop_asked.set)
        self._thread.join()

    def _run(self, serving: Future[None]) -> None:
        try:
            asyncio.run(self._serve(serving))
        except OSError as failure:
            serving.set_exception(failure)

    async def _serve(self, serving: Future[None]) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(FakeServer(self.journal, self._script), shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, _HOST, self.port, backlog=_BACKLOG)
            await site.start()
            self.port = site.port
            serving.set_result(None)
            await self._stop_asked.wait()
        finally:
            await runner.cleanup()


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
