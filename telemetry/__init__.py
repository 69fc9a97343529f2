"""What happened, told three ways: one locked event for each outcome, metrics, and a JSON log."""

from telemetry.events import Details, TelemetryEvent
from telemetry.exporter import Exporter, Health, PortUnavailable, serve
from telemetry.logs import configure, emit, error_location
from telemetry.metrics import METRICS, Metrics, markdown_table
from telemetry.recorder import Recorder

__all__ = [
    "METRICS",
    "Details",
    "Exporter",
    "Health",
    "Metrics",
    "PortUnavailable",
    "Recorder",
    "TelemetryEvent",
    "configure",
    "emit",
    "error_location",
    "markdown_table",
    "serve",
]
