"""The shipped executor config with other figures, for tests that cannot wait for its deadlines."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path


def write_config(folder: Path, guard_mode: str = "off", **figures: object) -> Path:
    """Write the config into `folder` and return its path, for SLOTGEN_EXECUTOR_CONFIG."""
    shipped = json.loads((resources.files("tasks") / "executor.v1.json").read_text(encoding="utf-8"))
    # A bad server is the test's own doing: the guard would halt the fleet over it.
    shipped["guard"]["mode"] = guard_mode
    path = folder / "executor.json"
    path.write_text(json.dumps(shipped | {"version": "faults-1"} | figures), encoding="utf-8")
    return path
