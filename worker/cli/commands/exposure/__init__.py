"""Change exposure, one step at a time."""

ORDER = 3
