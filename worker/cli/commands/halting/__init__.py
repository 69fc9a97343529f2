"""Halt and release."""

ORDER = 1
