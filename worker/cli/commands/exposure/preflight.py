"""`slotgen preflight`: the runbook's checklist, each point with its evidence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from worker.cli.support.dial_command import AsJson
from worker.cli.support.errors import print_json
from worker.cli.support.operator_session import console

if TYPE_CHECKING:
    from gates import Controls
    from tasks.operations.preflight import PreflightCheck
    from worker.cli.support.operator_session import OperatorSession

ORDER = 1

_PROBES = 3
_ANSWER_SECONDS = 6.0
_COLOURS = {"pass": "green", "fail": "red", "to confirm": "yellow"}


def preflight(*, as_json: AsJson = False) -> None:
    """Check everything that must be so before any exposure. Nothing is generated, and no dial is touched.

    Exit 1 when a point fails; points that only a person can confirm do not fail.
    """
    with console() as opened:
        findings = _findings(opened)
    if as_json:
        print_json([_document(each) for each in findings])
    else:
        for each in findings:
            typer.echo(_line(each))
    if any(each.mark == "fail" for each in findings):
        raise typer.Exit(1)


def _findings(opened: OperatorSession) -> list[PreflightCheck]:
    from gates import Controls  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.operations import preflight as points  # noqa: PLC0415

    controls = Controls.parse(opened.dials.read().raw, opened.settings.ceilings)
    infos = opened.fleet.workers()
    return [
        points.ci_is_green(),
        points.allowlist(controls),
        _schemas(),
        *_round_trip(opened, controls, answered=bool(infos)),
        *points.workers(infos, controls),
        *_redis(opened),
        points.clock(opened.history.now_ms(), int(time.time() * 1000)),
        _prices(opened),
    ]


def _schemas() -> PreflightCheck:
    from schemas.lock import problems  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.operations.preflight import found  # noqa: PLC0415

    changed = problems()
    return found(
        "schemas are locked",
        passed=not changed,
        evidence=", ".join(changed) or "every schema is the one that was released",
        remedy="install a released version; a released schema never changes",
    )


def _round_trip(opened: OperatorSession, controls: Controls, *, answered: bool) -> list[PreflightCheck]:
    """Send jobs that cannot be generated through the real queue, and look at what came of them."""
    from gates import BrakeState  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.operations.preflight import dominance, telemetry  # noqa: PLC0415
    from worker.cli.support.probing import probe  # noqa: PLC0415

    if not answered:
        return [telemetry([], _PROBES)]
    halted = controls.brake is not BrakeState.RELEASED
    probes = probe(opened, _PROBES, opted_in=halted, timeout_seconds=_ANSWER_SECONDS)
    return [telemetry(probes, _PROBES), dominance(probes, _PROBES, controls.brake)]


def _redis(opened: OperatorSession) -> list[PreflightCheck]:
    from tasks.operations.preflight import found  # noqa: PLC0415 - heavy imports wait for the command
    from worker.adapters.redis.console.safety import hazards  # noqa: PLC0415

    dangers = {each.setting: each for each in hazards(opened.client)}
    points = {
        "maxmemory-policy": "Redis does not evict the dials",
        "appendonly": "Redis keeps the queue over a crash",
        "role": "Redis is the primary",
    }
    return [
        found(
            name,
            passed=setting not in dangers,
            evidence=f"{setting} {dangers[setting].value if setting in dangers else 'is as it should be'}",
            remedy=dangers[setting].remedy if setting in dangers else "",
        )
        for setting, name in points.items()
    ]


def _prices(opened: OperatorSession) -> PreflightCheck:
    from tasks import executor_config  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.generate.prompting import Prompts  # noqa: PLC0415
    from tasks.operations.preflight import found  # noqa: PLC0415

    name = "executor config is valid and its prices known"
    try:
        config = executor_config.load(opened.settings.executor_config)
        Prompts.load(config.prompts)
    except executor_config.BadExecutorConfig as error:
        return found(name, passed=False, evidence=str(error), remedy="correct it; see `slotgen validate`")
    return found(name, passed=True, evidence=f"{config.version}, {config.model}", remedy="")


def _line(each: PreflightCheck) -> str:
    mark = typer.style(f"{each.mark.value:<10}", fg=_COLOURS[each.mark])
    remedy = f"\n{'':<10}   {each.remedy}" if each.remedy else ""
    return f"{mark} {each.name}: {each.evidence}{remedy}"


def _document(each: PreflightCheck) -> dict[str, Any]:
    return {
        "name": each.name,
        "mark": each.mark.value,
        "evidence": each.evidence,
        "remedy": each.remedy or None,
    }
