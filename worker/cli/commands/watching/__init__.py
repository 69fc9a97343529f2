"""See what happens."""

ORDER = 2
