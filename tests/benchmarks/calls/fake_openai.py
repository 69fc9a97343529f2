"""`python -m tests.benchmarks.calls.fake_openai`: the OpenAI stand-in in a process of its own, led by stdin.

In the process that measures it would share the interpreter with what reads the workers' logs and asks for
results, and would see its connections close, or answer, that much later. It has a line of JSON for each one
that it is given: `{"delay": seconds}` sets the delay of what follows, `{}` asks for the counts alone.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.fakes.openai.server import Behaviour, Counts, FakeOpenAI


@dataclass(frozen=True, slots=True)
class StandInProcess:
    """The stand-in, as the process that measures sees it."""

    base_url: str
    _process: subprocess.Popen[str]

    def delay(self, seconds: float) -> None:
        """Answer every request from now on after `seconds`."""
        self._ask({"delay": seconds})

    def counts(self) -> Counts:
        """Return the journal's totals at this moment."""
        return Counts(**self._ask({}))

    def wait_until(self, predicate: Callable[[Counts], bool], seconds: float) -> Counts:
        """Return the first counts, of one look in 50 ms, with which `predicate` is true, or the last ones."""
        deadline_mono = time.monotonic() + seconds
        while not predicate(counts := self.counts()) and time.monotonic() < deadline_mono:
            time.sleep(0.05)  # a look costs the stand-in 0.1 ms
        return counts

    def _ask(self, order: dict[str, float]) -> dict[str, float]:
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def fake_openai(module: str = "tests.benchmarks.calls.fake_openai") -> Iterator[StandInProcess]:
    """Run it, or another server that is led as it is; yield it, end it."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield StandInProcess(json.loads(process.stdout.readline())["base_url"], process)
        process.stdin.close()  # its loop ends, and it with it


def main() -> None:
    with FakeOpenAI() as fake_openai:
        print(json.dumps({"base_url": fake_openai.base_url}), flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            if "delay" in order:
                fake_openai.behave(Behaviour(delay_seconds=order["delay"]))
            print(json.dumps(dataclasses.asdict(fake_openai.journal.counts())), flush=True)


if __name__ == "__main__":
    main()
