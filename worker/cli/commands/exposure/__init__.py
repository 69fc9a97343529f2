"""Change exposure, one step at a time."""
