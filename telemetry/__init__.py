"""What happened, in three forms: one locked event for each outcome, metrics, and a JSON log."""

from telemetry.error_location import error_location
from telemetry.exporter import Exporter, PortUnavailable, listen
from telemetry.logs import configure, count_dropped_lines, emit, log_is_alive
from telemetry.metrics import METRICS, Metrics
from telemetry.pages import Health, application
from telemetry.recorder import Recorder

__all__ = [
    "METRICS",
    "Exporter",
    "Health",
    "Metrics",
    "PortUnavailable",
    "Recorder",
    "application",
    "configure",
    "count_dropped_lines",
    "emit",
    "error_location",
    "listen",
    "log_is_alive",
]
