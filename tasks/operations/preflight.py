"""The beta runbook's checklist before any exposure: what was found, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gates import BrakeState, Controls, Trouble
from gates import allowlist as allowlist_gate
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.cooldown import Cooldown
from tasks.operations.fleet import WorkerInfo
from tasks.operations.money import Account, usd
from tasks.operations.timefmt import counted, milliseconds

_CLOCK_MS = 2000


class CheckResult(StrEnum):
    """The result of one point of the checklist."""

    PASS = "pass"  # noqa: S105 - a mark, not a password
    FAIL = "fail"
    TO_CONFIRM = "to confirm"


@dataclass(frozen=True, slots=True)
class PreflightCheck:
    """One point: its mark, its evidence, and the remedy if it does not pass."""

    name: str
    mark: CheckResult
    evidence: str
    remedy: str = ""


def found(name: str, *, passed: bool, evidence: str, remedy: str) -> PreflightCheck:
    """Return a finding that passes or fails."""
    return PreflightCheck(
        name, CheckResult.PASS if passed else CheckResult.FAIL, evidence, "" if passed else remedy
    )


def memory(remedy: str) -> PreflightCheck:
    """Whether Redis limits its memory; without a limit its machine does, which may be deliberate."""
    result = CheckResult.TO_CONFIRM if remedy else CheckResult.PASS
    evidence = "maxmemory 0" if remedy else "maxmemory is set"
    return PreflightCheck("Redis refuses writes before its memory ends", result, evidence, remedy)


def largest_message(limit_bytes: int | None, wanted_bytes: int) -> PreflightCheck:
    """Whether Redis refuses what is too large to store; `limit_bytes` is None if that is not known."""
    passed = limit_bytes is not None and limit_bytes <= wanted_bytes
    return PreflightCheck(
        "Redis refuses a message that is too large",
        CheckResult.PASS if passed else CheckResult.TO_CONFIRM,
        f"it takes {limit_bytes >> 20} MiB" if limit_bytes else "not examined: this role may not CONFIG GET",
        "" if passed else f"set proto-max-bulk-len {wanted_bytes}, as deploy/redis/redis.conf does",
    )


def ci_is_green() -> PreflightCheck:
    """Leave it to a person: CI cannot be seen from here."""
    remedy = "see the last run on main"
    return PreflightCheck("CI is green on main", CheckResult.TO_CONFIRM, "not visible from here", remedy)


def allowlist(controls: Controls) -> PreflightCheck:
    """Whether the policy denies by default: every valid one does, and so does having none."""
    policy = controls.allowlist
    trouble = controls.of(allowlist_gate.GATE).trouble
    evidence = f"the dial {trouble}, which denies every job"
    if policy is not None:
        state = "enabled" if policy.enabled else "disabled"
        rules = f"{counted(len(policy.rules), 'rule')} (policy {controls.policy_hash})"
        evidence = f"valid, {state}, {rules}"
    return found(
        "allowlist is schema-valid and deny-by-default",
        passed=policy is not None or trouble is Trouble.ABSENT,
        evidence=evidence,
        remedy="slotgen allowlist push FILE",
    )


def workers(infos: Sequence[WorkerInfo], controls: Controls) -> list[PreflightCheck]:
    """Whether workers are alive, of one version, have an API key, and see the policy in force."""
    if not infos:
        return [found("a worker is running", passed=False, evidence="there is none", remedy="slotgen worker")]
    versions = sorted({f"{each.version} with config {each.executor_version}" for each in infos})
    keyless = [f"{each.host}/{each.pid}" for each in infos if not each.has_api_key]
    astray = [f"{each.host}/{each.pid}" for each in infos if each.policy_hash != controls.policy_hash]
    return [
        found("a worker is running", passed=True, evidence=counted(len(infos), "worker"), remedy=""),
        found(
            "workers are of one version",
            passed=len(versions) == 1,
            evidence=", ".join(versions),
            remedy="finish the rollout of the deployment",
        ),
        found(
            "workers have an API key",
            passed=not keyless,
            evidence=f"without one: {', '.join(keyless)}" if keyless else "all of them",
            remedy="set OPENAI_API_KEY for them, and restart them",
        ),
        found(
            "workers see the policy in force",
            passed=not astray,
            evidence=f"not so: {', '.join(astray)}"
            if astray
            else f"policy {controls.policy_hash or 'none: no key holds one'}",
            remedy="check their logs; a worker reads the dials afresh for every job",
        ),
    ]


def model(infos: Sequence[WorkerInfo], now_wall_ms: int) -> PreflightCheck:
    """Whether the workers' key can use their model, and no shutdown is near; the unknown is to confirm."""
    listings = {each.listing for each in infos}
    problems = sorted(filter(None, (each.problem(now_wall_ms) for each in listings)))
    mark, remedy = CheckResult.PASS, ""
    if problems or not infos or None in {each.listed for each in listings}:
        mark, remedy = CheckResult.TO_CONFIRM, "see https://developers.openai.com/api/docs/deprecations"
    if problems:
        remedy = "name another model in the executor config, with its prices, or use a key that may use it"
    if not all(each.is_usable(now_wall_ms) for each in listings):
        mark = CheckResult.FAIL
    evidence = "; ".join(problems or sorted(map(str, listings))) or "no worker has asked its server"
    return PreflightCheck("the key can use the model, and it stays", mark, evidence, remedy)


