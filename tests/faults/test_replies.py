"""Mutated replies of a model's server: each ends its job with a word of the vocabulary, in time, and paid for
with no more than was held for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx2
import pytest

from tasks import executor_config
from tasks.errors import ErrorCode, ModelError
from tests.builders import a_spec, new_job
from tests.fakes import clock
from tests.faults.rig.length import in_full
from tests.faults.rig.replies import Replies, Reply, a_response, sound
from tests.tasks.generate.use_case import UseCase
from tests.worker.adapters.openai.test_model import a_request
from worker.adapters.openai.model import OpenAIModel, open_client

SEED = 4711
IN_PROCESS = in_full(16_000, short=800)
ON_THE_WIRE = in_full(4_000, short=200)
AT_ONCE = 20
# One reply is read, and judged, within that on any machine.
READ_SECONDS = 5
# And no server's word holds back a fleet for longer.
LONGEST_COOLDOWN_SECONDS = 3600
# What only a job's own server can have brought about.
SERVERS = {each.value for each in ErrorCode if each.value.startswith(("OPENAI_", "OUTPUT_"))}


@dataclass
class Server:
    """A server in the SDK's transport, which always says the reply that it was given last."""

    reply: Reply = field(default_factory=Reply)

    def respond(self, _: httpx2.Request) -> httpx2.Response:
        reply = self.reply
        encoding = [] if reply.encoding is None else [("content-encoding", reply.encoding)]
        headers = [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in [*reply.headers, *encoding]
        ]
        return httpx2.Response(reply.status, headers=headers, stream=httpx2.ByteStream(reply.body))

    def model(self) -> OpenAIModel:
        """Return the adapter, with the SDK as it is, before this server."""
        client = open_client("x", "http://127.0.0.1:1/v1", 1)
        client._client._transport = httpx2.MockTransport(self.respond)
        return OpenAIModel(client, lambda *_: None, lambda _: None)


def is_an_answer(reply: Reply) -> bool:
    """Whether a lenient reader finds a whole answer in the reply."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        document = json.loads(reply.body)
        said = [
            part.get("text")
            for item in document["output"]
            if isinstance(item, dict)
            for part in item.get("content") or []
            if isinstance(part, dict)
        ]
        return 200 <= reply.status < 300 and document["status"] == "completed" and any(said)
    return False


@pytest.mark.timeout(600)
def test_each_of_many_replies_ends_its_job_in_order(saw):
    replies, server = Replies(SEED), Server()
    model, ended = server.model(), Counter()
    slowest_seconds = longest_cooldown = 0.0
    for number in range(IN_PROCESS):
        in_between = number % 200 == 199
        if in_between:
            gc.collect()  # each use case has a thread, that ends with it
        # What came before must not have broken the client.
        server.reply = reply = (
            Reply(body=json.dumps(a_response()).encode()) if in_between else replies.a_reply()
        )
        system = UseCase(model=model)
        said = f"seed {SEED}, number {number}: {reply}"

        began_mono = time.monotonic()
        waited_seconds = clock.run(how_long(system))
        slowest_seconds = max(slowest_seconds, time.monotonic() - began_mono)

        assert system.bugs == [], said
        ((_, status, code, _, context),) = system.records
        ended[code] += 1
        if status == "COMPLETED":
            assert is_an_answer(reply), said
        else:
            assert not in_between, said
            assert (status, code in SERVERS) == ("FAILED", True), f"{code} {said}"
        assert waited_seconds <= executor_config.load(None).job_deadline_seconds, said
        longest_cooldown = max([longest_cooldown, *system.traffic.until.values()])
        assert longest_cooldown <= LONGEST_COOLDOWN_SECONDS + waited_seconds, said
        assert 0 <= system.budget.spent <= sum(system.budget.amounts), said
        assert system.budget.spent == context.cost_nano_usd, said
        assert system.budget.reservations == {}, said

    assert ended[None] > 0
    assert slowest_seconds <= READ_SECONDS
    saw(
        "fuzz",
        f"{IN_PROCESS:,} mutated replies of a model's server, in the process, seed {SEED}",
        f"{ended.pop(None):,} answers, {ended.total():,} errors of {len(ended)} codes; the slowest was read"
        f" in {slowest_seconds:.2f} s; the longest cooldown was {longest_cooldown:.0f} s",
        "a code of the vocabulary, never INTERNAL_ERROR; 0 <= charged <= held",
    )


async def how_long(system: UseCase) -> float:
    await system.answer(a_spec(new_job()))
    return clock.now_mono()


@pytest.mark.timeout(300)
def test_each_of_many_replies_on_the_wire_is_an_answer_or_an_error_of_ours(saw):
    replies = Replies(SEED)
    raw = [replies.on_the_wire() for _ in range(ON_THE_WIRE)]

    ended, slowest_seconds = asyncio.run(asked(raw))

    assert ended["answer"] > 0
    assert slowest_seconds <= READ_SECONDS
    saw(
        "fuzz",
        f"{ON_THE_WIRE:,} mutated replies of a model's server, over a socket, seed {SEED}",
        f"{ended.pop('answer'):,} answers, {ended.total():,} errors of {len(ended)} codes; the slowest took"
        f" {slowest_seconds:.2f} s",
        "an answer, or an error with a code",
    )


async def asked(replies: list[bytes]) -> tuple[Counter[str], float]:
    """Ask a server that says these in turn; return what became of each, and the seconds of the slowest.

    After all of them the client must still be as good as new: a sound reply is an answer.
    """
    waiting = [sound(), *reversed(replies)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = re.findall(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length))
            writer.write(waiting.pop())
            await writer.drain()
        writer.close()

    ended: Counter[str] = Counter()
    seconds: list[float] = []
    cooldowns: list[float] = []
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(model: OpenAIModel) -> None:
        async with places:
            began_mono = time.monotonic()
            try:
                await model.respond(a_request(READ_SECONDS))
                ended["answer"] += 1
            except ModelError as error:
                ended[error.code.value] += 1
                cooldowns.append(error.retry_after_seconds or 0)
            seconds.append(time.monotonic() - began_mono)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = open_client("key", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", AT_ONCE)
        model = OpenAIModel(client, lambda *_: None, lambda _: None)
        async with asyncio.TaskGroup() as asking:
            for _ in replies:
                asking.create_task(ask(model))
        assert (await model.respond(a_request())).text
        await model.close()
    assert max(cooldowns) <= LONGEST_COOLDOWN_SECONDS
    assert ended.keys() - {"answer"} <= SERVERS
    return ended, max(seconds)
