"""Writes the dashboards, from the rows below: `python deploy/grafana/generate.py`; `--check` only compares."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Every series of a worker, so that the whole dashboard is that of the workers that were picked.
ONE = 'job=~"$job", instance=~"$instance"'
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
RATE, RANGE = "[$__rate_interval]", "[$__range]"


@dataclass(frozen=True)
class Panel:
    """One panel: `queries` by their legends, `steps` of thresholds as (from, colour), width of 24.

    `words` stand for values, `nothing` for no value, `colours` are those of series by their legends; all others
    are shades of `shade`, where there is one.
    """

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    steps: tuple[tuple[float, str], ...] = ()
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    nothing: str = ""
    colours: dict[str, str] = field(default_factory=dict)
    shade: str = ""


def _stat(title: str, description: str, query: str, unit: str = "short", **more: Any) -> Panel:
    more = {"width": 4, "height": 4} | more
    return Panel(title, description, unit, {more.pop("legend", ""): query}, kind="stat", **more)


def _graph(title: str, description: str, unit: str, queries: dict[str, str], **more: Any) -> Panel:
    """Return a graph of the overview: four stand side by side."""
    return Panel(title, description, unit, queries, width=6, **more)


def _jobs(select: str) -> str:
    return f"slotgen_jobs_total{{{select}, {ONE}}}"


ON_OFF = {"0": ("off", RED), "1": ("on", GREEN)}
STATUS_COLOURS = {"COMPLETED": GREEN, "STUB": YELLOW, "FAILED": RED}
# In the order of the questions at three in the morning; the whole fits one screen.
OVERVIEW = {
    "": [
        _stat(
            "Kill switch",
            "HALTED while any worker is halted, UNVERIFIED while one cannot read the kill switch and has halted itself. Release: slotgen resume --reason …",
            f'max((2 * slotgen_brake_unverified{{{ONE}}} > 0) or slotgen_control_state{{control="kill", {ONE}}})',
            words={"0": ("running", GREEN), "1": ("HALTED", RED), "2": ("UNVERIFIED", RED)},
        ),
        _stat(
            "Halted or released by",
            "Who halted the fleet first, or released it, and when. slotgen audit has the name and the reason.",
            f'topk(1, 1000 * max by (by) (slotgen_control_changed_timestamp_seconds{{control="kill", {ONE}}}))',
            "dateTimeFromNow", legend="{{by}}", width=5,
        ),
        _stat(
            "Guard", "Whether the outcomes of the fleet broke a rule of the guard in the range shown. slotgen status says which.",
            f"clamp_max(round(sum(increase(slotgen_guard_breaches_total{{{ONE}}}{RANGE}))), 1)",
            words={"0": ("no breach", GREEN), "1": ("BREACHED", RED)},
        ),
        _stat("Workers up", "Workers that Prometheus can reach.", f"sum(up{{{ONE}}})", steps=((0, RED), (1, GREEN)), width=2),
        _stat("Down", "Workers that Prometheus cannot reach.", f"count(up{{{ONE}}} == 0) or vector(0)", steps=((0, GREEN), (1, RED)), width=2),
        _stat(
            "Admitted jobs COMPLETED", "Of the jobs that were admitted and got an answer, the share that is COMPLETED, over 5 minutes; slotgen report asks for 95 %.",
            f"""sum(rate({_jobs('status="COMPLETED"')}[5m])) / sum(rate({_jobs('status!="STUB"')}[5m]))""",
            "percentunit", steps=((0, RED), (0.95, GREEN)), nothing="no jobs",
        ),
        _stat("Alerts firing", "Alerts of this fleet; below is which, and since when.",
              'count(ALERTS{alertstate="firing", job=~"$job"}) or vector(0)', steps=((0, GREEN), (1, RED)), width=3),
        _graph("FAILED by errorCode", "What broke. The runbook says what each one wants.", "ops",
               {"{{error_code}}": f"""sum by (error_code) (rate({_jobs('status="FAILED"')}{RATE})) > 0"""}, shade=RED, height=7),
        _graph("Plain text by rule", "Which rule of plain text answers broke, as OUTPUT_POLICY_VIOLATION.", "ops",
               {"{{rule}}": f"sum by (rule) (rate(slotgen_policy_violations_total{{{ONE}}}{RATE})) > 0"}, shade=RED, height=7),
        _graph("STUB by errorCode", "Why jobs were answered without a model's text.", "ops",
               {"{{error_code}}": f"""sum by (error_code) (rate({_jobs('status="STUB"')}{RATE})) > 0"""}, shade=YELLOW, height=7),
        _graph("Outcomes", "How jobs end.", "ops",
               {"{{status}}": f"sum by (status) (rate(slotgen_jobs_total{{{ONE}}}{RATE}))"}, colours=STATUS_COLOURS, height=7),
        _graph(
            "Latency of generated jobs", "p50 and p95; slotgen report asks for at most 30 s.", "s",
            {
                f"p{percent}": f'histogram_quantile(0.{percent}, sum by (le) (rate(slotgen_job_duration_seconds_bucket{{path="openai", {ONE}}}{RATE})))'
                for percent in (50, 95)
            },
            steps=((0, GREEN), (30, RED)), height=6,
        ),
        _graph(
            "Spend against the cap", "What the running window has spent, holds and has written off, below its cap.", "currencyUSD",
            {
                "spent": f"max(slotgen_budget_spent_usd{{{ONE}}})", "held": f"max(slotgen_budget_held_usd{{{ONE}}})",
                "written off": f"max(slotgen_budget_written_off_usd{{{ONE}}})", "cap": f"min(slotgen_budget_cap_usd{{{ONE}}} < Inf)",
            },
            colours={"cap": RED}, height=6,
        ),
        _graph("Messages waiting", "Messages on the queue.", "short", {"messages": f"max(slotgen_queue_depth{{{ONE}}})"}, height=6),
        _graph("Oldest message", "How long the oldest message has waited at the least.", "s",
               {"seconds": f"max(slotgen_queue_oldest_seconds{{{ONE}}})"}, steps=((0, GREEN), (600, RED)), height=6),
        Panel("Alerts", "Which alerts fire, and since when. Each has its paragraph in the runbook.", "short",
              {"{{alertname}}": 'max by (alertname) (ALERTS{alertstate="firing", job=~"$job"})'},
              kind="state-timeline", height=6, words={"1": ("firing", RED)}),
        Panel("Halted", "When workers were halted.", "short",
              {"kill switch": f'max(slotgen_control_state{{control="kill", {ONE}}})', "unverified": f"max(slotgen_brake_unverified{{{ONE}}})"},
              kind="state-timeline", height=6, words={"0": ("no", GREEN), "1": ("yes", RED)}),
        _stat("Feature", "The feature flag, the least of all workers.",
              f'min(slotgen_control_state{{control="feature", {ONE}}})', words=ON_OFF, width=2, height=3),
        _stat("Rollout", "The share of jobs that may pass, the least of all workers.",
              f'min(slotgen_control_state{{control="rollout_percent", {ONE}}})', "percent", width=2, height=3),
        _stat("Allowlist", "Whether the policy is valid and enabled on every worker.",
              f'min(slotgen_control_state{{control="allowlist", {ONE}}})', words=ON_OFF, width=2, height=3),
        _stat("Dead letters", "Messages that were rejected: slotgen dead list.",
              f"max(slotgen_dead_letters{{{ONE}}})", steps=((0, GREEN), (1, YELLOW)), width=2, height=3),
        _stat("Malformed", "Dials that hold a malformed value, and count as a no.",
              f"sum(max by (control) (slotgen_control_invalid{{{ONE}}}))", steps=((0, GREEN), (1, RED)), width=2, height=3),
        _stat("Policies", "How many different policies the workers act on; more than one is a disagreement.",
              f'count(count_values("policy", slotgen_policy_fingerprint{{{ONE}}}))', steps=((0, GREEN), (2, RED)), width=2, height=3),
        _stat("Last change of a dial", "Which of the other dials was changed last, by whom, and when.",
              f'topk(1, 1000 * max by (control, by) (slotgen_control_changed_timestamp_seconds{{control!="kill", {ONE}}}))',
              "dateTimeFromNow", legend="{{control}}: {{by}}", height=3),
    ],
}  # fmt: skip
DETAILS = {
    "Jobs": [
        Panel(
            "Job latency", "How long jobs take, as a heatmap, from start to outcome.", "s",
            {"{{le}}": f"sum by (le) (increase(slotgen_job_duration_seconds_bucket{{{ONE}}}{RATE}))"}, kind="heatmap", width=12,
        ),
        Panel(
            "Which gate spoke", "Decisions by gate and reason.", "ops",
            {"{{gate}} {{reason}}": f"sum by (gate, reason) (rate(slotgen_gate_decisions_total{{{ONE}}}{RATE})) > 0"}, width=12,
        ),
        Panel(
            "Answers served again", "Stored answers asked for: a hit is paid once.", "ops",
            {"{{result}}": f"sum by (result) (rate(slotgen_cache_total{{{ONE}}}{RATE}))"},
        ),
        Panel(
            "Asked again", "Unusable answers that were asked for once more, by how the job ended.", "ops",
            {"{{status}}": f"sum by (status) (rate(slotgen_repairs_total{{{ONE}}}{RATE}))"}, colours=STATUS_COLOURS,
        ),
        Panel(
            "Dials over time", "The effective dials as workers read them; kill 1 is halted.", "short",
            {"{{control}}": f"max by (control) (slotgen_control_state{{{ONE}}})"}, kind="state-timeline",
        ),
    ],
    "The model": [
        Panel(
            "In flight", "Model requests in flight, and the most there may be.", "short",
            {"in flight": f"sum(slotgen_inflight_requests{{{ONE}}})", "limit": f"sum(slotgen_concurrency{{{ONE}}})"},
        ),
        Panel(
            "Requests", "Model requests by outcome.", "ops",
            {"{{outcome}}": f"sum by (outcome) (rate(slotgen_openai_requests_total{{{ONE}}}{RATE})) > 0"},
        ),
        Panel(
            "Requests that fail", "The share of the requests, those that the brake cancelled left aside; an alert fires at 10 %.", "percentunit",
            {"failed": f"""sum(rate(slotgen_openai_requests_total{{outcome!~"ok|cancelled", {ONE}}}{RATE}))
                / (sum(rate(slotgen_openai_requests_total{{outcome!="cancelled", {ONE}}}{RATE})) > 0)"""},
            steps=((0, GREEN), (0.1, RED)),
        ),
        Panel(
            "Request duration", "p95 of a model request.", "s",
            {"p95": f"histogram_quantile(0.95, sum by (le) (rate(gen_ai_client_operation_duration_seconds_bucket{{{ONE}}}{RATE})))"},
            steps=((0, GREEN), (30, YELLOW), (60, RED)),
        ),
        Panel(
            "Tokens", "Tokens a second, by kind.", "short",
            {"{{gen_ai_token_type}}": f"sum by (gen_ai_token_type) (rate(gen_ai_client_token_usage_sum{{{ONE}}}{RATE}))"},
        ),
        Panel(
            "Calls halted", "Calls in flight that the brake cancelled.", "short",
            {"calls": f"sum(increase(slotgen_halted_requests_total{{{ONE}}}{RATE}))"},
        ),
        Panel(
            "Halt time", "From seeing the halt to the last call closed: p99 of the range shown.", "s",
            {"p99": f"histogram_quantile(0.99, sum by (le) (increase(slotgen_halt_seconds_bucket{{{ONE}}}{RANGE})))"},
            steps=((0, GREEN), (0.1, YELLOW), (1, RED)),
        ),
        _stat(
            "Days until the model ends", "By GET /v1/models, which workers ask once an hour; 999 if no end is announced. An alert fires at 30.",
            f"clamp_max(min((slotgen_model_shutdown_timestamp_seconds{{{ONE}}} - time()) / 86400), 999)",
            steps=((0, RED), (30, GREEN)), nothing="unknown", height=8,
        ),
        _stat(
            "The key can use the model", "Whether GET /v1/models lists it for every worker.", f"min(slotgen_model_listed{{{ONE}}})",
            words={"-1": ("unknown", BLUE), "0": ("NO", RED), "1": ("yes", GREEN)}, height=8,
        ),
    ],
    "Money": [
        Panel(
            "USD an hour", "Spend rate by model; an alert fires at three times the day's average.", "currencyUSD",
            {"{{model}}": f"3600 * sum by (model) (rate(slotgen_cost_usd_total{{{ONE}}}{RATE}))"},
        ),
        Panel(
            "USD an hour by rule", "Spend rate by the allowlist rule that admitted the jobs.", "currencyUSD",
            {"{{rule_id}}": f"3600 * sum by (rule_id) (rate(slotgen_rule_cost_usd_total{{{ONE}}}{RATE}))"},
        ),
        _stat(
            "Denied by the cap", "Calls that the cap did not cover, in the range shown.",
            f"round(sum(increase(slotgen_budget_denied_total{{{ONE}}}{RANGE})))", steps=((0, GREEN), (1, YELLOW)), height=8,
        ),
        _stat(
            "Another service tier", "Requests that another tier served than the one asked for, in the range shown; each is charged at its worst case.",
            f"round(sum(increase(slotgen_service_tier_unexpected_total{{{ONE}}}{RANGE})))", steps=((0, GREEN), (1, YELLOW)), height=8,
        ),
    ],
    "Records": [
        _stat("Invalid events", "Events that broke the locked telemetry schema, in the range shown: a bug.",
              f"round(sum(increase(slotgen_telemetry_invalid_total{{{ONE}}}{RANGE})))", steps=((0, GREEN), (1, RED))),
        _stat("Outcomes not kept", "Outcomes that the history could not take, in the range shown: a full Redis.",
              f"round(sum(increase(slotgen_history_dropped_total{{{ONE}}}{RANGE})))", steps=((0, GREEN), (1, RED))),
        _stat("Log lines dropped", "Lines of the log that nothing read, in the range shown.",
              f"round(sum(increase(slotgen_log_lines_dropped_total{{{ONE}}}{RANGE})))", steps=((0, GREEN), (1, YELLOW))),
        _stat("Dead letters dropped", "Dead letters that went for good, in the range shown.",
              f"round(sum(increase(slotgen_dead_letters_dropped_total{{{ONE}}}{RANGE})))", steps=((0, GREEN), (1, YELLOW))),
        _stat("Keys that are wrong", "Keys in Redis that hold what does not belong there: slotgen repair.",
              f"max(slotgen_wrong_keys{{{ONE}}})", steps=((0, GREEN), (1, RED))),
        _stat("Age of the figures", "How old the figures of queue, dead letters and budget are.",
              f"max(slotgen_fleet_sample_age_seconds{{{ONE}}})", "s", steps=((0, GREEN), (30, RED))),
        Panel("Rejected messages", "Messages that went to the dead letters, by reason.", "ops",
              {"{{reason}}": f"sum by (reason) (rate(slotgen_rejected_messages_total{{{ONE}}}{RATE})) > 0"}),
        Panel("Flagged content", "Jobs a second that ended as CONTENT_FLAGGED, by what moderation found.", "ops",
              {"{{flag}}": f"sum by (flag) (rate(slotgen_content_flagged_total{{{ONE}}}{RATE}))"}),
        Panel("Left out", "A second: spans that the collector did not take, results that newer ones pushed out of the stream, names that were cut.", "ops",
              {"spans": f"sum(rate(slotgen_spans_dropped_total{{{ONE}}}{RATE}))",
               "results": f"sum(rate(slotgen_results_trimmed_total{{{ONE}}}{RATE}))",
               "names": f"sum(rate(slotgen_cut_names_total{{{ONE}}}{RATE}))"}),
    ],
}  # fmt: skip
FLEET = {
    "Workers": [
        Panel(
            "Up since", "When each worker started.", "dateTimeFromNow",
            {"{{instance}}": f"1000 * process_start_time_seconds{{{ONE}}}"}, kind="stat", width=12, height=4,
        ),
        Panel(
            "Versions", "What runs: version and executor version, and on how many workers.", "short",
            {"{{version}} {{executor_version}}": f"count by (version, executor_version) (slotgen_build_info{{{ONE}}})"},
            kind="stat", width=8, height=4, steps=((0, GREEN),),
        ),
        _stat("Threads that ended", "Threads of workers that must run and do not: a bug.",
              f"count(slotgen_background_alive{{{ONE}}} == 0) or vector(0)", steps=((0, GREEN), (1, RED))),
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
    ],
    "Redis": [
        _stat("Redis", "Whether the exporter reaches Redis.", "min(redis_up)", words={"0": ("DOWN", RED), "1": ("up", GREEN)}, height=8),
        Panel("Memory of Redis", "Used memory, and the limit where there is one; a full Redis refuses jobs.", "bytes",
              {"used": "sum(redis_memory_used_bytes)", "limit": "sum(redis_memory_max_bytes)"}, width=10),
        Panel("Commands", "Commands a second.", "ops", {"commands": f"sum(rate(redis_commands_processed_total{RATE}))"}, width=10),
        Panel("Clients", "Connections.", "short", {"clients": "sum(redis_connected_clients)"}),
        Panel("Evicted keys", "Must stay 0: an evicted dial stops the fleet, an evicted queue is lost.", "ops",
              {"keys": f"sum(rate(redis_evicted_keys_total{RATE}))"}, steps=((0, GREEN), (1, RED))),
        Panel("Refused connections", "Connections that Redis refused.", "ops",
              {"connections": f"sum(rate(redis_rejected_connections_total{RATE}))"}, steps=((0, GREEN), (1, RED))),
    ],
}  # fmt: skip
BOARDS = {
    "overview": ("slotgen: overview", OVERVIEW),
    "details": ("slotgen: details", DETAILS),
    "fleet": ("slotgen: workers and Redis", FLEET),
}
VARIABLES = {
    "job": ("Fleet", "label_values(slotgen_build_info, job)"),
    "instance": ("Worker", 'label_values(slotgen_build_info{job=~"$job"}, instance)'),
}
ANNOTATION = f"changes(max by (control) (slotgen_control_state{{{ONE}}})[$__interval:]) > 0"


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
    """Return the panels in their places: each as high up as it fits, then as far left."""
    made: list[dict[str, Any]] = []
    # Down to where each of the 24 columns is taken.
    taken = [0] * 24
    for title, panels in rows.items():
        if title:
            place = {"h": 1, "w": 24, "x": 0, "y": max(taken)}
            made.append({"id": len(made) + 1, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": place})  # fmt: skip
            taken = [place["y"] + 1] * 24
        for panel in panels:
            y, x = min((max(taken[x : x + panel.width]), x) for x in range(25 - panel.width))
            taken[x : x + panel.width] = [y + panel.height] * panel.width
            made.append(_panel(len(made) + 1, panel, {"h": panel.height, "w": panel.width, "x": x, "y": y}))
    return made


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps = [{"value": None if i == 0 else at, "color": colour} for i, (at, colour) in enumerate(panel.steps)]
    defaults: dict[str, Any] = {"unit": panel.unit, "mappings": _mappings(panel)}
    if steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "timeseries":
        defaults |= {
            "custom": {"thresholdsStyle": {"mode": "line" if steps else "off"}, "fillOpacity": 10},
            "min": 0,
        }
        defaults["color"] = (
            {"mode": "shades", "fixedColor": panel.shade} if panel.shade else {"mode": "palette-classic"}
        )
    overrides = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in panel.colours.items()
    ]
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.description,
        "datasource": SOURCE, "gridPos": place, "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": _options(panel),
        "targets": [
            {"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend, "datasource": SOURCE,
             "format": "heatmap" if panel.kind == "heatmap" else "time_series"}
            for i, (legend, query) in enumerate(panel.queries.items())
        ],
    }  # fmt: skip


def _mappings(panel: Panel) -> list[dict[str, Any]]:
    words = {value: {"text": text, "color": colour} for value, (text, colour) in panel.words.items()}
    mappings: list[dict[str, Any]] = [{"type": "value", "options": words}] if words else []
    if panel.nothing:
        result = {"text": panel.nothing, "color": BLUE}
        mappings.append({"type": "special", "options": {"match": "null+nan", "result": result}})
    return mappings


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "heatmap":
        return {"calculate": False}
    if panel.kind == "stat":
        named = any(panel.queries)
        return {
            "reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none",
            "textMode": "value_and_name" if named else "value",
            "colorMode": "background" if panel.steps or panel.words else "none",
        }  # fmt: skip
    if panel.kind == "state-timeline":
        return {"showValue": "never", "legend": {"showLegend": False}}
    return {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def main() -> int:
    """Write the dashboards; with --check write nothing, and exit 1 where a file is not what it would be."""
    stale = []
    for name, (title, rows) in BOARDS.items():
        document = dashboard(title, f"slotgen-{name}", rows)
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
