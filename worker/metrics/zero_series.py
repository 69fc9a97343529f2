"""Starts every counter of a closed vocabulary at zero: Prometheus sees no increase of a new series."""

from collections.abc import Collection, Iterable
from itertools import product

from gates import DIALS, GATES
from schemas import load, violations
from tasks.errors import ErrorCode, Status
from tasks.generate.intake import RejectReason
from tasks.operations.changes.dials import CHANGED_BY
from tasks.ports import FLAGS
from telemetry import Metrics
from telemetry.label_bounds import FIXED


def label_words(rules: Collection[str]) -> dict[str, Collection[str]]:
    """Return the words of the labels that telemetry cannot know by itself, for `Metrics`."""
    return {
        "gate": {gate.name for gate in GATES},
        "control": {dial.name for dial in DIALS},
        "by": CHANGED_BY,
        "reason": {"admitted", *ErrorCode, *RejectReason},
        "rule": rules,
        "flag": FLAGS,
    }


def create_zero_series(metrics: Metrics, model: str, rules: Iterable[str]) -> None:
    """Make every series that an alert or a dashboard may ask for.

    `model` is the one that is called, `rules` are those of plain text.
    """
    for status, code, path in _outcomes():
        metrics.counter("slotgen_jobs_total").labels(status, code or "none", path)
    decisions = metrics.counter("slotgen_gate_decisions_total")
    for gate in GATES:
        for reason in gate.reasons:
            decisions.labels(gate.name, reason.value)
    # A yes is the last gate's.
    decisions.labels(GATES[-1].name, "admitted")
    for outcome in ("ok", "cancelled", *(code for code in ErrorCode if code.startswith("OPENAI_"))):
        metrics.counter("slotgen_openai_requests_total").labels(str(outcome))
    for result in FIXED["result"]:
        metrics.counter("slotgen_cache_total").labels(result)
    for rejection in RejectReason:
        metrics.counter("slotgen_rejected_messages_total").labels(rejection.value)
    metrics.counter("slotgen_cost_usd_total").labels(model)
    for rule in rules:
        metrics.counter("slotgen_policy_violations_total").labels(rule)
    for flag in FLAGS:
        metrics.counter("slotgen_content_flagged_total").labels(flag)
    for status in Status:
        metrics.counter("slotgen_repairs_total").labels(status.value)


def _outcomes() -> list[tuple[str, str | None, str]]:
    """Return (status, errorCode, path) of each event that the locked schema lets pass."""
    event = {"version": "v1", "executorVersion": "any", "jobId": "any", "latencyMs": 0}
    allowed = load("telemetry.v1")["properties"]
    return [
        (status, code, path)
        for status, code, path in product(
            *(allowed[field]["enum"] for field in ("status", "errorCode", "path"))
        )
        if not violations("telemetry.v1", event | {"status": status, "errorCode": code, "path": path})
    ]
