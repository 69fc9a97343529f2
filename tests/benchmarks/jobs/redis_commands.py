"""How many Redis commands a STUB job takes against Celery's own, and how many a model call takes.

Counted by Redis, with MONITOR, in two ways. Sent: what a client has sent, be it a plain command, a part of a
MULTI, or the EVAL of a script; each costs a worker its share of redis-py and of a round trip. Run: what Redis
has run, the commands inside scripts included beside the EVAL; that is Redis's own work (INFO commandstats
counts so), and shows whether a script only hides commands.

What a worker does anyway (heartbeats, kombu's look for lost messages) is in both, on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import redis

from tests.benchmarks.rig.messages import generated, nothing, stubs
from tests.benchmarks.rig.row import Row, at_most
from tests.benchmarks.rig.workers import bare_worker, drain
from tests.builders import open_dials
from tests.fakes.openai.server import Behaviour, FakeOpenAI
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import stack

JOBS = 1000
_OURS = "benchmark"
_END = "the end of the benchmark"


def run() -> Iterator[Row]:
    """Yield the rows."""
    options = ["--pool", "threads", "--concurrency", "100"]
    with EmbeddedRedis() as server, bare_worker(server, *options), connected(server.url) as client:
        drain(client, "bare", nothing(200))
        bare = counted(client, lambda: drain(client, "bare", nothing(JOBS)))
    with (
        FakeOpenAI() as fake_openai,
        stack(concurrency=100, openai_url=fake_openai.base_url) as system,
        connected(system.redis_url) as client,
    ):
        client.mset(open_dials(kill="true"))
        drain(client, "slotgen", stubs(200))
        stub = counted(client, lambda: drain(client, "slotgen", stubs(JOBS)))
        client.set("slotgen:kill", "false")
        fake_openai.behave(Behaviour(delay_seconds=0.2))
        drain(client, "slotgen", generated(range(100), "warm"))
        call = counted(client, lambda: drain(client, "slotgen", generated(range(JOBS), "call")))
    yield Row("Redis commands sent for a bare no-op task", shown(bare[0]))
    yield Row("Redis commands sent for a STUB job", shown(stub[0]))
    for which, words in enumerate(("sent", "run, those inside scripts included")):
        ours, celery = (sum(each[which].values()) / JOBS for each in (stub, bare))
        figure = f"{ours / celery:.2f} ({ours:.1f} / {celery:.1f})"
        yield at_most(f"  {words}: STUB / bare", ours / celery, 1, figure=figure)
    yield Row("Redis commands sent for a model call, 100 in flight", shown(call[0]))
    yield Row("  run, those inside scripts included", f"{sum(call[1].values()) / JOBS:.1f}")


def connected(url: str) -> redis.Redis:
    """Return a client whose commands are told from the workers' by its name."""
    return redis.Redis.from_url(url, client_name=_OURS)


def counted(client: redis.Redis, act: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    """Return the commands sent and run while `act` runs, by name, but for those of `client`."""
    sent, ran = Counter(), Counter()
    with client.monitor() as monitor:
        act()
        ours = {each["addr"] for each in client.client_list() if each["name"] == _OURS}
        client.echo(_END)
        for told in monitor.listen():
            if told["command"] == f"ECHO {_END}":
                return sent, ran
            sender, name = f"{told['client_address']}:{told['client_port']}", told["command"].split()[0]
            if told["client_type"] == "lua":
                ran[name.upper()] += 1
            elif sender not in ours:
                sent[name.upper()] += 1
                ran[name.upper()] += 1
    raise AssertionError("MONITOR ended by itself")


def shown(sent: Counter[str]) -> str:
    often = [f"{name} {number / JOBS:.1f}" for name, number in sent.most_common() if number >= JOBS / 20]
    return f"{sum(sent.values()) / JOBS:.1f}: {', '.join(often)}"
