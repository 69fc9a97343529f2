"""The operator's runbook is true: its blocks run, and each line of the beta runbook has its place."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from gates.rollout import bucket
from tests.builders import a_job, a_rule, a_spec, an_allowlist, new_job
from tests.closing_celery import Celery
from worker.dev.redis_server.binary import find_redis_server
from worker.dev.stack import stack, worker_environment

ROOT = Path(__file__).resolve().parents[1]
RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text("utf-8")
SEED = ROOT.parent / "shared" / "runbook-seed.txt"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", RUNBOOK, re.MULTILINE | re.DOTALL)
NARROW = an_allowlist(a_rule(kinds=["explanatory"]))
BROADER = an_allowlist(a_rule(kinds=["explanatory", "revision"]))


def commands(text: str) -> list[tuple[str, set[int]]]:
    """Return each command with the exit codes that its comment allows."""
    found = []
    for line in text.splitlines():
        command, _, comment = line.removeprefix("$ ").partition("   # exit ")
        found.append((command, {int(each) for each in comment.split(" or ")} if comment else {0}))
    return found


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_every_block_runs_in_order_on_a_running_system(tmp_path):
    for name, text in (
        ("allowlist.json", NARROW),
        ("broader.json", BROADER),
        ("job.json", json.dumps(a_spec(a_job("explained")))),
    ):
        (tmp_path / name).write_text(text)
    with (
        stack() as system,
        Celery(broker=system.redis_url, backend=system.redis_url) as celery,
    ):
        # What a Redis in production would do.
        system.client.config_set("appendonly", "yes")
        environment = worker_environment(system.redis_url, system.openai_url) | {"COLUMNS": "100"}
        slotgen = shlex.join([sys.executable, "-m", "worker.cli"])
        redis_cli = shlex.join([str(find_redis_server().parent / "redis-cli"), "-u", system.redis_url])
        let_through = (each for each in map(str, count()) if bucket(each) < 1000)
        for language, text in BLOCKS:
            assert language == "console"
            # Production goes on while an operator reads, and some of it is let through at 1 %.
            system.fake_openai.delay_seconds = 0.01
            specs = [a_spec(new_job()) for _ in range(4)] + [a_spec(a_job(next(let_through)))]
            for pending in [
                celery.send_task("slotgen.generate", args=[each], queue="slotgen") for each in specs
            ]:
                pending.get(timeout=30)
            for command, codes in commands(text):
                if command.startswith("slotgen drill"):
                    # What a drill cancels must still be in flight.
                    system.fake_openai.delay_seconds = 60
                here = re.sub(r"^slotgen", slotgen, re.sub(r"^redis-cli", redis_cli, command))
                done = subprocess.run(
                    here,
                    shell=True,
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
                print(f"$ {command}\n{done.stdout}{done.stderr}")
                assert done.returncode in codes, command
                assert "Traceback" not in done.stderr
                if command == "slotgen kill":
                    assert "1 of 1 worker confirmed" in done.stdout


@pytest.mark.skipif(not SEED.exists(), reason="the beta runbook lies beside the checkout, not in it")
def test_every_line_of_the_beta_runbook_has_its_place():
    lines = [re.sub(r"^(- |\d\. )", "", line.strip()) for line in SEED.read_text("utf-8").splitlines()]
    told = [line for line in lines[lines.index("## Required controls (hard gates)") :] if line]
    # Headings and the words that only introduce a list promise nothing by themselves.
    promises = [
        line
        for line in told
        if not line.startswith(
            ("#", "---", "Beta is ", "Confirm:", "Perform changes", "When increasing", "If anything")
        )
    ]

    assert [line for line in promises if f"| {line} |" not in RUNBOOK] == []


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", RUNBOOK))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / "deploy" / link).exists()
