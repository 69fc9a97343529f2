"""Samples of what a worker records; each call returns a fresh one."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

from prometheus_client import generate_latest

from telemetry import Metrics
from telemetry.logs import JsonHandler

MARKER = "zebra-marker-4711"


def an_event(**changes: Any) -> dict[str, Any]:
    return {
        "version": "v1",
        "executorVersion": "2026-11-1",
        "jobId": "bio-cells-01",
        "path": "openai",
        "status": "COMPLETED",
        "latencyMs": 812.4,
        "errorCode": None,
    } | changes


def a_stub(**changes: Any) -> dict[str, Any]:
    return an_event(**({"path": "stub", "status": "STUB", "errorCode": "KILL_SWITCH"} | changes))


def some_details(**changes: Any) -> dict[str, Any]:
    return {"task_id": "task-1", "gate": "rollout"} | changes


def some_metrics() -> Metrics:
    return Metrics(version="0.1.0", executor_version="2026-11-1")


def scraped(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


class Log:
    """A logger of its own that nobody else hears, and the JSON lines it wrote."""

    def __init__(self, name: str = "slotgen.test") -> None:
        self.stream = io.StringIO()
        self.handler = JsonHandler(self.stream)
        self.logger = logging.Logger(name)  # noqa: LOG001 - a registered logger would outlive its test
        self.logger.addHandler(self.handler)

    @property
    def text(self) -> str:
        self.handler.flush()
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]
