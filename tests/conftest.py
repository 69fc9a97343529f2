"""What concerns every test: the tables are printed by whichever process has the terminal."""

# Here and not in tests/faults: under xdist that process collects nothing, so it sees no conftest below this.
pytest_plugins = ["tests.faults.table", "tests.monitoring.figures"]