def telemetry(probes: Sequence[OutcomeRecord], sent: int) -> PreflightCheck:
    """Whether jobs sent through the real queue to a real worker each left one valid event."""
    valid = sum(each.telemetry_valid for each in probes)
    return found(
        "telemetry is validated on the real route",
        passed=valid == len(probes) == sent,
        evidence=f"{counted(len(probes), 'probe', of=sent)} ended, {counted(valid, 'valid event')}",
        remedy="check the workers' logs for telemetry_invalid, and whether they consume",
    )


def dominance(probes: Sequence[OutcomeRecord], sent: int, brake: BrakeState) -> PreflightCheck:
    """Whether the kill switch alone decided on the probes; with it off only a drill can tell."""
    name = "kill-switch dominates on the real route"
    if brake is BrakeState.RELEASED:
        return PreflightCheck(
            name, CheckResult.TO_CONFIRM, "the kill switch is off", "slotgen drill, or stay halted for this"
        )
    held = sum(
        each.status == "STUB" and each.error_code in {"KILL_SWITCH", "KILL_UNVERIFIED"} for each in probes
    )
    return found(
        name,
        passed=held == len(probes) == sent,
        evidence=f"{held} of {sent} opted-in probe jobs were STUB by the kill switch",
        remedy="stop here, and report it with the output of `slotgen tail --job probe- --limit 10`",
    )


def spend_cap(account: Account, worst_nano_usd: int) -> PreflightCheck:
    """Whether the cap of a window covers the most expensive call that the executor config allows."""
    covered = account.cap is None or account.cap >= worst_nano_usd
    said = "there is no cap" if account.cap is None else f"cap {usd(account.cap)}"
    return found(
        "the spend cap covers a call",
        passed=covered,
        evidence=f"{said}, a call may cost {usd(worst_nano_usd)}",
        remedy="slotgen budget set USD, or lower maxInputTokens and maxOutputTokens",
    )


def no_cooldown(cooldowns: Sequence[Cooldown]) -> PreflightCheck:
    """Whether requests may leave, or a server has asked for a pause."""
    return found(
        "no server has asked to wait",
        passed=not cooldowns,
        evidence="; ".join(map(str, cooldowns)) or "no cooldown is in force",
        remedy="wait, or: " + "; ".join(each.command for each in cooldowns),
    )


def clock(redis_wall_ms: int, local_wall_ms: int) -> PreflightCheck:
    """Whether this machine and Redis agree on the time."""
    apart_ms = abs(redis_wall_ms - local_wall_ms)
    return found(
        "clocks agree",
        passed=apart_ms <= _CLOCK_MS,
        evidence=f"Redis and this machine are {milliseconds(apart_ms)} apart (at most 2 s)",
        remedy="synchronise them (NTP)",
    )
