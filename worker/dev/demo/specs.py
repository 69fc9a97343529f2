"""The job specs that ship with slotgen, for its demonstrations and tests."""

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
# The policy that goes with them.
ALLOWLIST = _FOLDER / "allowlist.json"


# Ordered by name.
SPECS = sorted(_FOLDER.glob("job_specs/*.json"))


def load_specs() -> list[dict[str, Any]]:
    """Return every shipped spec, ordered by file name."""
    return [json.loads(each.read_text("utf-8")) for each in SPECS]
