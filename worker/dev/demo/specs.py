"""The job specs that ship with slotgen, for its demonstrations and tests."""

import json
from importlib import resources
from typing import Any


def load_specs() -> list[dict[str, Any]]:
    """Return every shipped spec, ordered by file name."""
    folder = resources.files("worker.dev.demo") / "job_specs"
    files = sorted(
        (each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda each: each.name
    )
    return [json.loads(each.read_text("utf-8")) for each in files]


def load_allowlist() -> str:
    """Return the text of the allowlist that goes with them."""
    return (resources.files("worker.dev.demo") / "allowlist.json").read_text("utf-8")
