"""See what happens."""
