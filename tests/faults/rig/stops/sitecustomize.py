"""Python runs this first in a worker that a test starts with this folder on PYTHONPATH: it waits at the gaps.

The file that STOP_FILE names says once what is to happen: "GAP SIGNAL PID". Whoever comes to that gap takes
the file away and sends the signal, to itself or to another process. There is no trace of it in the product.
"""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from tasks.generate.dial_reader import DialReader
from worker.adapters.celery.results import ResultWriter
from worker.adapters.redis.jobs.steps import RedisSteps
from worker.process.lazy_model import LazyModel

_FILE = Path(os.environ["STOP_FILE"])


def _at(gap):
    try:
        wanted, number, pid = _FILE.read_text().split()
    except FileNotFoundError:
        return
    if wanted == gap:
        _FILE.unlink()
        _send(int(pid), int(number))


def _send(pid, number):
    """Return when it has worked: nobody takes another step meanwhile."""
    if not pid:
        # To the whole process it would be any thread's to stop, and this one would go on for a moment.
        signal.pthread_kill(threading.get_ident(), number)
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        while True:
            os.kill(pid, 0)
            time.sleep(0.001)


def _stop_around(owner, name, before, after=None):
    method = getattr(owner, name)

    async def stopping(*args, **how):
        _at(before)
        said = await method(*args, **how)
        if after:
            _at(after)
        return said

    setattr(owner, name, stopping)


def _stop_before_the_read():
    method = DialReader.read_exclusive

    def stopping(self):
        _at("take|decide")
        return method(self)

    DialReader.read_exclusive = stopping


_stop_before_the_read()
_stop_around(RedisSteps, "claim", "decide|claim")
_stop_around(RedisSteps, "depart", "claim|depart")
_stop_around(LazyModel, "respond", "depart|request")
_stop_around(RedisSteps, "arrive", "request|arrive")
_stop_around(ResultWriter, "finish", "arrive|finish", "finish|end")
