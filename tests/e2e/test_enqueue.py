"""`slotgen enqueue` as a process, against a real worker: output, interruptions, the bar on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import schemas
from tests.benchmarks.rig import workers
from tests.builders import a_spec, new_job, open_dials
from tests.fakes.openai.server import Behaviour, Play
from tests.redis_server.server import EmbeddedRedis
from tests.surroundings import ROOT
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import worker_environment

COMMAND = [sys.executable, "-m", "worker.cli", "enqueue"]
WAIT_SECONDS = 60


@pytest.fixture
def enqueue(system, tmp_path):
    """Run it in a folder of its own; return the finished process."""

    def run(*words, given=None, **more):
        return subprocess.run(
            [*COMMAND, *words],
            env=environment(system) | more,
            cwd=tmp_path,
            input=given,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def start(system, tmp_path):
    """Start it in that folder; return the running process, whose two streams are pipes of text."""

    def run(*words, **more):
        pipes = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": environment(system),
        }
        return subprocess.Popen([*COMMAND, *words], cwd=tmp_path, **pipes | more)

    return run


def environment(system):
    return worker_environment(system.stack.redis_url, None) | {"PYTHONPATH": str(Path.cwd())}


def specs(number, **changes):
    return [a_spec(new_job(**changes)) for _ in range(number)]


def ids(documents):
    return [job["jobId"] for each in documents for job in each["jobs"]]


def lines(text):
    return [json.loads(each) for each in text.splitlines()]


def write(path, documents):
    path.write_text("".join(json.dumps(each) + "\n" for each in documents))
    return str(path)


def test_prints_answers_in_the_order_of_the_input(system, enqueue, tmp_path):
    documents = specs(20) + specs(20, mode="verbatim")
    system.set_dials(rollout_percent="50")
    write(tmp_path / "specs.jsonl", documents)

    done = enqueue("specs.jsonl", "--wait")

    answers = lines(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [each["jobId"] for each in answers] == ids(documents)
    assert all(schemas.is_valid("delivery.v1", each) for each in answers)
    assert {each["errorCode"] for each in answers} <= {None, "ROLLOUT_EXCLUDED", "VERBATIM_MODE"}
    assert "sent 40 of 40 specs, answered 40; COMPLETED " in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "specs.jsonl"]


def test_takes_standard_input_folders_arrays_and_documents(system, enqueue, tmp_path):
    documents = specs(6, mode="verbatim")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "1.json").write_text(json.dumps(documents[0], indent=2))
    (tmp_path / "folder" / "2.json").write_text(json.dumps(documents[1:3]))
    write(tmp_path / "folder" / "3.jsonl", documents[3:5])

    done = enqueue("folder", "-", "--wait", given=json.dumps(documents[5]))

    assert done.returncode == 0, done.stderr
    assert [each["jobId"] for each in lines(done.stdout)] == ids(documents)


def test_without_wait_prints_the_task_id_of_each_spec(system, enqueue, tmp_path):
    documents = specs(3, mode="verbatim")

    done = enqueue("-", "--json", given="".join(json.dumps(each) + "\n" for each in documents))

    receipts = lines(done.stdout)
    assert [(each["source"], each["line"]) for each in receipts] == [("-", 1), ("-", 2), ("-", 3)]
    for receipt, document in zip(receipts, documents, strict=True):
        (result,) = system.celery.AsyncResult(receipt["taskId"]).get(timeout=WAIT_SECONDS)
        assert [result["jobId"]] == ids([document])
    (summary,) = lines(done.stderr)
    assert summary["summary"]["sent"] == 3


def test_names_invalid_specs_with_their_lines_and_sends_the_others(system, enqueue, tmp_path):
    documents = specs(2, mode="verbatim")
    text = (
        f"{json.dumps(documents[0])}\n{{half\n\n{json.dumps({'version': 'v1'})}\n{json.dumps(documents[1])}\n"
    )
    (tmp_path / "specs.jsonl").write_text(text)

    done = enqueue("specs.jsonl", "--wait")

    assert done.returncode == 1
    assert [each["jobId"] for each in lines(done.stdout)] == ids(documents)
    assert "specs.jsonl:2: the spec is not JSON (line 1, column 2); mend the syntax there" in done.stderr
    assert "specs.jsonl:4: jobs: is missing; add an array of 1 to 100 items" in done.stderr
    assert "sent 2 of 4 specs, answered 2, refused 2" in done.stderr


def test_sends_again_what_was_a_stub_or_failed_through_no_fault_of_the_job(system, enqueue, tmp_path):
    jobs = [new_job() for _ in range(3)]
    answers = tmp_path / "answers.jsonl"
    write(tmp_path / "specs.jsonl", [a_spec(*jobs[:2]), a_spec(jobs[2])])

    def run(*words):
        done = enqueue("specs.jsonl", "--wait", *words)
        with answers.open("a") as file:
            file.write(done.stdout)
        return done, [(each["jobId"], each["errorCode"]) for each in lines(done.stdout)]

    names = [each["jobId"] for each in jobs]
    system.set_dials(kill="true")
    halted, outcomes = run()
    assert halted.returncode == 0
    assert outcomes == [(each, "KILL_SWITCH") for each in names]
    assert "the kill switch is on: jobs come back as STUBs; to release it: slotgen resume" in halted.stderr

    system.set_dials()
    system.fake_openai.behave(Behaviour(status=429, error_code="insufficient_quota"))
    failed, outcomes = run("--again", "answers.jsonl")
    assert failed.returncode == 1
    assert outcomes == [(each, "OPENAI_QUOTA_EXHAUSTED") for each in names]

    system.forget_the_server()
    system.fake_openai.behave(Behaviour())
    system.fake_openai.play_next(Behaviour(play=Play.REFUSAL))
    _, outcomes = run("--again", "answers.jsonl")
    assert sorted(code or "" for _, code in outcomes) == ["", "", "OUTPUT_REFUSED"]

    nothing, outcomes = run("--again", "answers.jsonl")
    assert (nothing.returncode, outcomes) == (0, [])
    assert "sent 0 of 0 specs" in nothing.stderr


def test_says_that_no_worker_runs_and_goes_on_waiting(start, tmp_path):
    with EmbeddedRedis() as server, open_sync(server.url) as client:
        client.mset(open_dials())
        write(tmp_path / "specs.jsonl", specs(1))
        process = start(
            "specs.jsonl",
            "--wait",
            env=worker_environment(server.url, None) | {"PYTHONPATH": str(Path.cwd())},
        )
        said = process.stderr.readline()
        running = process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_SECONDS)

    assert said == "no answer yet: no worker is running for the queue slotgen; start one: slotgen worker\n"
    assert running


def test_an_empty_file_is_counted_as_a_spec_that_was_refused(enqueue, tmp_path):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "a.jsonl", specs(1, mode="verbatim"))
    (tmp_path / "folder" / "b.json").touch()

    done = enqueue("folder", "--wait")

    assert done.returncode == 1
    assert "folder/b.json:1: is empty; put a job spec there, or leave the file out" in done.stderr
    assert "sent 1 of 2 specs, answered 1, refused 1" in done.stderr


def test_strict_stops_at_the_first_invalid_spec_and_resumes_when_it_is_mended(system, enqueue, tmp_path):
    documents = specs(3, mode="verbatim")
    write(tmp_path / "specs.jsonl", [documents[0], {"version": "v1"}, documents[2]])
    stopped = enqueue("specs.jsonl", "--wait", "--strict")
    write(tmp_path / "specs.jsonl", documents)

    (resume,) = re.findall(r"slotgen enqueue --resume (\S+)", stopped.stderr)
    went_on = enqueue("--resume", resume)

    assert (stopped.returncode, went_on.returncode) == (1, 0), went_on.stderr
    assert "specs.jsonl:2: appliesTo: is missing" in stopped.stderr
    assert [each["jobId"] for each in lines(stopped.stdout + went_on.stdout)] == ids(documents)
    assert not (tmp_path / resume).exists()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_and_nothing_is_printed_twice(system, start, enqueue, tmp_path, ending):
    # The fortieth is not answered before it is interrupted.
    documents = specs(39, mode="verbatim") + specs(1) + specs(60, mode="verbatim")
    write(tmp_path / "specs.jsonl", documents)
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    process = start("specs.jsonl", "--wait", "--window", "50")
    printed = [process.stdout.readline() for _ in range(39)]
    process.send_signal(ending)
    rest, said = process.communicate(timeout=WAIT_SECONDS)
    system.fake_openai.behave(Behaviour())
    system.fake_openai.release()

    (resume,) = re.findall(r"interrupted; go on with: slotgen enqueue --resume (\S+)", said)
    went_on = enqueue("--resume", resume)

    assert (process.returncode, went_on.returncode) == (1, 0), went_on.stderr
    assert [each["jobId"] for each in lines("".join(printed) + rest + went_on.stdout)] == ids(documents)
    assert "sent 100 of 100 specs, answered 100" in went_on.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "specs.jsonl"]


def test_a_reader_that_leaves_ends_the_run_without_a_traceback(start, tmp_path):
    write(tmp_path / "specs.jsonl", specs(300, mode="verbatim"))
    process = start("specs.jsonl", "--wait", "--window", "10")
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert process.wait(WAIT_SECONDS) == 1
    assert "the reader of the answers has gone; go on with: slotgen enqueue --resume" in said
    assert "Traceback" not in said
    assert "slotgen broke" not in said


def test_an_open_pipe_can_be_interrupted(start, tmp_path):
    (document,) = specs(1, mode="verbatim")
    process = start("-", "--wait", stdin=subprocess.PIPE)
    process.stdin.write(json.dumps(document) + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["jobId"] == ids([document])[0]
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()

    assert process.wait(WAIT_SECONDS) == 1
    process.stdin.close()
    process.stdout.close()
    process.stderr.close()
    assert "interrupted; go on with: slotgen enqueue --resume" in said
    assert said.rstrip().endswith("with the same standard input")


def test_a_full_disk_leaves_a_bookmark(system, enqueue, tmp_path):
    write(tmp_path / "specs.jsonl", specs(3, mode="verbatim"))
    with Path("/dev/full").open("w") as full:
        failed = subprocess.run(
            [*COMMAND, "specs.jsonl", "--wait"],
            env=environment(system),
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
    (resume,) = re.findall(
        r"cannot write \(No space left on device\); go on with: .* --resume (\S+)", failed.stderr
    )

    went_on = enqueue("--resume", resume)

    assert (failed.returncode, went_on.returncode) == (1, 0), went_on.stderr
    assert len(lines(went_on.stdout)) == 3


def test_a_folder_of_specs_may_hold_the_bookmark(system, enqueue, tmp_path):
    for number, document in enumerate(specs(3, mode="verbatim")):
        (tmp_path / f"unit-{number}.json").write_text(json.dumps(document))
    (tmp_path / "unit-1.json").write_text("{broken")

    stopped = enqueue(".", "--wait", "--strict")
    (resume,) = re.findall(r"--resume (\S+)", stopped.stderr)
    still = enqueue("--resume", resume)
    (tmp_path / "unit-1.json").write_text(json.dumps(specs(1, mode="verbatim")[0]))
    went_on = enqueue("--resume", resume)

    # Strict it began, and strict it goes on.
    assert (stopped.returncode, still.returncode, went_on.returncode) == (1, 1, 0), went_on.stderr
    assert "unit-1.json:1: the spec is not JSON" in still.stderr
    assert [len(lines(each.stdout)) for each in (stopped, still, went_on)] == [1, 0, 2]


def test_another_redis_is_not_where_the_answers_are(system, enqueue, tmp_path):
    write(tmp_path / "specs.jsonl", [specs(1, mode="verbatim")[0], {"version": "v1"}])
    stopped = enqueue("specs.jsonl", "--wait", "--strict")
    (resume,) = re.findall(r"--resume (\S+)", stopped.stderr)

    elsewhere = enqueue("--resume", resume, SLOTGEN_NAMESPACE="other")

    assert elsewhere.returncode == 1
    assert re.search(r"was begun on slotgen at \S+, and this is other at \S+; set SLOTGEN_", elsewhere.stderr)


def test_a_terminal_shows_a_bar_that_ends_full_with_every_outcome(system, start, tmp_path):
    write(tmp_path / "specs.jsonl", [*specs(30), {"version": "v1"}, *specs(9, mode="verbatim")])
    controller, terminal = pty.openpty()
    with (tmp_path / "answers").open("w") as answers:
        process = start(
            "specs.jsonl",
            "--wait",
            env=environment(system) | {"TERM": "xterm", "COLUMNS": "120"},
            stdout=answers,
            stderr=terminal,
        )
        os.close(terminal)
        screen = read_all(controller)
        process.wait(WAIT_SECONDS)

    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    assert re.findall(r"(\d+)/40 specs left:", shown)[-1] == "40"
    assert "COMPLETED 30  STUB VERBATIM_MODE 9  refused 1" in shown
    assert "specs.jsonl:31: appliesTo: is missing; add an object" in shown
    assert len((tmp_path / "answers").read_text().splitlines()) == 39


def test_what_is_said_on_a_terminal_stands_whole_above_the_bar(start, tmp_path):
    with EmbeddedRedis() as server:
        write(tmp_path / "specs.jsonl", [{"version": "v1"}, *specs(2)])
        controller, terminal = pty.openpty()
        there = {"TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": str(Path.cwd())}
        process = start(
            "specs.jsonl",
            "--wait",
            env=worker_environment(server.url, None) | there,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        screen = ""
        while "  slotgen worker" not in screen:
            screen += os.read(controller, 65536).decode()
        process.send_signal(signal.SIGINT)
        screen += read_all(controller)
        process.wait(WAIT_SECONDS)

    left = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in shown_on_a_terminal(screen)]
    said = left.index("no answer yet: no worker is running for the queue slotgen; start one:")
    assert left[said + 1] == "  slotgen worker"
    assert len([line for line in left if "/3 specs" in line]) == 1


def shown_on_a_terminal(output):
    return runpy.run_path(str(ROOT / "docs" / "demo.py"))["shown"](output)


def read_all(descriptor):
    found = b""
    try:
        while part := os.read(descriptor, 65536):
            found += part
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(descriptor)
    return found.decode()


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        ([], 2, "name FILES"),
        (["--resume", "b", "--again", "c"], 2, "the file of --resume remembers"),
        (["a.json", "--resume", "b"], 2, "and not both"),
        (["absent.json"], 1, "absent.json: does not exist; name a file, a folder, or -"),
        (["--resume", "absent"], 1, "cannot be read (No such file or directory)"),
    ],
)
def test_wrong_words_are_named(enqueue, words, code, problem):
    done = enqueue(*words)

    assert (done.returncode, done.stdout) == (code, "")
    assert problem in done.stderr


def test_a_redis_that_is_not_there_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    from worker.cli.commands.running.enqueue import enqueue as command
    from worker.cli.support.errors import CliError

    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.chdir(tmp_path)
    write(Path("specs.jsonl"), specs(1))

    with pytest.raises(CliError, match=r"Redis at redis://127.0.0.1:1/0 did not answer .*; nothing was sent"):
        command(
            ["specs.jsonl"],
            wait=True,
            strict=False,
            resume=None,
            window=9,
            max_queue=9,
            timeout=None,
            again=None,
            as_json=False,
        )

    assert [each.name for each in tmp_path.iterdir()] == ["specs.jsonl"]


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_the_memory_of_the_producer_does_not_grow_with_the_input(start, tmp_path):
    write(tmp_path / "specs.jsonl", specs(3000, mode="verbatim"))
    process = start("specs.jsonl", "--wait", "--window", "100", stderr=subprocess.DEVNULL)
    memory_mb = {}
    for number, _ in enumerate(process.stdout, 1):
        # What the pipe and the window hold is less than what is left: the process is still at work.
        if number in {600, 2600}:
            memory_mb[number] = workers.memory_mb(process.pid)
    process.stdout.close()

    assert (process.wait(WAIT_SECONDS), number) == (0, 3000)
    # Kept, 2,000 specs would be 2 MB as text alone, and several times that as Python's objects.
    assert memory_mb[2600] < memory_mb[600] + 2, memory_mb
