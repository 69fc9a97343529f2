"""`slotgen try` on a real Redis and a loopback OpenAI: what it sends, what it charges, what it leaves."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import threading
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from tasks.operations.changes.dials import Engaged
from tasks.operations.fleet import Confirmation, WorkerInfo
from tests.builders import a_job, a_spec, an_allowlist
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play
from tests.hostile_text import TEXT
from tests.redis_server.server import EmbeddedRedis
from tests.surroundings import ROOT
from tests.waiting import eventually
from tests.worker.cli.test_hostile_text import assert_only_visible, ran
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.fleet import encode
from worker.adapters.redis.keys import WORKER_INFO, WORKERS
from worker.cli import build
from worker.halt.fleet_halt import Halt

SHIPPED = json.loads((ROOT / "tasks" / "executor.v1.json").read_text())
PAGE = ROOT / "docs" / "trying.md"
UNFORGETTABLE = "Ocelots-paint-lighthouses"


@pytest.fixture
def fake_openai():
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def slotgen(slotgen, fake_openai, monkeypatch):
    """A fleet with every dial shut but the kill switch: no worker of it would generate anything."""
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("OPENAI_BASE_URL", fake_openai.base_url)
    slotgen.client.set(f"{slotgen.namespace}:kill", "false")
    return slotgen


def a_file(slotgen, *jobs, **changes):
    return slotgen.file("spec.json", json.dumps(a_spec(*jobs or [a_job()], **changes)))


def a_config(slotgen, name="executor.json", **changes):
    return slotgen.file(name, json.dumps(SHIPPED | {"version": name} | changes))


def lines(slotgen, *words, code=0):
    done = slotgen._run(["try", *words, "--json"])
    said = done.exit_code if done.exception is None or isinstance(done.exception, SystemExit) else 1
    assert said == code, (done.output, done.exception)
    return [json.loads(each) for each in done.stdout.splitlines()], str(done.exception)


def account(slotgen):
    return slotgen.json("budget")


def keys(slotgen):
    return {
        key.decode().removeprefix(slotgen.namespace) for key in slotgen.client.keys(f"{slotgen.namespace}:*")
    }


@contextmanager
def once_in_flight(fake_openai, act):
    """Do `act` in another thread as soon as a call is in flight."""

    def wait():
        fake_openai.journal.wait_until(lambda counts: counts.in_flight)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def test_a_spec_is_answered_and_charged_and_leaves_nothing_else(slotgen):
    tries, _ = lines(slotgen, a_file(slotgen, a_job("one"), a_job("two")), "--n", "2")

    assert sorted((each["jobId"], each["try"]) for each in tries) == [
        ("one", 1),
        ("one", 2),
        ("two", 1),
        ("two", 2),
    ]
    for each in tries:
        assert (each["status"], each["fitsSchema"], each["plainText"]) == ("COMPLETED", True, True)
        assert each["output"]["body"] == json.loads(each["answers"][0])["value"]
        assert each["inputTokens"] > 0
        assert each["outputTokens"] > 0
    spent = account(slotgen)
    assert spent["spentUsd"] == pytest.approx(sum(each["costUsd"] for each in tries))
    assert spent["heldUsd"] == 0
    # No answer, no claim, no ledger, no outcome: neither a producer nor the guard ever hears of it.
    assert {key.split(":")[1] for key in keys(slotgen)} == {"kill", "budget"}


@pytest.mark.parametrize("kill", ["true", "yes", None])
def test_while_halted_it_sends_nothing_and_says_why(slotgen, fake_openai, kill):
    slotgen.open(kill=kill)

    code, said = slotgen("try", a_file(slotgen))

    assert code == 1
    assert f"halted, so nothing was sent: {slotgen.namespace}:kill" in said
    assert fake_openai.journal.counts().begun == 0


def test_the_environment_can_halt_it(slotgen, fake_openai, monkeypatch):
    monkeypatch.setenv("SLOTGEN_AI_KILL", "true")

    code, said = slotgen("try", a_file(slotgen))

    assert (code, fake_openai.journal.counts().begun) == (1, 0)
    assert "is overruled by the environment" in said


def test_a_halt_cancels_what_is_in_flight_and_begins_no_more(slotgen, fake_openai):
    fake_openai.behave(Behaviour(Play.HANG))
    kill = f"{slotgen.namespace}:kill"

    with once_in_flight(fake_openai, lambda: slotgen.client.set(kill, "true")):
        tries, why = lines(slotgen, a_file(slotgen), "--n", "50", code=1)

    assert {(each["status"], each["errorCode"]) for each in tries} == {("STUB", "KILL_SWITCH")}
    assert len(tries) < 50
    assert "ended by KILL_SWITCH" in why
    counts = fake_openai.journal.wait_until(lambda counts: counts.open_connections == 0)
    assert counts.cancelled == counts.begun >= 1
    # What the cancelled calls may have cost at most.
    spent = account(slotgen)
    assert spent["writtenOffUsd"] > 0
    assert spent["heldUsd"] == 0


def test_what_the_cap_does_not_cover_is_not_sent(slotgen, fake_openai):
    slotgen("budget", "set", "0.0001", "--reason", "a small one")

    tries, why = lines(slotgen, a_file(slotgen), code=1)

    assert [each["errorCode"] for each in tries] == ["BUDGET_EXCEEDED"]
    assert "which is more than the whole spend cap of $0.0001" in why
    assert fake_openai.journal.counts().begun == 0


def test_a_cap_that_the_workers_alone_have_holds_as_well(slotgen, fake_openai):
    worker = WorkerInfo("w", "box", 1, "0.1.0", "c", 0, None, None, True, 1, 1, cap_nano_usd=10**5)
    slotgen.client.zadd(WORKERS(slotgen.namespace), {"w": slotgen.client.time()[0]})
    slotgen.client.set(WORKER_INFO(slotgen.namespace, "w"), encode(worker))

    tries, why = lines(slotgen, a_file(slotgen), code=1)

    assert [each["errorCode"] for each in tries] == ["BUDGET_EXCEEDED"]
    assert "which is more than the whole spend cap of $0.0001" in why
    assert "$0.0001" in slotgen("budget")[1]
    assert fake_openai.journal.counts().begun == 0


def test_a_job_that_has_not_opted_in_is_never_sent_nor_is_verbatim_text(slotgen, fake_openai):
    [shut], _ = lines(slotgen, a_file(slotgen, allow_ai=None), code=1)
    [tried], _ = lines(slotgen, a_file(slotgen, a_job("as-it-is", mode="verbatim"), a_job("new")))
    code, said = slotgen("try", a_file(slotgen, a_job(mode="verbatim")))

    assert (shut["status"], shut["errorCode"]) == ("STUB", "NOT_OPTED_IN")
    assert tried["jobId"] == "new"
    assert (code, "has no job to try" in said) == (1, True)
    assert fake_openai.journal.counts().begun == 1


def test_two_configs_stand_side_by_side_in_80_columns(slotgen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    dear = a_config(slotgen, "dear.json", model="gpt-5.6-luna")

    code, said = slotgen("try", a_config(slotgen, "cheap.json"), "--spec", a_file(slotgen), "--against", dear)

    assert code == 0
    assert max(map(len, said.splitlines())) <= 80
    rows = {each[:14].strip(): each[14:].split("  ") for each in said.splitlines()}
    assert [*filter(None, map(str.strip, rows["result"]))] == ["COMPLETED", "COMPLETED"]
    cheap, dear = filter(None, map(str.strip, rows["cost"]))
    assert cheap != dear


def test_a_prompt_is_tried_with_the_jobs_that_it_is_for(slotgen):
    prompt = slotgen.file("explanatory.v2.md", "Explain it. " * 300)
    spec = a_file(slotgen, a_job("ours"), a_job("other", kind="revision"))

    tries, _ = lines(slotgen, prompt, "--spec", spec, "--against", "current")

    assert {each["jobId"] for each in tries} == {"ours"}
    tokens = {each["with"]: each["inputTokens"] for each in tries}
    assert tokens[prompt] > tokens["current"] + 500


def test_a_config_and_a_prompt_come_with_jobs_of_ours(slotgen):
    by_config, _ = lines(slotgen, a_config(slotgen))
    by_prompt, _ = lines(slotgen, slotgen.file("quiz.v1.md", "A quiz asks what was learned."))

    assert {each["kind"] for each in by_config} == {"assessment", "explanatory", "revision", "statutory"}
    assert {each["outputType"] for each in by_prompt} == {"quiz"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("essay.v1.md", "Write.", "is named after no prompt"),
        ("explanatory.v2.md", " \n", "is empty"),
        ("policy.json", an_allowlist(), "is no executor config"),
        (
            "executor.json",
            json.dumps(SHIPPED | {"model": "unpriced"}),
            "has no price for the model 'unpriced'",
        ),
        ("broken.json", "{", "is not JSON"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_remedy(slotgen, fake_openai, name, text, said):
    code, told = slotgen("try", slotgen.file(name, text))

    assert (code, fake_openai.journal.counts().begun) == (1, 0)
    assert said in told


def test_an_answer_in_markup_is_shown_with_its_verdict(slotgen, fake_openai):
    fake_openai.behave(Behaviour(Play.MARKDOWN))

    [tried], _ = lines(slotgen, a_file(slotgen), code=1)
    code, said = slotgen("try", a_file(slotgen))

    assert (tried["errorCode"], tried["fitsSchema"], tried["plainText"]) == (
        "OUTPUT_POLICY_VIOLATION",
        True,
        False,
    )
    # Both were asked for and paid for: the first one, and the repair.
    assert (tried["repairs"], len(tried["answers"]), tried["output"]) == (1, 2, None)
    assert code == 1
    assert "output: strong on line 1" in said
    assert "**" in said


def test_an_answer_that_is_not_what_was_asked_for_is_shown_as_it_came(slotgen, fake_openai):
    fake_openai.behave(Behaviour(Play.NOT_JSON))

    code, said = slotgen("try", a_file(slotgen))

    assert (code, "FAILED OUTPUT_NOT_JSON" in said, "Here is what you asked for" in said) == (1, True, True)


def test_hostile_text_is_seen_and_does_nothing(slotgen, fake_openai):
    fake_openai.behave(Behaviour(says=TEXT))
    spec = a_file(slotgen, a_job(TEXT, output={"field": TEXT, "type": "text"}))

    for words in (["try", spec], ["try", spec, "--against", "current"], ["try", spec, "--json"]):
        said = ran(words).output

        assert_only_visible(said)
        assert "owned" in said
        assert "\nHALTED\n" not in said


def test_each_try_is_a_line_of_a_file_that_only_its_owner_reads(slotgen, fake_openai):
    out = slotgen.folder / "tries.jsonl"
    for _ in range(2):
        assert slotgen("try", a_file(slotgen), "--out", str(out))[0] == 0

    kept = [json.loads(each) for each in out.read_text().splitlines()]
    assert [each["status"] for each in kept] == ["COMPLETED", "COMPLETED"]
    assert out.stat().st_mode & 0o777 == 0o600
    code, said = slotgen("try", a_file(slotgen), "--out", str(slotgen.folder))
    assert (code, "cannot be written (Is a directory)" in said) == (1, True)
    assert fake_openai.journal.counts().begun == 2


def test_no_content_enters_a_log(slotgen, fake_openai, caplog):
    fake_openai.behave(Behaviour(says=UNFORGETTABLE))

    with caplog.at_level(logging.DEBUG):
        assert (
            UNFORGETTABLE in slotgen("try", a_file(slotgen, a_job(input={"topic": "a " + UNFORGETTABLE})))[1]
        )

    assert UNFORGETTABLE not in caplog.text


@pytest.mark.parametrize("refusal", [Behaviour(status=401), Behaviour(status=429, retry_after="1800")])
def test_a_refusal_of_its_account_neither_stops_nor_delays_the_fleet(slotgen, fake_openai, refusal):
    fake_openai.play_next(refusal)

    [tried], _ = lines(slotgen, a_file(slotgen), code=1)

    assert tried["errorCode"] in {"OPENAI_AUTH_ERROR", "OPENAI_RATE_LIMITED"}
    assert not {"breaker", "cooldown"} & {key.split(":")[1] for key in keys(slotgen)}


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_what_ends_it_early_charges_what_was_in_flight(slotgen, fake_openai, which):
    fake_openai.behave(Behaviour(Play.HANG))

    with once_in_flight(fake_openai, lambda: os.kill(os.getpid(), which)):
        code, said = slotgen("try", a_file(slotgen))

    assert (code, "stopped;" in said) == (1, True)
    fake_openai.journal.wait_until(lambda counts: counts.open_connections == 0)
    spent = account(slotgen)
    assert spent["writtenOffUsd"] > 0
    assert spent["heldUsd"] == 0


def test_a_redis_that_goes_meanwhile_is_named_in_a_sentence_and_waited_for(
    slotgen, fake_openai, monkeypatch, caplog
):
    fake_openai.behave(Behaviour(delay_seconds=1))
    with EmbeddedRedis(persistent=True) as own, open_sync(own.url, timeout_seconds=5) as client:
        monkeypatch.setenv("SLOTGEN_REDIS_URL", own.url)
        client.set(f"{slotgen.namespace}:kill", "false")

        def go_and_come_back():
            own.kill()
            eventually(lambda: "result_refused" in caplog.messages)
            own.restart()

        with once_in_flight(fake_openai, go_and_come_back):
            code, said = slotgen("try", a_file(slotgen))

        assert client.hlen(f"{slotgen.namespace}:budget:holds") == 0
    assert code == 0
    assert "Redis is away, or does not accept what a job came to" in said
    assert "(error ConnectionError, cause did not answer)" in said
    assert "result_refused" not in said


def test_a_second_interruption_does_not_wait_for_a_redis_that_is_gone(slotgen, fake_openai, monkeypatch):
    fake_openai.behave(Behaviour(Play.HANG))
    with EmbeddedRedis() as own, open_sync(own.url, timeout_seconds=5) as client:
        monkeypatch.setenv("SLOTGEN_REDIS_URL", own.url)
        client.set(f"{slotgen.namespace}:kill", "false")

        def interrupt_twice():
            own.kill()
            os.kill(os.getpid(), signal.SIGINT)
            eventually(lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler)
            os.kill(os.getpid(), signal.SIGINT)

        with once_in_flight(fake_openai, interrupt_twice):
            code, said = slotgen("try", a_file(slotgen))

    assert (code, "stopped;" in said) == (130, False)


@pytest.mark.parametrize("command", re.findall(r"^\$ slotgen (.*)$", PAGE.read_text(), re.MULTILINE))
def test_each_command_of_its_page_does_what_it_says(slotgen, monkeypatch, command):
    monkeypatch.chdir(ROOT)

    code, said = slotgen(*command.split())

    assert (code, "COMPLETED" in said) == (0, True)


def test_without_a_key_it_says_what_to_do(slotgen, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")

    code, said = slotgen("try", a_file(slotgen))

    assert (code, said.splitlines()[-1]) == (
        1,
        "OPENAI_API_KEY is not set; set the key of your OpenAI project, or use --embedded",
    )


def test_embedded_it_needs_neither_redis_nor_key(slotgen, fake_openai, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "SLOTGEN_REDIS_URL", "SLOTGEN_NAMESPACE"):
        monkeypatch.delenv(name)

    [tried], _ = lines(slotgen, a_file(slotgen), "--embedded")

    assert tried["status"] == "COMPLETED"
    assert fake_openai.journal.counts().begun == 0


def test_a_halt_by_message_reaches_it_and_it_confirms(slotgen, fake_openai, monkeypatch):
    fake_openai.behave(Behaviour(Play.HANG))
    said = {}
    with EmbeddedRedis() as own, open_sync(own.url, timeout_seconds=5) as client:
        monkeypatch.setenv("SLOTGEN_REDIS_URL", own.url)
        client.set(f"{slotgen.namespace}:kill", "false")

        def halt():
            client.config_set("min-replicas-to-write", 1)
            said.update(json.loads(CliRunner().invoke(build(), ["kill", "--json"]).stdout))
            client.config_set("min-replicas-to-write", 0)

        with once_in_flight(fake_openai, halt):
            [tried], _ = lines(slotgen, a_file(slotgen), code=1)

    assert tried["errorCode"] == "KILL_SWITCH"
    assert (said["by"], said["workers"], said["confirmed"], said["cancelledCalls"]) == ("PUBLISH", 1, 1, 1)


def test_a_halt_counts_a_trial_that_has_confirmed():
    engaged = Engaged("SET", recorded=True)

    halt = Halt(engaged, [], {"trial": Confirmation("trial", calls=1, halt_ms=3.0)}, ms=5.0)

    assert halt.number == 1
