"""Text from outside, in every field that a command shows: it is seen, and it does nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tasks.operations.drill import DrillCheck, DrillRecord
from tasks.operations.fleet import WorkerInfo
from tests.builders import a_job, a_rule, a_spec, an_allowlist
from tests.history import keep
from tests.hostile_text import COLOURS, RAW, TEXT
from tests.tasks.operations.past import an_outcome
from worker.adapters.redis.console.drills import RedisDrills
from worker.adapters.redis.console.fleet import encode
from worker.adapters.redis.keys import AUDIT, AUDIT_NOTICED, BUDGET, DEAD, WORKER_INFO, WORKERS
from worker.cli import build, main
from worker.cli.support.errors import CliError

COMMANDS = [
    "status",
    "status --since 1h",
    "audit",
    "tail --last 10 --limit 10",
    "report",
    "budget",
    "cache show",
    "allowlist show",
    "dead list",
    "dead show DEAD_ID",
    "explain SPEC",
    "explain --job TEXT",
    "explain --as text TEXT",
    "validate SPEC",
    "validate BROKEN",
    "allowlist validate BROKEN",
    "preflight",
    "rollout 1 --reason TEXT --actor TEXT",
    "feature off --reason TEXT --actor TEXT",
    "allowlist push POLICY --reason TEXT --override TEXT",
    "budget set 5 --reason TEXT --override TEXT",
    "resume --reason TEXT --override TEXT",
    "kill --reason TEXT --actor TEXT",
    "enqueue BROKEN",
    "cache drop SPEC",
    "dead replay DEAD_ID",
    "dead drop 1-1",
]


@pytest.fixture
def hostile(slotgen, monkeypatch):
    """A namespace in which every text is hostile; returns what stands for the words in COMMANDS."""
    slotgen.open(allowlist=an_allowlist([a_rule("r1"), a_rule(TEXT[:64])]))
    client, namespace = slotgen.client, slotgen.namespace
    now_s = client.time()[0]
    subject = dataclasses.replace(
        an_outcome().subject, job_id=TEXT, slot_id=TEXT, kind=TEXT, subject=TEXT, level=TEXT, board=TEXT
    )
    names = ("task_id", "output_type", "error_code", "path", "gate", "rule_id", "policy_hash", "worker_id")
    outcome = an_outcome(subject=subject, status="FAILED", policy_rule=TEXT, **dict.fromkeys(names, TEXT))
    keep(client, namespace, outcome)
    info = WorkerInfo(
        worker_id="w1",
        host=TEXT,
        pid=7,
        version=TEXT,
        executor_version=TEXT,
        in_flight=3,
        brake=TEXT,
        policy_hash=TEXT,
        has_api_key=True,
        started_wall_ms=now_s * 1000,
        seen_wall_ms=now_s * 1000,
    )
    client.zadd(WORKERS(namespace), {"w1": now_s, RAW: now_s})
    client.set(WORKER_INFO(namespace, "w1"), encode(info), ex=600)
    audit = {"dial": "kill", "actor": RAW, "command": RAW, "reason": RAW, "override": RAW, "widened": RAW}
    audit |= {"redis_user": RAW}
    client.xadd(AUDIT(namespace), audit | {"before": RAW, "after": RAW})
    client.xadd(AUDIT(namespace), dict.fromkeys(audit, RAW))
    client.xadd(AUDIT_NOTICED(namespace), dict.fromkeys(audit, RAW))
    dead = dict.fromkeys(("queue", "reason", "problem", "task_id", "message"), RAW)
    dead_id = client.xadd(DEAD(namespace), dead).decode()
    client.hset(BUDGET(namespace, now_s - now_s % 86_400), mapping={"spent": 1, b"spent:" + RAW: 1})
    check = DrillCheck(TEXT, passed=True, seen=TEXT)
    RedisDrills(client, namespace).add(DrillRecord(1, TEXT, True, 1.0, 1, 1, (check,)))
    spec = a_spec([a_job(jobId=TEXT, slotId=TEXT)])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    return {
        "TEXT": TEXT,
        "DEAD_ID": dead_id,
        "SPEC": slotgen.file("spec.json", json.dumps(spec)),
        "POLICY": slotgen.file("policy.json", an_allowlist([a_rule(TEXT[:64])])),
        "BROKEN": slotgen.file("broken.json", json.dumps(spec | {TEXT: TEXT, "version": TEXT})),
    }


def run(words: list[str]) -> str:
    return ran(words).output


def ran(words: list[str]) -> Any:
    done = CliRunner().invoke(build(), words, color=True)
    if not isinstance(done.exception, CliError):
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def assert_only_visible(said: str) -> None:
    unseen = {each for each in COLOURS.sub("", said) if not each.isprintable() and each != "\n"}
    assert not unseen, (unseen, said)


def assert_documents(said: str) -> None:
    """One JSON document, or one a line, or none where the command refused."""
    rest = said.strip()
    while rest:
        _, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].lstrip()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["for people", "json"])
@pytest.mark.parametrize("dials", ["sound", "hostile"])
def test_is_seen_and_does_nothing(slotgen, hostile, command, form, dials):
    if dials == "hostile":
        for dial in ("kill", "feature", "rollout_percent", "allowlist", "budget_usd"):
            slotgen.client.set(f"{slotgen.namespace}:{dial}", RAW)
    words = [hostile.get(each, each) for each in command.split()]

    done = ran(words + ["--json"] * (form == "json"))
    said = done.output

    assert_only_visible(said)
    # Where a line of its own says that the fleet is halted, it is the command's word.
    assert "\nHALTED\n" not in said
    if form == "json":
        # What does not belong into a key is said on stderr.
        assert_documents(done.stdout)


def test_a_refusal_is_visible_text_as_well(slotgen, hostile, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["slotgen", "validate", hostile["BROKEN"]])

    with pytest.raises(SystemExit):
        main()

    said = capsys.readouterr().err
    assert "broken.json" in said
    assert_only_visible(said)


def test_the_page_of_the_report_has_no_unseen_character(slotgen, hostile):
    run(["report", "--html", str(slotgen.folder / "report.html")])

    assert_only_visible((slotgen.folder / "report.html").read_text())
