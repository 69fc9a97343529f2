"""The pictures of docs/architecture.md show what a real worker does, and name files that are there."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import queue
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.builders import a_job, a_spec, open_dials
from tests.fakes.openai.server import Behaviour, FakeOpenAI
from tests.waiting import eventually
from worker.adapters.redis.message import raw_message
from worker.dev.stack import stack

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "architecture"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PICTURES = sorted(FOLDER.glob("*.svg"))
WAIT_SECONDS = 30
# Python runs it before the worker: at SIGRTMIN the process says what threads it has.
SAYS_ITS_THREADS = """
import json, signal, sys, threading

def say(*_):
    names = [each.name for each in threading.enumerate()]
    sys.stderr.write(json.dumps({"event": "threads", "names": names}) + "\\n")
    sys.stderr.flush()

signal.signal(signal.SIGRTMIN, say)
"""


def load_facts():
    spec = importlib.util.spec_from_file_location("facts", FOLDER / "facts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


facts = load_facts()
PLACES = sorted({each.place for each in (*facts.THREADS, *facts.CLIENTS, *facts.STEPS)})


def test_they_are_what_the_script_draws():
    done = subprocess.run(
        [sys.executable, FOLDER / "draw.py", "--check"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_the_page_shows_each_with_a_title_for_those_who_cannot_see_it(picture):
    title = ET.parse(picture).find("{http://www.w3.org/2000/svg}title")

    assert f"![{title.text}](architecture/{picture.name})" in PAGE


def extent(line: ET.Element) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of a line of text in DejaVu, the widest of the usual fonts."""
    words, style, size = "".join(line.itertext()), line.get("class", ""), float(line.get("font-size"))
    width = len(words) * size * (0.61 if "mono" in style else 0.6 if "bold" in style else 0.52)
    left = (
        float(line.get("x")) - width * {"start": 0, "middle": 0.5, "end": 1}[line.get("text-anchor", "start")]
    )
    bottom = float(line.get("y"))
    return left, bottom - size * 0.8, left + width, bottom


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_no_text_leaves_the_picture_or_lies_over_another(picture):
    root = ET.parse(picture).getroot()
    lines = [each for each in root.iter("{http://www.w3.org/2000/svg}text") if each.get("x")]
    extents = sorted((extent(each), "".join(each.itertext())) for each in lines)

    assert [
        words for (left, _, right, _), words in extents if left < 0 or right > float(root.get("width"))
    ] == []
    assert [
        (words, others)
        for ((left, top, right, bottom), words), ((x, y, end, low), others) in itertools.combinations(
            extents, 2
        )
        if left < end and x < right and top < low and y < bottom
    ] == []


def test_the_page_has_at_most_ten_decisions():
    decisions = (ROOT / "docs" / "decisions.md").read_text("utf-8")

    assert 1 <= len(re.findall(r"^- ", decisions, re.MULTILINE)) <= 10


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_there(place):
    file, _, name = place.partition(":")
    body = ast.parse((ROOT / file).read_text("utf-8")).body

    for part in name.split("."):
        found = [each for each in body if getattr(each, "name", None) == part]
        assert found, f"{file} has no {name}"
        body = found[0].body


