"""docs/monitoring.md and its pictures are what the code, the rules and the dashboards say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "monitoring"


def test_the_picture_of_a_report_is_what_the_page_looks_like():
    drawn = subprocess.run(
        [sys.executable, FOLDER / "draw_report.py", "--check"], capture_output=True, text=True, check=False
    )

    assert (drawn.returncode, drawn.stderr) == (0, "")
