"""`slotgen demo` and `slotgen dev`, as a newcomer runs them: no Redis, no key, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.fakes.otlp import Collector
from tests.ports import free_port
from tests.surroundings import ROOT
from tests.waiting import eventually


def environment(tmp_path, **changes):
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLOTGEN_", "OPENAI_"))
    }
    return clean | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)} | changes


def start(tmp_path, *arguments, **changes):
    return subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *arguments],
        env=environment(tmp_path, **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_behind(tmp_path):
    return [each.name for each in tmp_path.iterdir() if each.name.startswith("slotgen")]


def processes_of(tmp_path):
    """Return the processes that still have a file of ours open or name our folder."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and int(each.name) != os.getpid():
            try:
                if str(tmp_path) in (each / "environ").read_text(errors="replace"):
                    found.append(int(each.name))
            except OSError:
                continue
    return found


def assert_nothing_is_left(tmp_path):
    assert left_behind(tmp_path) == []
    # They are not ours to wait for.
    eventually(lambda: not processes_of(tmp_path), saying="a process is left")


@pytest.mark.timeout(120)
def test_the_demonstration_shows_shut_open_halted_and_open_again(tmp_path):
    process = start(
        tmp_path,
        "demo",
        "--json",
        OPENAI_API_KEY="sk-real",
        OPENAI_BASE_URL="http://192.0.2.1/v1",
        OTEL_EXPORTER_OTLP_ENDPOINT="whatever a shell may have",
    )
    out, err = process.communicate(timeout=100)

    assert process.returncode == 0, err
    shut, braked, five, halted, again = json.loads(out)["acts"]
    assert [each["errorCode"] for each in shut["outcomes"]] == ["KILL_UNVERIFIED"]
    assert [each["errorCode"] for each in braked["outcomes"]] == ["KILL_SWITCH"]
    assert {"ROLLOUT_EXCLUDED", "NOT_OPTED_IN", "NOT_ALLOWLISTED", None} <= {
        each["errorCode"] for each in five["outcomes"]
    }
    assert all(act["why"] for act in (shut, braked, five, halted, again))
    in_flight = [
        each for each in halted["outcomes"] if (each["errorCode"], each["path"]) == ("KILL_SWITCH", "openai")
    ]
    assert sum(each["jobs"] for each in in_flight) > 0
    assert halted["inFlightHaltMs"] > 0
    assert again["cached"] >= 30
    assert all(
        each["status"] != "FAILED" for act in (shut, braked, five, halted, again) for each in act["outcomes"]
    )
    assert_nothing_is_left(tmp_path)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """What the demonstration prints at 80 columns, line by line."""
    folder = tmp_path_factory.mktemp("demo")
    process = start(folder, "demo", COLUMNS="80")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return [line.rstrip() for line in out.splitlines()]


def test_each_act_says_why_it_is_shown(screen):
    acts = [number for number, line in enumerate(screen) if line.startswith("Act ")]

    assert [screen[number].partition(":")[0] for number in acts] == [
        f"Act {each} of 5" for each in range(1, 6)
    ]
    for number in acts:
        assert re.fullmatch(
            r"  [A-Z][^_]+\.(?: [A-Z].*)?", f"{screen[number + 1]} {screen[number + 2].strip()}".rstrip()
        )


def test_the_last_screen_fits_80_by_24_and_has_a_card_a_stub_and_what_to_do_next(screen):
    last = screen[
        next(number for number, line in enumerate(screen) if line.startswith("what you have seen")) :
    ]

    # One line is the shell's.
    assert len(last) <= 23
    assert max(map(len, screen)) <= 80
    said = "\n".join(last)
    assert re.search(
        r"A flashcard of act 3, englit-macbeth.*\n  front  \S.*Macbeth.*\n  back   \S.*Macbeth", said
    )
    assert re.search(
        r"A STUB of act 3, \S+\n  ROLLOUT_EXCLUDED: the job's bucket is outside the percentage", said
    )
    assert re.search(r"^\d+ calls were in flight: closed and answered \d+ ms after", said, re.MULTILINE)
    assert [line.split()[:2] for line in last[-2:]] == [["slotgen", "dev"], ["slotgen", "--help"]]


def test_the_picture_in_the_readme_is_of_this_demonstration(screen):
    script = runpy.run_path(str(ROOT / "docs" / "demo.py"))

    assert "![A run of make demo" in (ROOT / "README.md").read_text("utf-8")
    # Otherwise: python docs/demo.py
    assert script["lasting"](script["recorded"]()) == script["lasting"](["$ make demo", *screen])


