"""Writes the dashboards, from the rows below: `python deploy/grafana/generate.py`; `--check` only compares."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
JOB = 'job=~"$job"'
ONE = 'job=~"$job", instance=~"$instance"'
GREEN, YELLOW, RED = "green", "yellow", "red"
RATE = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """One panel: `queries` by their legends, `steps` of thresholds as (from, colour), width of 24."""

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8
    steps: tuple[tuple[float, str], ...] = ()
    words: dict[str, tuple[str, str]] = field(default_factory=dict)


def _stat(title: str, description: str, query: str, unit: str = "short", **more: Any) -> Panel:
    return Panel(title, description, unit, {"": query}, kind="stat", width=4, **more)


ON_OFF = {"0": ("off", RED), "1": ("on", GREEN)}
OPERATOR = {
    "The kill switch and the dials": [
        _stat(
            "Kill switch",
            "HALTED while any worker is halted or cannot read the kill switch. Release: slotgen resume --reason …",
            f'max(slotgen_control_state{{control="kill", {JOB}}} or slotgen_brake_unverified{{{JOB}}})',
            words={"0": ("running", GREEN), "1": ("HALTED", RED)},
        ),
        _stat(
            "Unverified",
            "Workers that cannot confirm what the kill switch is; they have halted themselves.",
            f"sum(slotgen_brake_unverified{{{JOB}}})",
            steps=((0, GREEN), (1, RED)),
        ),
        _stat(
            "Feature", "The feature flag, the least of all workers.",
            f'min(slotgen_control_state{{control="feature", {JOB}}})', words=ON_OFF,
        ),
        _stat(
            "Rollout", "The share of jobs that may pass, the least of all workers.",
            f'min(slotgen_control_state{{control="rollout_percent", {JOB}}})', "percent",
        ),
        _stat(
            "Allowlist", "Whether the policy is valid and enabled on every worker.",
            f'min(slotgen_control_state{{control="allowlist", {JOB}}})', words=ON_OFF,
        ),
        _stat(
            "Policies seen", "How many different policies the workers act on; more than one is a disagreement.",
            f'count(count_values("policy", slotgen_policy_fingerprint{{{JOB}}}))', steps=((0, GREEN), (2, RED)),
        ),
        Panel(
            "Dials over time", "The effective dials as workers read them; kill 1 is halted.", "short",
            {"{{control}}": f"max by (control) (slotgen_control_state{{{JOB}}})"}, kind="state-timeline", width=18,
        ),
        _stat(
            "Malformed dials", "Dials that hold a value that is none, and count as a no.",
            f"sum(max by (control) (slotgen_control_invalid{{{JOB}}}))", steps=((0, GREEN), (1, RED)),
        ),
    ],
    "Outcomes": [
        Panel(
            "STUB, COMPLETED, FAILED", "Job outcomes by status.", "ops",
            {"{{status}}": f"sum by (status) (rate(slotgen_jobs_total{{{JOB}}}{RATE}))"}, width=12,
        ),
        Panel(
            "Why STUB", "Jobs answered without a model's text, by errorCode.", "ops",
            {"{{error_code}}": f'sum by (error_code) (rate(slotgen_jobs_total{{status="STUB", {JOB}}}{RATE})) > 0'}, width=12,
        ),
        Panel(
            "errorCodes of FAILED", "What broke, by errorCode; any is worth a look in the runbook.", "ops",
            {"{{error_code}}": f'sum by (error_code) (rate(slotgen_jobs_total{{status="FAILED", {JOB}}}{RATE})) > 0'},
            steps=((0, GREEN), (0.1, RED)),
        ),
        Panel(
            "Which gate spoke", "Decisions by gate and reason.", "ops",
            {"{{gate}} {{reason}}": f"sum by (gate, reason) (rate(slotgen_gate_decisions_total{{{JOB}}}{RATE}))"},
        ),
        Panel(
            "Answers served again", "Stored answers asked for: a hit is paid once.", "ops",
            {"{{result}}": f"sum by (result) (rate(slotgen_cache_total{{{JOB}}}{RATE}))"},
        ),
        Panel(
            "Job latency", "How long jobs take, as a heatmap, from start to outcome.", "s",
            {"{{le}}": f"sum by (le) (increase(slotgen_job_duration_seconds_bucket{{{JOB}}}{RATE}))"}, kind="heatmap", width=12,
        ),
        Panel(
            "Latency of generated jobs", "p50 and p95; slotgen report asks for at most 30 s.", "s",
            {
                "p50": f'histogram_quantile(0.5, sum by (le) (rate(slotgen_job_duration_seconds_bucket{{path="openai", {JOB}}}{RATE})))',
                "p95": f'histogram_quantile(0.95, sum by (le) (rate(slotgen_job_duration_seconds_bucket{{path="openai", {JOB}}}{RATE})))',
            },
            width=12, steps=((0, GREEN), (30, RED)),
        ),
    ],
    "The model": [
        Panel(
            "In flight", "Model requests in flight, and the most there may be.", "short",
            {"in flight": f"sum(slotgen_inflight_requests{{{JOB}}})", "limit": f"sum(slotgen_concurrency{{{JOB}}})"},
        ),
        Panel(
            "Requests", "Model requests by outcome.", "ops",
            {"{{outcome}}": f"sum by (outcome) (rate(slotgen_openai_requests_total{{{JOB}}}{RATE}))"},
        ),
        Panel(
            "Tokens", "Tokens a second, by kind.", "short",
            {"{{gen_ai_token_type}}": f"sum by (gen_ai_token_type) (rate(gen_ai_client_token_usage_sum{{{JOB}}}{RATE}))"},
        ),
        Panel(
            "Request duration", "p95 of a model request.", "s",
            {"p95": f"histogram_quantile(0.95, sum by (le) (rate(gen_ai_client_operation_duration_seconds_bucket{{{JOB}}}{RATE})))"},
            steps=((0, GREEN), (30, YELLOW), (60, RED)),
        ),
        Panel(
            "Calls halted", "Calls in flight that the brake cancelled.", "short",
            {"calls": f"sum(increase(slotgen_halted_requests_total{{{JOB}}}{RATE}))"},
        ),
        Panel(
            "Halt time", "From seeing the halt to the last call closed: p99 of the range shown.", "s",
            {"p99": f"histogram_quantile(0.99, sum by (le) (increase(slotgen_halt_seconds_bucket{{{JOB}}}[$__range])))"},
            steps=((0, GREEN), (0.1, YELLOW), (1, RED)),
        ),
    ],
    "Money": [
        Panel(
            "Spend against the cap", "What the running window has spent, holds and has written off, below its cap.", "currencyUSD",
            {
                "spent": f"max(slotgen_budget_spent_usd{{{JOB}}})", "held": f"max(slotgen_budget_held_usd{{{JOB}}})",
                "written_off": f"max(slotgen_budget_written_off_usd{{{JOB}}})", "cap": f"min(slotgen_budget_cap_usd{{{JOB}}} < Inf)",
            },
            width=12,
        ),
        Panel(
            "USD an hour", "Spend rate by model; an alert fires at three times the day's average.", "currencyUSD",
            {"{{model}}": f"3600 * sum by (model) (rate(slotgen_cost_usd_total{{{JOB}}}{RATE}))"},
        ),
        _stat(
            "Denied by the cap", "Calls that the cap did not cover, in the range shown.",
            f"sum(increase(slotgen_budget_denied_total{{{JOB}}}[$__range]))", steps=((0, GREEN), (1, YELLOW)),
        ),
    ],
    "The queue": [
        Panel(
            "Waiting", "Messages on the queue.", "short", {"messages": f"max(slotgen_queue_depth{{{JOB}}})"},
        ),
        Panel(
            "Oldest", "How long the oldest message has waited at the least.", "s",
            {"seconds": f"max(slotgen_queue_oldest_seconds{{{JOB}}})"}, steps=((0, GREEN), (300, YELLOW), (600, RED)),
        ),
        _stat(
            "Dead letters", "Messages that were rejected: slotgen dead list.",
            f"max(slotgen_dead_letters{{{JOB}}})", steps=((0, GREEN), (1, YELLOW)),
        ),
        _stat(
            "Guard", "Rules of the guard that were broken, in the range shown.",
            f"sum(increase(slotgen_guard_breaches_total{{{JOB}}}[$__range]))", steps=((0, GREEN), (1, RED)),
        ),
    ],
}  # fmt: skip
FLEET = {
    "Workers": [
        _stat("Workers up", "Workers that Prometheus can reach.", f"sum(up{{{JOB}}})", steps=((0, RED), (1, GREEN))),
        Panel(
            "Versions", "What runs: version and executor version, and on how many workers.", "short",
            {"{{version}} {{executor_version}}": f"count by (version, executor_version) (slotgen_build_info{{{ONE}}})"}, width=10,
        ),
        Panel(
            "Up since", "When each worker started.", "dateTimeFromNow",
            {"{{instance}}": f"1000 * process_start_time_seconds{{{ONE}}}"}, kind="stat", width=10,
        ),
        Panel("CPU", "CPU seconds a second; 1 is one core, and the most of one worker's event loop.", "short",
              {"{{instance}}": f"rate(process_cpu_seconds_total{{{ONE}}}{RATE})"}, steps=((0, GREEN), (0.9, RED))),
        Panel("Memory", "Resident memory.", "bytes", {"{{instance}}": f"process_resident_memory_bytes{{{ONE}}}"}),
        Panel("Open files", "Open file descriptors; each call in flight is one.", "short",
              {"{{instance}}": f"process_open_fds{{{ONE}}}"}),
        Panel("Jobs by worker", "Outcomes a second.", "ops",
              {"{{instance}}": f"sum by (instance) (rate(slotgen_jobs_total{{{ONE}}}{RATE}))"}),
        Panel("In flight by worker", "Model requests in flight.", "short",
              {"{{instance}}": f"slotgen_inflight_requests{{{ONE}}}"}),
        Panel("Reading the dials", "p99 of reading the dials; at 0.25 s a job is a STUB.", "s",
              {"{{instance}}": f"histogram_quantile(0.99, sum by (instance, le) (rate(slotgen_control_read_seconds_bucket{{{ONE}}}{RATE})))"},
              steps=((0, GREEN), (0.05, YELLOW), (0.25, RED))),
        Panel("Telemetry lost", "Events that broke their schema, and outcomes that the history dropped; both are bugs or a full Redis.", "short",
              {"invalid": f"sum(increase(slotgen_telemetry_invalid_total{{{JOB}}}[$__range]))",
               "dropped": f"sum(increase(slotgen_history_dropped_total{{{JOB}}}[$__range]))"}, steps=((0, GREEN), (1, RED))),
        Panel("Rejected messages", "Messages that went to the dead letters, by reason.", "short",
              {"{{reason}}": f"sum by (reason) (increase(slotgen_rejected_messages_total{{{JOB}}}[$__range]))"}, width=16),
    ],
    "Redis": [
        _stat("Redis", "Whether the exporter reaches Redis.", "min(redis_up)", words={"0": ("DOWN", RED), "1": ("up", GREEN)}),
        Panel("Memory of Redis", "Used memory, and the limit where there is one; a full Redis refuses jobs.", "bytes",
              {"used": "sum(redis_memory_used_bytes)", "limit": "sum(redis_memory_max_bytes)"}, width=10),
        Panel("Commands", "Commands a second.", "ops", {"commands": f"sum(rate(redis_commands_processed_total{RATE}))"}, width=10),
        Panel("Clients", "Connections.", "short", {"clients": "sum(redis_connected_clients)"}),
        Panel("Evicted keys", "Must stay 0: an evicted dial stops the fleet, an evicted queue is lost.", "short",
              {"keys": "sum(redis_evicted_keys_total)"}, steps=((0, GREEN), (1, RED))),
        Panel("Refused connections", "Connections that Redis refused.", "short",
              {"connections": "sum(redis_rejected_connections_total)"}, steps=((0, GREEN), (1, RED))),
    ],
}  # fmt: skip
VARIABLES = {
    "job": ("Fleet", "label_values(slotgen_build_info, job)"),
    "instance": ("Worker", 'label_values(slotgen_build_info{job=~"$job"}, instance)'),
}
ANNOTATION = f"changes(max by (control) (slotgen_control_state{{{JOB}}})[$__interval:]) > 0"


def dashboard(title: str, uid: str, rows: dict[str, list[Panel]]) -> dict[str, Any]:
    """Return the document of one dashboard."""
    return {
        "title": title,
        "uid": uid,
        "tags": ["slotgen"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "title": "slotgen",
                "type": "dashboards",
                "tags": ["slotgen"],
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "templating": {
            "list": [_source_variable(), *(_variable(name, *rest) for name, rest in VARIABLES.items())]
        },
        "annotations": {"list": [_annotation()]},
        "panels": _panels(rows),
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "refresh": 2, "multi": True,
        "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
        "query": {"query": query, "refId": name},
    }  # fmt: skip


def _annotation() -> dict[str, Any]:
    return {
        "name": "Dials", "datasource": SOURCE, "enable": True, "iconColor": YELLOW, "expr": ANNOTATION,
        "titleFormat": "{{control}} was changed", "textFormat": "slotgen audit says by whom, and why",
    }  # fmt: skip


def _panels(rows: dict[str, list[Panel]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    y = 0
    for title, panels in rows.items():
        made.append({"id": len(made) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})  # fmt: skip
        y, x, height = y + 1, 0, 0
        for panel in panels:
            if x + panel.width > 24:  # noqa: PLR2004 - Grafana's grid
                x, y, height = 0, y + height, 0
            tall = 4 if panel.kind == "stat" else 8
            made.append(_panel(len(made) + 1, panel, {"h": tall, "w": panel.width, "x": x, "y": y}))
            x, height = x + panel.width, max(height, tall)
        y += height
    return made


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps = [{"value": None if i == 0 else at, "color": colour} for i, (at, colour) in enumerate(panel.steps)]
    words = {value: {"text": text, "color": colour} for value, (text, colour) in panel.words.items()}
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "mappings": [{"type": "value", "options": words}] if words else [],
    }
    if steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "timeseries" and steps:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.description,
        "datasource": SOURCE, "gridPos": place, "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"calculate": False} if panel.kind == "heatmap" else {},
        "targets": [
            {"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend, "datasource": SOURCE,
             "format": "heatmap" if panel.kind == "heatmap" else "time_series"}
            for i, (legend, query) in enumerate(panel.queries.items())
        ],
    }  # fmt: skip


def main() -> int:
    """Write both dashboards; with --check write nothing, and exit 1 where a file is not what it would be."""
    stale = []
    for name, document in (
        ("operator", dashboard("slotgen: operator", "slotgen-operator", OPERATOR)),
        ("fleet", dashboard("slotgen: fleet", "slotgen-fleet", FLEET)),
    ):
        path, text = FOLDER / f"{name}.json", json.dumps(document, indent=1) + "\n"
        if "--check" in sys.argv:
            stale += [] if path.exists() and path.read_text() == text else [path.name]
        else:
            path.write_text(text)
    if stale:
        sys.stderr.write(f"{', '.join(stale)} is not what generate.py writes; run it\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
