"""The main job, from outside: plain Redis commands for the dials, plain `send_task` for the jobs."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

import schemas
from tests.builders import a_job, a_message, a_rule, a_spec, an_allowlist, new_job
from tests.e2e.conftest import WAIT_SECONDS
from tests.fakes.openai.server import Behaviour, Play
from worker.dev.demo.specs import ALLOWLIST, load_specs

# The kind chooses the prompt and the type the schema: neither knows of the other.
KINDS = ["statutory", "assessment", "explanatory", "revision"]
TYPES = ["text", "string", "richText", "choiceOptions", "flashcards", "quiz", "revision"]


@pytest.mark.parametrize(
    ("kind", "output_type"),
    [*((kind, "text") for kind in KINDS), *(("revision", each) for each in TYPES[1:])],
)
def test_completes_every_kind_and_type_with_schema_valid_content(system, kind, output_type):
    job = new_job(kind=kind, output={"field": "content", "type": output_type})

    (result,) = system.answer(a_spec(job))

    assert schemas.violations("result.v1", result) == []
    assert result["status"] == "COMPLETED"
    assert schemas.output_type(output_type).violations(result["output"]["content"]) == []
    line = system.event_of(job["jobId"])
    assert schemas.violations("telemetry.v1", line["telemetry"]) == []
    assert (line["telemetry"]["path"], line["telemetry"]["errorCode"]) == ("openai", None)
    assert line["details"]["attempts"] == 1
    assert line["details"]["cost_nano_usd"] > 0


@pytest.mark.parametrize(
    ("dials", "code"),
    [
        ({"kill": "true"}, "KILL_SWITCH"),
        ({"kill": "1"}, "KILL_SWITCH"),
        ({"kill": "off"}, "KILL_SWITCH"),
        ({"kill": ""}, "KILL_SWITCH"),
        ({"kill": None}, "KILL_UNVERIFIED"),
        ({"feature": "false"}, "FEATURE_DISABLED"),
        ({"feature": "True"}, "FEATURE_DISABLED"),
        ({"feature": None}, "FEATURE_DISABLED"),
        ({"allowlist": None}, "NOT_ALLOWLISTED"),
        ({"allowlist": "{"}, "NOT_ALLOWLISTED"),
        ({"allowlist": an_allowlist(enabled=False)}, "NOT_ALLOWLISTED"),
        ({"allowlist": an_allowlist(a_rule(kinds=["statutory"]))}, "NOT_ALLOWLISTED"),
        ({"allowlist": an_allowlist(a_rule(enabled=False))}, "NOT_ALLOWLISTED"),
        ({"rollout_percent": "0"}, "ROLLOUT_EXCLUDED"),
        ({"rollout_percent": "ten"}, "ROLLOUT_EXCLUDED"),
        ({"rollout_percent": None}, "ROLLOUT_EXCLUDED"),
    ],
)
def test_a_dial_that_is_not_clearly_open_stubs_and_says_why(system, dials, code):
    system.set_dials(**dials)
    job = new_job()
    before = system.fake_openai.journal.counts().begun

    (result,) = system.answer(a_spec(job))

    assert (result["status"], result["output"]) == ("STUB", None)
    event = system.event_of(job["jobId"])["telemetry"]
    assert (event["path"], event["status"], event["errorCode"]) == ("stub", "STUB", code)
    assert system.fake_openai.journal.counts().begun == before


@pytest.mark.parametrize("blanks", ["false", "FALSE", "  False\n"])
def test_the_brake_is_off_at_exactly_false_case_and_blanks_ignored(system, blanks):
    system.set_dials(kill=blanks)

    (result,) = system.answer(a_spec(new_job()))

    assert result["status"] == "COMPLETED"


def test_a_dial_of_the_wrong_type_denies(system):
    system.stack.client.delete("slotgen:kill")
    system.stack.client.lpush("slotgen:kill", "false")
    job = new_job()

    (result,) = system.answer(a_spec(job))

    assert result["status"] == "STUB"
    assert system.event_of(job["jobId"])["telemetry"]["errorCode"] == "KILL_UNVERIFIED"
    system.stack.client.delete("slotgen:kill")


@pytest.mark.parametrize(
    ("behaviour", "code", "requests"),
    [
        (Behaviour(play=Play.REFUSAL), "OUTPUT_REFUSED", 1),
        (Behaviour(play=Play.TRUNCATED), "OUTPUT_TRUNCATED", 1),
        # What the model can do better is asked for once more.
        (Behaviour(play=Play.NOT_JSON), "OUTPUT_NOT_JSON", 2),
        (Behaviour(play=Play.SCHEMA_INVALID), "OUTPUT_SCHEMA_INVALID", 2),
        (Behaviour(play=Play.MARKDOWN), "OUTPUT_POLICY_VIOLATION", 2),
        (Behaviour(play=Play.HTML), "OPENAI_BAD_RESPONSE", 1),
        (Behaviour(play=Play.NULL), "OPENAI_BAD_RESPONSE", 1),
        (Behaviour(status=401), "OPENAI_AUTH_ERROR", 1),
        (Behaviour(status=400), "OPENAI_BAD_REQUEST", 1),
        (Behaviour(status=429, error_code="insufficient_quota"), "OPENAI_QUOTA_EXHAUSTED", 1),
    ],
)
def test_an_answer_that_is_not_usable_fails_with_its_code(system, behaviour, code, requests):
    system.fake_openai.behave(behaviour)
    job = new_job()
    before = system.fake_openai.journal.counts().begun

    (result,) = system.answer(a_spec(job))

    assert (result["status"], result["output"]) == ("FAILED", None)
    event = system.event_of(job["jobId"])["telemetry"]
    assert (event["path"], event["errorCode"]) == ("openai", code)
    assert system.fake_openai.journal.counts().begun == before + requests


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Behaviour(status=503), "OPENAI_SERVER_ERROR"),
        (Behaviour(status=429, retry_after_ms=100, error_code="rate_limit_exceeded"), "OPENAI_RATE_LIMITED"),
        (Behaviour(play=Play.RESET_AFTER_WORK), "OPENAI_CONNECTION_ERROR"),
    ],
)
def test_a_passing_error_is_tried_again_and_then_given_up(system, behaviour, code):
    system.fake_openai.behave(behaviour)
    job = new_job()
    before = system.fake_openai.journal.counts().begun

    (result,) = system.answer(a_spec(job))

    assert result["status"] == "FAILED"
    assert system.event_of(job["jobId"])["telemetry"]["errorCode"] == code
    assert system.fake_openai.journal.counts().begun == before + 3


def test_the_brake_reaches_calls_in_flight(system):
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    jobs = [new_job() for _ in range(40)]
    pending = system.send(a_spec(*jobs))
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 40, WAIT_SECONDS)

    system.stack.client.set("slotgen:kill", "true")

    results = pending.get(timeout=WAIT_SECONDS)
    assert {result["status"] for result in results} == {"STUB"}
    for job in jobs:
        event = system.event_of(job["jobId"])["telemetry"]
        assert (event["errorCode"], event["path"]) == ("KILL_SWITCH", "openai")


def test_the_same_job_is_generated_once_and_served_many_times(system):
    spec = a_spec(new_job())
    before = system.fake_openai.journal.counts().begun

    first, second = system.answer(spec), system.answer(spec)

    assert first[0]["output"] == second[0]["output"]
    assert system.fake_openai.journal.counts().begun == before + 1


def test_jobs_of_one_spec_run_at_the_same_time(system):
    system.fake_openai.behave(Behaviour(delay_seconds=60))

    pending = system.send(a_spec(*(new_job() for _ in range(20))))
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 20, WAIT_SECONDS)
    system.fake_openai.release()

    assert {result["status"] for result in pending.get(timeout=WAIT_SECONDS)} == {"COMPLETED"}


def test_the_shipped_specs_all_come_back_in_order(system):
    system.set_dials(allowlist=ALLOWLIST.read_bytes())
    specs = load_specs()

    pending = [(spec, system.send(spec)) for spec in specs]

    for spec, result in pending:
        answers = result.get(timeout=WAIT_SECONDS)
        assert [answer["jobId"] for answer in answers] == [job["jobId"] for job in spec["jobs"]]
        assert all(schemas.violations("result.v1", answer) == [] for answer in answers)
        assert {answer["status"] for answer in answers} <= {"COMPLETED", "STUB"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ("poem", "the document"),
            ([], "the document"),
            (a_spec(a_job(kind="poem")), "jobs[0].kind"),
            (a_spec(a_job("twice"), a_job("twice")), "jobId"),
            (a_spec(jobs=[]), "jobs"),
            (a_spec(a_job(input={"text": "x" * 300_000})), "262144"),
        ],
    )
    def test_the_producer_gets_an_error_that_names_path_and_remedy(self, system, spec, words):
        with pytest.raises(Exception, match=r"(?s).+") as refusal:
            system.answer(spec)

        assert type(refusal.value).__name__ == "InvalidMessage"
        assert words in str(refusal.value)

    @pytest.mark.parametrize("args", [[], [a_spec(), 2]])
    def test_a_call_with_the_wrong_arguments_is_explained(self, system, args):
        with pytest.raises(Exception, match="one argument"):
            system.celery.send_task("slotgen.generate", args=args, queue="slotgen").get(timeout=WAIT_SECONDS)

    @pytest.mark.parametrize(
        "raw",
        [
            b"\x00\xff",
            b"{}",
            b"[]",
            b"null",
            b"[" * 5000,
            a_message(a_spec()) | {"headers": {}},
            a_message(a_spec()) | {"body": "%%%"},
            a_message(a_spec()) | {"properties": None},
            a_message(body=b"not json"),
            a_message(body=b"{}"),
            a_message(a_spec()) | {"headers": {"task": "os.system", "id": "1"}},
            a_message(a_spec()) | {"headers": {"task": "slotgen.generate", "id": "1", "timelimit": "x"}},
        ],
    )
    def test_garbage_on_the_queue_is_kept_and_the_worker_goes_on(self, system, raw):
        before = system.stack.client.xlen("slotgen:dead")

        system.push(raw)
        (result,) = system.answer(a_spec(new_job()))

        assert result["status"] == "COMPLETED"
        assert system.stack.client.xlen("slotgen:dead") == before + 1
        ((_, entry),) = system.stack.client.xrevrange("slotgen:dead", count=1)
        assert entry[b"message"] == (raw if isinstance(raw, bytes) else json.dumps(raw).encode())
        assert entry[b"problem"]


class TestHttp:
    def get(self, system, path):
        url = system.stack.metrics_url.replace("/metrics", path)
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()

    def test_metrics_tell_stub_from_completed(self, system):
        system.answer(a_spec(new_job()))
        system.answer(a_spec(new_job(mode="verbatim")))

        _, text = self.get(system, "/metrics")

        assert 'slotgen_jobs_total{error_code="none",path="openai",status="COMPLETED"}' in text
        assert 'error_code="VERBATIM_MODE",path="stub",status="STUB"}' in text
        assert "gen_ai_client_token_usage" in text
        assert "slotgen_queue_depth" in text

    def test_is_alive_and_ready(self, system):
        status, checks = self.get(system, "/healthz")
        assert status == 200
        background = ["exporter", "fleet", "heartbeat", "kill_switch_watch", "log"]
        assert sorted(json.loads(checks)["checks"]) == sorted(["job_loop", *background])
        _, text = self.get(system, "/metrics")
        assert sorted(re.findall(r'slotgen_background_alive{name="(.+)"} 1.0', text)) == background
        assert self.get(system, "/readyz")[0] == 200

    def test_a_malformed_dial_shows(self, system):
        system.set_dials(rollout_percent="ten")
        system.answer(a_spec(new_job()))

        _, text = self.get(system, "/metrics")

        assert 'slotgen_control_invalid{control="rollout_percent"} 1.0' in text
