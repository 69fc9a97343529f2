"""Feeds what the parts of a worker observe into its metrics and its log."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gates import DIALS, GATES, Controls, Decision, Trouble, kill_switch
from tasks.generate.spec import Job
from tasks.limits.guard import GuardFinding
from tasks.operations.changes.dials import RecordedChange
from tasks.ports import ModelRequest, TokenUsage
from telemetry import Metrics, emit, error_location
from telemetry.label_bounds import GEN_AI, MAX_OPEN_VALUES
from telemetry.tracing import exemplar

_log = logging.getLogger("slotgen.worker")
# A project whose tier is changed elsewhere serves every request so.
_TIER_WARNING_SECONDS = 60.0


@dataclass(slots=True)
class WorkerMetrics:
    """One worker's observations; every method is safe in any thread.

    `policy_hash` is that of the policy that was read last.
    """

    metrics: Metrics
    policy_hash: str | None = None
    now_mono: Callable[[], float] = time.monotonic
    _controls: Controls | None = None
    _tier_warned_mono: float = -math.inf
    _changed_by: dict[str, str] = field(default_factory=dict)

    def controls_read(self, controls: Controls, seconds: float) -> None:
        """Note one read of the dials, and what they effectively are."""
        self.metrics.histogram("slotgen_control_read_seconds").observe(seconds)
        if controls == self._controls:
            return
        self._controls = controls
        if not controls.note:
            self.policy_hash = controls.policy_hash
            # Its 12 digits are 48 bits: a sample is a double, which holds every integer up to 2**53.
            self.metrics.gauge("slotgen_policy_fingerprint").set(int(controls.policy_hash or "0", 16))
            for rule in controls.allowlist.rules[:MAX_OPEN_VALUES] if controls.allowlist else ():
                # From zero on: Prometheus sees no increase of a new series.
                self.metrics.counter("slotgen_rule_cost_usd_total").labels(rule.id)
        for gate in GATES:
            if gate.dial:
                reading, name = controls.of(gate), gate.dial.name
                openness = gate.dial.openness(reading.value)
                # This one is 1 while it halts.
                state = openness if gate.dial is not kill_switch.DIAL else not openness
                self.metrics.gauge("slotgen_control_state").labels(name).set(state)
                malformed = reading.trouble is Trouble.MALFORMED
                self.metrics.gauge("slotgen_control_invalid").labels(name).set(malformed)

    def changes_recorded(self, changes: Mapping[str, RecordedChange]) -> None:
        """Note the last change of each dial, by its name; what is on no record keeps its series."""
        gauge = self.metrics.gauge("slotgen_control_changed_timestamp_seconds")
        for dial in DIALS:
            if (change := changes.get(dial.name)) is None:
                continue
            gauge.labels(dial.name, change.by).set(change.wall_ms / 1000)
            if (before := self._changed_by.get(dial.name, change.by)) != change.by:
                gauge.remove(dial.name, before)
            self._changed_by[dial.name] = change.by

    def decided(self, decision: Decision) -> None:
        """Note which gate spoke."""
        reason = decision.reason.value if decision.reason else "admitted"
        self.metrics.counter("slotgen_gate_decisions_total").labels(decision.gate, reason).inc()

    def cache_asked(self, result: str) -> None:
        """Note what the answer store said."""
        self.metrics.counter("slotgen_cache_total").labels(result).inc()
        if result == "store_failed":
            emit(_log, logging.ERROR, "answer_not_stored")

    def requested(
        self, outcome: str, request: ModelRequest, usage: TokenUsage | None, seconds: float
    ) -> None:
        """Note one model request, its duration, its tokens and whether it got the tier it asked for."""
        self.metrics.counter("slotgen_openai_requests_total").labels(outcome).inc()
        error = "" if outcome == "ok" else outcome
        duration = self.metrics.histogram("gen_ai_client_operation_duration_seconds")
        duration.labels(request.model, error, *GEN_AI).observe(seconds, exemplar())
        if usage is None:
            return
        tokens = self.metrics.histogram("gen_ai_client_token_usage")
        tokens.labels("input", request.model, *GEN_AI).observe(usage.input_tokens)
        tokens.labels("output", request.model, *GEN_AI).observe(usage.output_tokens)
        asked = request.options.get("service_tier")
        if not usage.served_as(asked):
            self._other_tier(asked, usage.service_tier)

    def _other_tier(self, asked: str | None, served: str | None) -> None:
        self.metrics.counter("slotgen_service_tier_unexpected_total").inc()
        now = self.now_mono()
        if now - self._tier_warned_mono >= _TIER_WARNING_SECONDS:
            self._tier_warned_mono = now
            emit(_log, logging.WARNING, "service_tier_unexpected", asked=asked, served=served)

    def halted(self, calls: int, seconds: float) -> None:
        """Note a halt: how many calls it cancelled, and how long until the last had closed."""
        self.metrics.counter("slotgen_halted_requests_total").inc(calls)
        self.metrics.histogram("slotgen_halt_seconds").observe(seconds)
        emit(_log, logging.WARNING, "calls_halted", calls=calls, seconds=round(seconds, 4))

    def message_rejected(self, reason: str) -> None:
        """Note a message that went to the dead letters."""
        self.metrics.counter("slotgen_rejected_messages_total").labels(reason).inc()

    def dead_letters_dropped(self, number: int) -> None:
        """Note that so many dead letters went for good."""
        self.metrics.counter("slotgen_dead_letters_dropped_total").inc(number)
        emit(_log, logging.ERROR, "dead_letters_dropped", number=number)

    def guard_breached(self, finding: GuardFinding) -> None:
        """Note that the fleet's outcomes broke a rule; `tripped` is the one that halted it."""
        self.metrics.counter("slotgen_guard_breaches_total").inc()
        emit(
            _log, logging.ERROR, "guard_halted" if finding.tripped else "guard_warned", reason=finding.reason
        )

    def job_broke(self, job: Job, error: BaseException) -> None:
        """Note a bug: the type of the error and its place, never its text."""
        emit(_log, logging.ERROR, "job_broke", job_id=job.job_id, **error_location(error))
