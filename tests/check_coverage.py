"""Adds up what `make test COVERAGE=1` measured in all its processes and holds the floors of `make check`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

# Percent, over all five packages. What a worker does before it is killed with -9 is not in the measurement.
LINES_FLOOR = 95.0
BRANCHES_FLOOR = 90.0


def coverage(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "coverage", *words], check=True)


def main() -> None:
    coverage("combine", "--keep", "--quiet")
    coverage("report", "--skip-covered", "--sort=miss")
    with TemporaryDirectory() as folder:
        written = Path(folder) / "coverage.json"
        coverage("json", "--quiet", "-o", str(written))
        totals = json.loads(written.read_text())["totals"]
    lines = 100 * totals["covered_lines"] / totals["num_statements"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    said = f"{lines:.1f} % of lines and {branches:.1f} % of branches"
    if lines < LINES_FLOOR or branches < BRANCHES_FLOOR:
        floors = f"{LINES_FLOOR:g} and {BRANCHES_FLOOR:g} %"
        sys.exit(f"the tests cover {said}, the floors are {floors}; test what the report shows as missing")
    print(f"the tests cover {said}")


if __name__ == "__main__":
    main()
