"""What happened, told three ways: one locked event for each outcome, metrics, and a JSON log."""

from telemetry.exporter import Exporter, Health, PortUnavailable, serve
from telemetry.logs import configure, emit, error_location
from telemetry.metrics import METRICS, Metrics, markdown_table
from telemetry.recorder import Recorder

__all__ = [
    "METRICS",
    "Exporter",
    "Health",
    "Metrics",
    "PortUnavailable",
    "Recorder",
    "configure",
    "emit",
    "error_location",
    "markdown_table",
    "serve",
]
