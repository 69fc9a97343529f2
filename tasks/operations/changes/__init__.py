"""Changing a dial: what the change would do, whether it is allowed now, and making it."""