def said_until(stream, last):
    """Return the lines up to the first with which `last` agrees."""
    lines = []
    for line in stream:
        lines.append(line)
        if last(line):
            return lines
    raise AssertionError("".join(lines))


def answers_of(command, **changes):
    """Run a line that `slotgen dev` has printed, as it stands but for where slotgen is."""
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", *shlex.split(command)[1:]],
        env=os.environ | changes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def collector():
    with Collector() as started:
        yield started


def test_dev_is_playable_by_the_lines_it_prints_and_starts_again_what_dies(tmp_path, collector):
    port = free_port()
    settings = {
        "SLOTGEN_NAMESPACE": "mine",
        "SLOTGEN_CONCURRENCY": "7",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
    }
    process = start(tmp_path, "dev", "--port", str(port), **settings)
    shown = said_until(process.stdout, lambda line: line.startswith("Ctrl-C"))
    # The folder of the log is this machine's.
    assert max(len(line) for line in shown if not line.startswith("log")) <= 81
    text = "".join(shown).replace("\\\n", "")
    export, enqueue, status, enable = re.findall("^  (.*)$", text, flags=re.MULTILINE)
    url = f"redis://127.0.0.1:{port}/0"
    assert export == f"export SLOTGEN_REDIS_URL={url} SLOTGEN_NAMESPACE=mine"
    there = {"SLOTGEN_REDIS_URL": url, "SLOTGEN_NAMESPACE": "mine"}

    assert '"status":"STUB"' in answers_of(enqueue, **there)
    assert re.search(r"HALTED +the kill dial is on; dev, .*: not opened yet", answers_of(status, **there))
    answers_of(enable, **there)
    assert '"status":"COMPLETED"' in answers_of(enqueue, **there)
    assert collector.wait_for(lambda spans: "process mine" in {each.name for each in spans})

    with redis.Redis.from_url(url) as client:
        (card,) = client.mget(client.keys("mine:worker:*"))
        os.kill(json.loads(card)["pid"], signal.SIGKILL)
        (line,) = said_until(process.stdout, lambda _: True)
        assert re.match(
            r"the worker was ended by SIGKILL; its last words: \w+; started again, metrics at http", line
        )
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        (line,) = said_until(process.stdout, lambda _: True)
        assert line == "Redis was ended by SIGKILL, and was started again with what it held\n"
    assert '"status":"COMPLETED"' in answers_of(enqueue, **there)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=80)
    assert (process.returncode, out) == (0, "stopped, and cleaned up\n"), err
    assert_nothing_is_left(tmp_path)


def test_dev_says_that_its_port_is_taken_and_takes_another(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path, "dev", "--port", str(port), SLOTGEN_REDIS_URL="redis://elsewhere")
        shown = said_until(process.stdout, lambda line: line.startswith("Ctrl-C"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=80)

    assert shown[0] == "SLOTGEN_REDIS_URL: not used here, since dev has a Redis of its own\n"
    assert re.fullmatch(rf"Redis +redis://127.0.0.1:(?!{port})\d+/0   \(port {port} is taken\)\n", shown[1])


def test_dev_refuses_a_setting_that_a_worker_would_refuse(tmp_path):
    process = start(tmp_path, "dev", SLOTGEN_CONCURRENCY="many")
    _, err = process.communicate(timeout=80)

    assert process.returncode == 1
    assert err.startswith("SLOTGEN_CONCURRENCY is 'many'; ")
    assert left_behind(tmp_path) == []


def test_ctrl_c_in_the_middle_of_the_demonstration_cleans_up(tmp_path):
    process = start(tmp_path, "demo")
    process.stdout.readline()
    # It has begun once its folder is there.
    eventually(lambda: left_behind(tmp_path))

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=80)

    assert process.returncode == 1
    assert "cleaned up" in err
    assert "Traceback" not in err
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("command", ["demo", "dev"])
def test_real_without_a_key_is_refused_before_anything_starts(tmp_path, command):
    process = start(tmp_path, command, "--real")
    _, err = process.communicate(timeout=80)

    assert process.returncode == 1
    assert "OPENAI_API_KEY is not set" in err
    assert len(err.strip().splitlines()) == 1
    assert left_behind(tmp_path) == []
