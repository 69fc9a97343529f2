"""Sixteen processes against one cap, and a fleet whose account must be the stand-in's own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib import resources

import pytest

from tests.faults.fleet import fleet
from worker.adapters.redis_account import RedisAccount
from worker.adapters.redis_clients import open_sync
from worker.dev.embedded_redis import EmbeddedRedis
from worker.dev.openai_stand_in import Behaviour

CAP = 50 * 10**9
PROCESSES = 16
# Each reserves a dollar and settles at less, forfeits, or lets go without a word, as hard as it can.
SPENDER = """
import asyncio, random, sys
from tasks.ports import Hold
from worker.adapters.redis_batches import RedisBatches
from worker.adapters.redis_budget import RedisBudget
from worker.adapters.redis_clients import open_async

async def main(url, name):
    chance, settled = random.Random(name), 0
    async with open_async(url, timeout_seconds=5, max_connections=8) as client:
        budget = RedisBudget(RedisBatches(client), "slotgen", 50 * 10**9, 86_400, lambda: None)

        async def one(number):
            hold = Hold(f"{name}-{number}", 10**9, "gpt", 60)
            if not await budget.reserve(hold):
                return 0
            await asyncio.sleep(chance.random() / 100)
            spent, known = chance.choice([(3 * 10**8, True), (10**9, False), (0, True)])
            await budget.settle(hold.hold_id, spent, known=known)
            await budget.settle(hold.hold_id, spent, known=known)
            return spent

        for start in range(0, 400, 20):
            settled += sum(await asyncio.gather(*(one(start + n) for n in range(20))))
    print(settled)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.timeout(120)
def test_sixteen_processes_never_spend_more_than_the_cap():
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        account = RedisAccount(client, "slotgen", CAP, 86_400)
        spenders = [
            subprocess.Popen(
                [sys.executable, "-c", SPENDER, server.url, f"p{number}"], stdout=subprocess.PIPE, text=True
            )
            for number in range(PROCESSES)
        ]
        samples = 0
        while any(each.poll() is None for each in spenders):
            now = account.read()
            assert now.spent + now.held + now.forfeited <= CAP
            samples += 1

        told = sum(int(each.communicate()[0]) for each in spenders)
        end = account.read()

        assert [each.returncode for each in spenders] == [0] * PROCESSES
        assert samples > 50
        assert end.held == 0
        assert end.spent + end.forfeited == told
        # The cap was reached: the last dollar could not be reserved any more.
        assert CAP - 10**9 < told <= CAP


@pytest.mark.timeout(180)
def test_the_account_of_a_fleet_is_what_the_server_has_billed(tmp_path):
    document = json.loads((resources.files("tasks") / "executor.v1.json").read_text())
    # One price for every token: the stand-in counts tokens, whatever their kind.
    flat = dict.fromkeys(document["prices"]["gpt-6-luna"], "0.25")
    config = tmp_path / "executor.json"
    config.write_text(json.dumps(document | {"version": "flat", "prices": {"gpt-6-luna": flat}}))
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=0.02))
        settings = {"SLOTGEN_EXECUTOR_CONFIG": str(config), "SLOTGEN_BUDGET_USD": "0.05"}
        for _ in range(4):
            hurt.start_worker(concurrency=20, **settings)

        statuses = hurt.statuses(hurt.send(400))

        cap = 5 * 10**7
        account = RedisAccount(hurt.client, "slotgen", cap, 86_400)
        deadline = time.monotonic() + 10
        while account.read().held:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # settled by other processes
        end = account.read()
        assert (end.spent, end.forfeited) == (hurt.stand_in.journal.counts().billed_tokens * 250, 0)
        assert end.spent <= cap
        assert set(statuses) == {"COMPLETED", "STUB"}
        assert statuses.count("COMPLETED") == hurt.stand_in.journal.counts().completed
