"""Run."""

ORDER = 4
