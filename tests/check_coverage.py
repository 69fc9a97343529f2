"""Runs the tests of the inner packages under coverage and holds the house's floor; `make check` calls it."""

from __future__ import annotations

import subprocess
import sys

# Percent of lines and branches. `worker` runs in processes of its own under tests/e2e; it is not measured.
FLOOR = 95
INNER = "gates,tasks,telemetry,schemas"


def main() -> None:
    # The commands run the operator's use cases, in this process.
    tests = [*(f"tests/{package}" for package in INNER.split(",")), "tests/worker/cli"]
    sources = [f"--cov={package}" for package in INNER.split(",")]
    command = [sys.executable, "-m", "pytest", "-q", *tests, *sources]
    command += [
        "--cov-branch",
        "--cov-report=term-missing:skip-covered",
        f"--cov-fail-under={FLOOR}",
        "-n",
        "2",
    ]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
