"""Explains a job that has come before: what was decided then, by the history, and what would be now."""

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gates import Controls, Decision, bucket, explain
from tasks.errors import StoreUnavailable
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.money import usd
from tasks.operations.timefmt import ago, milliseconds, moment
from tasks.operations.visible import Shown
from worker.adapters.redis.jobs.controls import RedisControls
from worker.adapters.redis.jobs.history import as_kept
from worker.cli.support.connection import open_redis
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import open_session, warn_of_wrong_keys
from worker.cli.support.terminal import STATUS_COLOURS, answer, fields, styled
from worker.settings.settings import Settings

_OUTCOMES = 1_000_000
_SHOWN = 5


def explain_job(job_id: str, *, as_json: bool) -> None:
    """Print how the job ended before, newest first, and every gate's answer to it now. Raises CliError."""
    with open_session() as session:
        now_wall_ms = session.history.now_ms()
        past = [
            each for each in session.history.since(0, _OUTCOMES) if each.subject.job_id == as_kept(job_id)
        ]
        if not past:
            raise CliError(
                f"no outcome of the job {job_id!r} is in the history, which keeps the newest ones; "
                "find its name with `slotgen tail --last 1000`, or explain its spec: slotgen explain FILE"
            )
        controls = live_controls(session.settings)
    found = past[-1]
    decisions = explain(replace(found.subject, job_id=job_id), controls)
    refusal = next((each for each in decisions if not each.allowed), None)
    would = "would pass every gate now" if refusal is None else f"would be STUB {refusal.reason} now"
    newest = past[: -_SHOWN - 1 : -1]
    document = {
        "jobId": job_id,
        "then": [outcome_document(each) for each in newest],
        "now": {
            "admitted": refusal is None,
            "errorCode": refusal and refusal.reason,
            "bucket": bucket(job_id),
            "gates": [fields(each, "gate", "allowed", "reason", "detail") for each in decisions],
        },
    }
    lines: list[str] = [styled(job_id, bold=True) + ": " + _ended(found) + f"; it {would}"]
    lines += [line for each in newest for line in _then(each, now_wall_ms)]
    more = len(past) - len(newest)
    lines += [f"  and {more} before; see slotgen tail --job {job_id} --last 100"] if more else []
    answer(document, [*lines, "  with the dials as they are now:", *gate_lines(decisions)], as_json=as_json)


def gate_lines(decisions: Iterable[Decision]) -> list[str]:
    """Return each gate's answer as a line."""
    words = {True: styled("yes", "green"), False: styled("no ", "yellow")}
    return [
        f"  {each.gate.replace('_', ' '):<9} " + words[each.allowed] + f" {each.detail}" for each in decisions
    ]


def live_controls(settings: Settings) -> Controls:
    """Return the dials as a worker with these settings reads them; a Redis that is away is an answer, too."""
    deadline_seconds = settings.control_read_timeout_ms / 1000
    with open_redis(settings) as client:
        # The first command pays for the connection, which a worker has long opened.
        reader = RedisControls(
            client, settings.namespace, settings.ceilings, deadline_seconds, lambda *_: None
        )
        reader.read()
        found = reader.read()
        with contextlib.suppress(StoreUnavailable):
            warn_of_wrong_keys(client, settings.namespace)
    return found


def _ended(each: OutcomeRecord) -> Shown:
    return styled(f"{each.status} {each.cause}".strip(), STATUS_COLOURS.get(each.status))


def _then(each: OutcomeRecord, now_wall_ms: int) -> list[str]:
    way = {"openai": "a request had begun", "stub": "no request was made"}.get(each.path, each.path)
    way = "served from the store" if each.cached else way
    decided = [
        f"decided by {each.gate.replace('_', ' ')}" if each.gate and each.status == "STUB" else "",
        f"rule {each.rule_id}" if each.rule_id else "",
        f"policy {each.policy_hash}" if each.policy_hash else "",
        usd(each.cost_nano_usd) if each.cost_nano_usd else "",
    ]
    when = f"{ago(now_wall_ms - each.wall_ms)} ({moment(each.wall_ms)})"
    first = f"  {when}: " + _ended(each) + f" after {milliseconds(each.latency_ms)}, {way}"
    return [first, f"    {', '.join(filter(None, decided))}", f"    task {each.task_id}"]


def outcome_document(each: OutcomeRecord) -> dict[str, Any]:
    """Return one outcome for `--json`."""
    names = ("task_id", "status", "error_code", "policy_rule", "path", "latency_ms", "cached", "attempts")
    more = ("gate", "rule_id", "policy_hash", "executor_version", "worker_id")
    subject = {"time": moment(each.wall_ms)} | fields(each.subject, "job_id", "kind")
    return subject | fields(each, *names, *more) | {"costUsd": each.cost_nano_usd / 1e9}