def test_a_picture_refers_to_clients_and_threads_that_it_shows():
    clients, threads = ({each.name for each in named} for named in (facts.CLIENTS, facts.THREADS))

    assert {name for thread in facts.THREADS for name in thread.uses} == clients
    assert {step.client for step in facts.STEPS} <= clients | {""}
    assert {thread.wakes for thread in facts.THREADS} <= threads | {""}


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A real worker with open dials, and the lines of its log."""
    folder = tmp_path_factory.mktemp("says-its-threads")
    (folder / "sitecustomize.py").write_text(SAYS_ITS_THREADS)
    lines = queue.SimpleQueue()
    settings = {"PYTHONPATH": f"{folder}:{ROOT}"}
    with (
        FakeOpenAI() as fake_openai,
        stack(on_line=lines.put, settings=settings, openai_url=fake_openai.base_url) as system,
    ):
        # Long enough for a thread of its own.
        fake_openai.behave(Behaviour(says="Water moves through the membrane. " * 200))
        system.client.mset(open_dials())
        yield system, lines


def send_a_job(system):
    task_id = str(uuid.uuid4())
    # One that was generated before would be served from its answer.
    system.client.lpush("slotgen", raw_message(a_spec(a_job(task_id)), task_id, "slotgen"))


def wait_for(event, lines):
    while True:
        line = lines.get(timeout=WAIT_SECONDS)
        if line.get("event") == event:
            return line


def threads_of(system, lines):
    system.worker._process.send(signal.SIGRTMIN)
    names = {re.sub(r"_\d+$", "", name) for name in wait_for("threads", lines)["names"]}
    # Timers have no name of their own: they say once, soon after the start, what they have found.
    return {name for name in names if not re.fullmatch(r"Thread-\d+.*", name)}


def test_a_worker_has_the_threads_that_the_picture_shows(worker):
    system, lines = worker
    send_a_job(system)
    wait_for("job_completed", lines)

    assert threads_of(system, lines) == {each.name for each in facts.THREADS if not each.only_with}


def test_no_more_threads_live_as_long_as_the_worker():
    # The consumer, the jobs and the kill switch; heartbeats, for what would delay them would give this
    # worker's jobs away; the fleet's figures, and two which wait for whoever reads: the log's and the pages'.
    # Only with tracing there is one more, which delays nothing either.
    assert len([each for each in facts.THREADS if not each.only_with]) == 7


def is_sent(pattern: str, command: str) -> bool:
    start, more, _ = pattern.partition("…")
    return command.startswith(start.rstrip()) if more else command == start


def watch_a_job(system, began, awaited, always):
    """Return what Redis is sent, from the `began` that precedes a job until all of `awaited` and `always`."""
    seen, polls, missing, port = [], 0, {*awaited, *always}, ""
    with system.client.monitor() as monitor:
        for line in monitor.listen():
            # A script's commands have no port: they are its client's.
            port, command, scripted = (
                line["client_port"] or port,
                line["command"],
                line["client_type"] == "lua",
            )
            polls += is_sent(began, command)
            if polls == 0:
                continue
            if not seen:
                send_a_job(system)
            seen.append((port, command, scripted))
            missing -= {
                each for each in missing if is_sent(each, command) and not (scripted and each in always)
            }
            # A worker polls once in a second, so that what does not come is not waited for.
            if not missing or polls > WAIT_SECONDS:
                return seen
    raise AssertionError("Redis has ended")


def test_a_job_makes_the_exchanges_with_redis_that_the_picture_shows_in_their_order(worker):
    system, _ = worker
    # What is left of an earlier job would be taken for this one's.
    eventually(lambda: not system.client.hlen("slotgen:unacked"), saying="a message was not acknowledged")
    steps = [step for step in facts.STEPS if step.sends]
    always = {client.name: client.sends for client in facts.CLIENTS if client.sends}
    ports = {client.name: set() for client in facts.CLIENTS}
    happened = []

    seen = watch_a_job(system, steps[0].sends, [step.sends for step in steps], always.values())

    in_order = iter(seen)
    for step in steps:
        # What is done in the background may come sooner than the steps before it.
        for port, command, _ in seen if step.client == "background" else in_order:
            if is_sent(step.sends, command):
                ports[step.client].add(port)
                happened.append(step.title)
                break
    assert happened == [step.title for step in steps]
    for name, sends in always.items():
        ports[name] = {port for port, command, scripted in seen if command == sends and not scripted}
    # Each kind of client has connections of its own.
    connections = [port for own in ports.values() for port in own]
    assert len(connections) == len(set(connections))
