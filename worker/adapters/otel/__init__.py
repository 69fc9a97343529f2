"""Traces, by OpenTelemetry's SDK: imported only where an OTLP endpoint is set."""
