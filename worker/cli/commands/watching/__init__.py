"""See what is happening."""

ORDER = 2
