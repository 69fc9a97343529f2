"""Draws docs/monitoring/overview.svg: the overview of a real fleet that its guard has just halted.

`python -m tests.monitoring.picture` takes three minutes. `--keep FILE` also writes what Prometheus said, and
`--from FILE` draws that again.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import threading
import time
from itertools import cycle
from pathlib import Path
from typing import Any

from gates.rollout import DIAL as ROLLOUT
from tasks.operations.changes.dials import Change
from tests.builders import a_job, a_spec, new_job, open_dials
from tests.fakes.openai.server import Behaviour, Play
from tests.monitoring.boards import BOARDS, filled
from tests.monitoring.drawing import Window, board_picture
from tests.monitoring.watched_fleet import WatchedFleet, watched_fleet
from worker.adapters.redis.console.dials import RedisDials

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "monitoring" / "overview.svg"
BOARD = BOARDS["overview"]
# How long it goes well, and how long the model then writes lists, until the picture is taken.
WELL_SECONDS, ILL_SECONDS = 110, 45
WINDOW_SECONDS = 150
GIVEN = {
    "$__rate_interval": "10s",
    "$__range": f"{WINDOW_SECONDS}s",
    "$__interval": "2s",
    "$job": "slotgen.*",
    "$instance": ".*",
}
LIST = Behaviour(says="Cells have:\n- a nucleus\n- a membrane\n- a wall", delay_seconds=0.6)
EMPHASIS = Behaviour(play=Play.MARKDOWN, delay_seconds=0.6)


class Producer(threading.Thread):
    """Sends jobs of every kind, ten a second, until it is stopped."""

    def __init__(self, fleet: WatchedFleet) -> None:
        super().__init__(daemon=True)
        self.fleet, self.stopped = fleet, threading.Event()

    def run(self) -> None:
        for number in cycle(range(600)):
            if self.stopped.wait(0.1):
                return
            job = a_job("always-the-same") if number % 9 == 0 else new_job()
            self.send(a_spec(job, allow_ai=number % 6 != 0))

    def send(self, spec: dict[str, Any]) -> None:
        self.fleet.celery.send_task("slotgen.generate", args=[spec], queue="slotgen", ignore_result=True)


def incident(fleet: WatchedFleet) -> None:
    """Go well for a while; then let the model write lists, until the guard halts the fleet."""
    client = fleet.system.client
    client.mset(open_dials())
    dials = RedisDials(client, "slotgen")
    dials.change(Change(ROLLOUT, b"75", "ann", "slotgen rollout 75"), dials.read().version)
    producer = Producer(fleet)
    producer.start()
    began = time.monotonic()
    slow = cycle((0.4, 0.7, 0.5, 1.1, 0.6, 0.9, 2.2))
    while (passed := time.monotonic() - began) < WELL_SECONDS:
        fleet.fake_openai.behave(Behaviour(delay_seconds=next(slow)))
        fleet.fake_openai.play_next(Behaviour(play=Play.REFUSAL, delay_seconds=0.5))
        if int(passed) // 2 == WELL_SECONDS // 4:
            client.lpush("slotgen", b"not a message")
            for _ in range(120):
                producer.send(a_spec(new_job()))
        time.sleep(2)
    fleet.fake_openai.behave(LIST)
    for _ in range(ILL_SECONDS):
        fleet.fake_openai.play_next(EMPHASIS)
        time.sleep(1)
    producer.stopped.set()
    producer.join()


def said(fleet: WatchedFleet) -> dict[str, Any]:
    """Return what Prometheus says to every query of the board now, and the moments of its annotation."""
    end = time.time()
    window = {"start": end - WINDOW_SECONDS, "end": end, "step": 1}
    data: dict[int, Any] = {}
    for panel in BOARD["panels"]:
        over_time = panel["type"] != "stat"
        data[panel["id"]] = series = []
        for target in panel["targets"]:
            query = filled(target["expr"], GIVEN)
            asked = (
                fleet.ask("/api/v1/query_range", query=query, **window)
                if over_time
                else fleet.ask("/api/v1/query", query=query, time=end)
            )
            for found in asked["result"]:
                legend = re.sub(
                    r"{{(\w+)}}", lambda each, of=found["metric"]: of.get(each[1], ""), target["legendFormat"]
                )
                series.append((legend, found["values"] if over_time else [found["value"]]))
    (annotation,) = BOARD["annotations"]["list"]
    changed = fleet.ask("/api/v1/query_range", query=filled(annotation["expr"], GIVEN), **window)["result"]
    marks = [
        float(at)
        for each in changed
        for number, (at, _) in enumerate(each["values"])
        if number == 0 or at - each["values"][number - 1][0] > 1
    ]
    return {"start": window["start"], "end": end, "data": data, "marks": marks}


def draw(answers: dict[str, Any]) -> str:
    """Return the picture of what Prometheus said."""
    data = {
        int(panel): [
            (legend, [(float(at), float(value)) for at, value in points]) for legend, points in series
        ]
        for panel, series in answers["data"].items()
    }
    return board_picture(BOARD, data, answers["marks"], Window(answers["start"], answers["end"]))


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.picture", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="also write what Prometheus said")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="kept", help="draw that again")
    given = parser.parse_args()
    if given.kept:
        answers = json.loads(given.kept.read_text("utf-8"))
    else:
        with (
            tempfile.TemporaryDirectory() as folder,
            watched_fleet(Path(folder), workers=2, concurrency=8, budget_usd="0.25") as fleet,
        ):
            incident(fleet)
            answers = json.loads(json.dumps(said(fleet)))
    if given.keep:
        given.keep.write_text(json.dumps(answers), "utf-8")
    PICTURE.write_text(draw(answers), "utf-8")


if __name__ == "__main__":
    main()
