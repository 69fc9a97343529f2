"""Halt and release."""
