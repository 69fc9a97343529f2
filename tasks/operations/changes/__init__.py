"""Changing a dial: what the change would do, whether it may be made now, and making it."""
