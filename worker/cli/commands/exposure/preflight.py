"""`slotgen preflight`: the runbook's checklist, each point with its evidence."""

import time
from collections import Counter

import typer

from gates import BrakeState, Controls
from schemas.lock import problems
from tasks.operations import preflight as points
from tasks.operations.fleet import WorkerInfo
from tasks.operations.preflight import PreflightCheck
from tasks.operations.pricing import price_doubts
from tasks.operations.timefmt import counted
from tasks.operations.visible import Shown
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.console.cooldowns import cooldowns
from worker.adapters.redis.console.safety import MOST_BULK_BYTES, bulk_bytes, hazards
from worker.cli.support.documents import load_executor
from worker.cli.support.errors import CliError
from worker.cli.support.naming import as_called
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import AsJson
from worker.cli.support.probing import probe
from worker.cli.support.terminal import answer, fields, fitted, styled

ORDER = 1
_PROBES = 3
_ANSWER_SECONDS = 6.0
_SEEN_SECONDS, _POLL_SECONDS = 5.0, 0.1
_BESIDE = 80
_COLOURS = {"pass": "green", "fail": "red", "to confirm": "yellow"}


def preflight(*, as_json: AsJson = False) -> None:
    """Check everything that must hold before any exposure. Generates nothing and changes no dial.

    Exit 1 when a point fails; points that only a person can confirm do not fail.
    """
    with open_session() as session:
        found = _found(session)
    documents = [fields(each, "name", "mark", "evidence") | {"remedy": each.remedy or None} for each in found]
    lines = [line for each in found if each.mark != "pass" for line in _lines(each)]
    lines += [line for each in found if each.mark == "pass" for line in _lines(each)]
    answer(documents, [*lines, _verdict(found)], as_json=as_json)
    if any(each.mark == "fail" for each in found):
        raise typer.Exit(1)


def _found(session: OperatorSession) -> list[PreflightCheck]:
    controls = Controls.parse(session.dials.read().raw, session.settings.ceilings)
    workers = _workers(session, controls)
    changed, now_wall_ms = problems(), session.history.now_ms()
    return [
        points.ci_is_green(),
        points.allowlist(controls),
        points.found(
            "schemas are locked",
            passed=not changed,
            evidence=", ".join(changed) or "every schema is the one that was released",
            remedy="install a released version; a released schema never changes",
        ),
        *_round_trip(session, controls, answered=bool(workers)),
        *points.workers(workers, controls),
        points.model(workers, now_wall_ms),
        *_redis(session),
        points.largest_message(bulk_bytes(session.client), MOST_BULK_BYTES),
        points.no_cooldown(
            cooldowns(session.client, session.settings.namespace, session.settings.longest_cooldown_seconds)
        ),
        points.clock(session.history.now_ms(), int(time.time() * 1000)),
        *_executor(session),
    ]


def _workers(session: OperatorSession, controls: Controls) -> list[WorkerInfo]:
    """Return the workers that are heard, once all of them see the policy: they say so soon after a change."""
    deadline_mono = time.monotonic() + _SEEN_SECONDS
    while True:
        found = [each for each in session.fleet.workers() if each.silent_seconds is None]
        if (
            all(each.policy_hash == controls.policy_hash for each in found)
            or time.monotonic() > deadline_mono
        ):
            return found
        time.sleep(_POLL_SECONDS)  # a plain key has nothing to await


def _round_trip(session: OperatorSession, controls: Controls, *, answered: bool) -> list[PreflightCheck]:
    """Send jobs that cannot be generated through the real queue, and return what came of them."""
    if not answered:
        return [points.telemetry([], _PROBES)]
    halted = controls.brake is not BrakeState.RELEASED
    probes = probe(session, _PROBES, opted_in=halted, timeout_seconds=_ANSWER_SECONDS)
    return [points.telemetry(probes, _PROBES), points.dominance(probes, _PROBES, controls.brake)]


def _redis(session: OperatorSession) -> list[PreflightCheck]:
    dangers = {each.setting: each for each in hazards(session.client)}
    names = {
        "maxmemory-policy": "Redis does not evict the dials",
        "appendonly": "Redis keeps the queue over a crash",
        "role": "Redis is the primary",
    }
    checks = [
        points.found(
            name,
            passed=setting not in dangers,
            evidence=f"{setting} {dangers[setting].value if setting in dangers else 'is right'}",
            remedy=dangers[setting].remedy if setting in dangers else "",
        )
        for setting, name in names.items()
    ]
    return [*checks, points.memory(dangers["maxmemory"].remedy if "maxmemory" in dangers else "")]


def _executor(session: OperatorSession) -> list[PreflightCheck]:
    name = "executor config is valid and its prices known"
    try:
        config, _ = load_executor(session.settings.executor_config)
    except CliError as error:
        return [
            points.found(
                name, passed=False, evidence=str(error), remedy="correct it, then: slotgen validate FILE"
            )
        ]
    account = RedisAccount.of_fleet(session.client, session.settings).read()
    worst = config.worst_case_nano_usd(config.max_input_tokens, config.max_output_tokens)
    doubts = price_doubts(config, session.settings.openai_base_url)
    return [
        points.found(name, passed=True, evidence=f"{config.version}, {config.model}", remedy=""),
        points.found(
            "the prices are those of the server",
            passed=not doubts,
            evidence=", ".join(f"{each.setting} {each.value}" for each in doubts) or config.pricing,
            remedy="; ".join(each.remedy for each in doubts),
        ),
        points.spend_cap(account, worst),
    ]


def _verdict(found: list[PreflightCheck]) -> Shown:
    marks = Counter(each.mark.value for each in found)
    yours = f"; {marks['to confirm']} for you to confirm" if marks["to confirm"] else ""
    if failed := marks["fail"]:
        many = f"{counted(failed, 'point', of=len(found))} failed{yours}"
        return styled("NOT READY", "red", bold=True) + f": {many}"
    return styled("READY", "green", bold=True) + f": {counted(len(found), 'point')}, none failed{yours}"


def _lines(each: PreflightCheck) -> list[str]:
    mark, line = f"{each.mark.value:<10}", f"{each.mark.value:<10} {each.name}: {each.evidence}"
    # A point that passes needs no second line; --json has the full text.
    rest = (fitted(line) if each.mark == "pass" else line).removeprefix(mark)
    remedy = as_called(f"; {each.remedy}") if each.remedy else ""
    below = [f"{'':<10}   {each.remedy}"] if len(line + remedy) > _BESIDE else []
    return [styled(mark, _COLOURS[each.mark]) + rest + ("" if below else remedy), *(below if remedy else [])]
