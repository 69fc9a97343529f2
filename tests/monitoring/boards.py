"""The shipped dashboards, and their queries as Grafana would ask them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
}
PANELS = [
    (f"{name}: {panel['title']}", panel)
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
# Grafana would put its own in.
GIVEN = {
    "$__rate_interval": "10s",
    "$__range": "1m",
    "$__interval": "10s",
    "$job": "slotgen.*",
    "$instance": ".*",
}


def filled(query: str, given: Mapping[str, str] = GIVEN) -> str:
    for name, value in given.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query
