"""Every metric of a worker, in one table, from which the table in docs/metrics.md is generated."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from telemetry.label_bounds import BoundedCounter, BoundedGauge, BoundedHistogram, bounds

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_JOB = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
_HALT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# OpenTelemetry's semantic conventions for generative AI, 1.41, prescribe these boundaries and the labels.
_GEN_AI_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_GEN_AI_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)

_KINDS: dict[str, type[BoundedCounter | BoundedGauge | BoundedHistogram]] = {
    "counter": BoundedCounter,
    "gauge": BoundedGauge,
    "histogram": BoundedHistogram,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: its name as scraped, kind, labels (all bounded, never a job id), meaning."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()


# fmt: off
METRICS = (
    Metric("slotgen_jobs_total", "counter", ("status", "error_code", "path"), "job outcomes; error_code is `none` when COMPLETED"),
    Metric("slotgen_job_duration_seconds", "histogram", ("path", "status"), "from the job's start to its outcome", _JOB),
    Metric("slotgen_gate_decisions_total", "counter", ("gate", "reason"), "which gate decided; reason is `admitted` for a yes"),
    Metric("slotgen_control_state", "gauge", ("control",), "the effective dials: kill 1 = halted, feature 0 or 1, rollout_percent, allowlist 1 = valid and enabled"),
    Metric("slotgen_control_invalid", "gauge", ("control",), "1 while the dial holds a malformed value"),
    Metric("slotgen_control_changed_timestamp_seconds", "gauge", ("control", "by"), "when each dial last changed, by Redis's clock; for kill, when the fleet was first halted. by is `operator` (a slotgen command), `raw Redis command`, `guard` or `alertmanager`"),
    Metric("slotgen_brake_unverified", "gauge", (), "1 while this worker cannot read the kill switch: key absent, Redis away"),
    Metric("slotgen_policy_fingerprint", "gauge", (), "a number made from the allowlist's hash, 0 without one; if workers differ, they see different policies"),
    Metric("slotgen_control_read_seconds", "histogram", (), "how long reading the dials takes", _FAST),
    Metric("slotgen_inflight_requests", "gauge", (), "model requests in flight"),
    Metric("slotgen_concurrency", "gauge", (), "how many model requests may be in flight at once"),
    Metric("slotgen_halted_requests_total", "counter", (), "calls in flight that the brake cancelled"),
    Metric("slotgen_halt_seconds", "histogram", (), "from seeing the halt until the last of its calls was closed", _HALT),
    Metric("slotgen_openai_requests_total", "counter", ("outcome",), "model requests: `ok`, `cancelled` or an errorCode"),
    Metric("gen_ai_client_token_usage", "histogram", ("gen_ai_token_type", "gen_ai_request_model", "gen_ai_operation_name", "gen_ai_provider_name"), "tokens of a request (OpenTelemetry's conventions, 1.41)", _GEN_AI_TOKENS),
    Metric("gen_ai_client_operation_duration_seconds", "histogram", ("gen_ai_request_model", "error_type", "gen_ai_operation_name", "gen_ai_provider_name"), "a request's duration (OpenTelemetry's conventions, 1.41); error_type is empty if there was no error", _GEN_AI_SECONDS),
    Metric("slotgen_cost_usd_total", "counter", ("model",), "cost of the calls, unknown outcomes at their worst case"),
    Metric("slotgen_rule_cost_usd_total", "counter", ("rule_id",), "the same by the allowlist rule that admitted the job; of more than 16 rules the rest is `other`"),
    Metric("slotgen_service_tier_unexpected_total", "counter", (), "requests served by a service tier other than the one asked for, or by one that was not named; charged at their worst case"),
    Metric("slotgen_model_listed", "gauge", ("model",), "whether the key can use the model, by `GET /v1/models`: 1 yes, 0 no, -1 unknown"),
    Metric("slotgen_model_shutdown_timestamp_seconds", "gauge", ("model",), "the day on which the model will be shut down, by `GET /v1/models`; +Inf if none is announced, NaN if the server does not say"),
    Metric("slotgen_budget_cap_usd", "gauge", (), "the spend cap of a window; +Inf without one"),
    Metric("slotgen_budget_spent_usd", "gauge", (), "what the fleet has spent in the current window"),
    Metric("slotgen_budget_held_usd", "gauge", (), "what is set aside for requests in flight"),
    Metric("slotgen_budget_written_off_usd", "gauge", (), "what counts as spent because the outcome is unknown"),
    Metric("slotgen_budget_denied_total", "counter", (), "calls that the cap did not cover"),
    Metric("slotgen_repairs_total", "counter", ("status",), "unusable answers that were asked for again, by how the job ended"),
    Metric("slotgen_policy_violations_total", "counter", ("rule",), "jobs that ended as OUTPUT_POLICY_VIOLATION, by the plain-text rule that the last answer broke"),
    Metric("slotgen_content_flagged_total", "counter", ("flag",), "jobs that ended as CONTENT_FLAGGED, by what moderation found; one job may count for several"),
    Metric("slotgen_cache_total", "counter", ("result",), "stored answers: `hit`, `miss`, `store_failed`"),
    Metric("slotgen_rejected_messages_total", "counter", ("reason",), "messages that went to the dead letters"),
    Metric("slotgen_dead_letters_dropped_total", "counter", (), "dead letters dropped for good, the oldest first, because the store was full or they were too old"),
    Metric("slotgen_guard_breaches_total", "counter", (), "guard rules that the fleet's outcomes broke, counted by the worker that noticed"),
    Metric("slotgen_history_dropped_total", "counter", (), "outcomes that the history of `slotgen status` and `report` could not take"),
    Metric("slotgen_results_trimmed_total", "counter", (), "entries of the results stream that newer ones pushed out, whether or not a consumer had read them"),
    Metric("slotgen_cut_names_total", "counter", (), "names and values that were too long for the history, the audit or the dead letters and were cut to their beginning and a digest"),
    Metric("slotgen_telemetry_invalid_total", "counter", (), "events that broke their locked schema"),
    Metric("slotgen_log_lines_dropped_total", "counter", (), "log lines dropped because nothing read them or the disk was full"),
    Metric("slotgen_spans_dropped_total", "counter", (), "spans of traces that the collector did not take, or that found too many waiting"),
    Metric("slotgen_background_alive", "gauge", ("name",), "1 while the thread of this name is running; 0 is a bug"),
    Metric("slotgen_fleet_sample_age_seconds", "gauge", (), "seconds since the figures for queue, dead letters and budget were read"),
    Metric("slotgen_wrong_keys", "gauge", (), "Redis keys that hold something slotgen cannot read; `slotgen repair` lists them"),
    Metric("slotgen_queue_depth", "gauge", (), "messages waiting on the queue; -1 if Redis cannot be reached"),
    Metric("slotgen_queue_oldest_seconds", "gauge", (), "how long the oldest message has waited, at least; -1 if unknown"),
    Metric("slotgen_dead_letters", "gauge", (), "messages in the dead-letter store; -1 if Redis cannot be reached"),
    Metric("slotgen_build_info", "gauge", ("version", "executor_version"), "always 1"),
)
# fmt: on


class Metrics:
    """The metrics of one process, one for each row of the table; safe in any thread.

    The exporter serves `registry`, by default a new one. `words` has the values of labels that are decided
    elsewhere, as `bounds` takes them. Label values are bounded: any other value is counted as `other`.
    Creating an instance turns off prometheus_client's `_created` series, for the whole process: it has no
    narrower switch.
    """

    def __init__(
        self,
        *,
        version: str,
        executor_version: str,
        words: Mapping[str, Collection[str]] | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        self.registry = registry or CollectorRegistry()
        self._made = {row.name: self._make(row, words) for row in METRICS}
        # CPU, memory and open files of the process, by the names that every Prometheus client gives them.
        ProcessCollector(registry=self.registry)
        self.gauge("slotgen_build_info").labels(version, executor_version).set(1)
        self.gauge("slotgen_budget_cap_usd").set(float("inf"))

    def counter(self, name: str) -> Counter:
        """Return the counter of the row `name`. Raises KeyError for a row that is not in the table."""
        return self._made[name]  # type: ignore[return-value]  # the caller names the kind; a test walks the table

    def gauge(self, name: str) -> Gauge:
        """Return the gauge of the row `name`. Raises KeyError for a row that is not in the table."""
        return self._made[name]  # type: ignore[return-value]  # same

    def histogram(self, name: str) -> Histogram:
        """Return the histogram of the row `name`. Raises KeyError for a row that is not in the table."""
        return self._made[name]  # type: ignore[return-value]  # same

    def _make(self, row: Metric, words: Mapping[str, Collection[str]] | None) -> Counter | Gauge | Histogram:
        buckets: dict[str, Any] = {"buckets": row.buckets} if row.buckets else {}
        made = _KINDS[row.kind](row.name, row.meaning, row.labels, registry=self.registry, **buckets)
        made.bound = bounds(row.labels, words)
        return made
