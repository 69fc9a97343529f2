"""`slotgen explain`: the same answers as a worker's, live and offline."""

from __future__ import annotations

import json
import re

import pytest

from gates import bucket
from tests.builders import a_job, a_rule, a_spec, an_allowlist
from tests.history import keep
from tests.tasks.operations.past import an_outcome
from tests.worker.cli.conftest import A_MOMENT_AGO

SPEC = a_spec(
    a_job("plain"),
    a_job("verbatim", mode="verbatim"),
    a_job("unknown", output={"field": "x", "type": "poem"}),
    a_job("other", kind="revision"),
)
EXPLANATORY = an_allowlist(a_rule(kinds=["explanatory"]))


@pytest.fixture
def spec(slotgen):
    return slotgen.file("spec.json", json.dumps(SPEC))


def codes(slotgen, *words):
    return {each["jobId"]: each["errorCode"] for each in slotgen.json("explain", *words)}


def test_each_job_gets_its_verdict(slotgen, spec):
    slotgen.open(rollout_percent="100", allowlist=EXPLANATORY)

    assert codes(slotgen, spec) == {
        "plain": None,
        "verbatim": "VERBATIM_MODE",
        "unknown": "UNSUPPORTED_OUTPUT_TYPE",
        "other": "NOT_ALLOWLISTED",
    }


def test_a_job_that_is_too_long_is_found_out_before_it_is_sent(slotgen):
    slotgen.open(rollout_percent="100")
    path = slotgen.file("long.json", json.dumps(a_spec(a_job("long", input={"text": "a" * 70_000}))))

    (found,) = slotgen.json("explain", path)

    assert (found["status"], found["errorCode"]) == ("STUB", "INPUT_TOO_LONG")
    assert "maxInputTokens is 65536" in found["detail"]


def test_names_every_gate_the_bucket_the_nearest_rule_and_the_cost(slotgen, spec):
    slotgen.open(kill="true", rollout_percent="0", allowlist=EXPLANATORY)

    found = {each["jobId"]: each for each in slotgen.json("explain", spec)}

    assert [each["reason"] for each in found["other"]["gates"]] == [
        "KILL_SWITCH",
        None,
        None,
        "NOT_ALLOWLISTED",
        "ROLLOUT_EXCLUDED",
    ]
    assert found["other"]["nearest"] == {
        "ruleId": "biology",
        "failing": [{"field": "kinds", "value": "revision"}],
    }
    assert found["plain"]["ruleId"] == "biology"
    assert found["plain"]["admittedFromPercent"] == (bucket("plain") + 1) / 1000
    assert found["plain"]["worstCaseUsd"] > 0
    assert found["plain"]["pricing"] == "service tier default, prices x 1"
    assert found["verbatim"]["worstCaseUsd"] is None


def test_the_percentage_it_names_is_the_first_that_admits(slotgen, spec):
    slotgen.open(rollout_percent="100")
    percent = slotgen.json("explain", spec)[0]["admittedFromPercent"]

    slotgen.open(rollout_percent=f"{percent:.3f}")
    assert codes(slotgen, spec)["plain"] is None
    slotgen.open(rollout_percent=f"{percent - 0.001:.3f}")
    assert codes(slotgen, spec)["plain"] == "ROLLOUT_EXCLUDED"


def test_a_person_reads_the_verdict_first(slotgen, spec):
    slotgen.open(allowlist=EXPLANATORY)

    _, said = slotgen("explain", spec)

    assert "other: STUB NOT_ALLOWLISTED: no enabled rule matches\n" in said
    assert "  nearest   rule biology: kinds lacks 'revision'\n" in said


def test_a_cap_that_does_not_cover_the_call_is_named(slotgen, spec):
    slotgen.open(rollout_percent="100", budget_usd="0.00001")

    _, said = slotgen("explain", spec)

    assert "STUB BUDGET_EXCEEDED: a call may cost $0." in said
    assert "more than the whole spend cap of <$0.0001; raise it (slotgen budget set USD)" in said


def test_offline_it_needs_no_redis(slotgen, spec, monkeypatch):
    monkeypatch.delenv("SLOTGEN_REDIS_URL")
    dials = {
        "kill": "false",
        "feature": "true",
        "rollout_percent": "100",
        "allowlist": json.loads(EXPLANATORY),
    }

    assert codes(slotgen, spec, "--controls", slotgen.file("d.json", json.dumps(dials)))["plain"] is None
    assert codes(slotgen, spec, "--controls", slotgen.file("d.json", "{}"))["plain"] == "KILL_UNVERIFIED"


@pytest.mark.parametrize("text", ["[]", "{", '{"brake": "true"}'])
def test_what_is_no_set_of_dials_is_refused(slotgen, spec, text):
    code, said = slotgen("explain", spec, "--controls", slotgen.file("d.json", text))

    assert code == 1
    assert "d.json: " in said


def test_a_redis_that_is_away_is_an_answer(slotgen, spec, monkeypatch):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://127.0.0.1:1/0")

    assert set(codes(slotgen, spec).values()) == {"KILL_UNVERIFIED"}


def test_what_is_no_job_spec_is_refused_like_a_message(slotgen):
    code, said = slotgen("explain", slotgen.file("x.json", "{}"))

    assert code == 1
    assert "x.json: jobs: is missing; add an array of 1 to 100 items" in said


def test_a_specs_run_limit_counts(slotgen):
    slotgen.open(rollout_percent="100", allowlist=an_allowlist(a_rule(maxJobsPerRun=1)))
    path = slotgen.file("two.json", json.dumps(a_spec(a_job("one"), a_job("two"))))

    assert codes(slotgen, path) == {"one": None, "two": "RUN_LIMIT"}


def test_a_name_cannot_steer_the_terminal(slotgen):
    slotgen.open(rollout_percent="100", allowlist=an_allowlist(a_rule("bio\nlogy")))

    _, said = slotgen("explain", slotgen.file("x.json", json.dumps(a_spec(a_job("job\x1b[2J")))))

    assert said.startswith("job\\x1b[2J: would be generated (rule bio\\nlogy)\n  kill ")


def test_a_text_is_explained_rule_by_rule_with_an_example_of_either_side(slotgen):
    code, said = slotgen("explain", "--as", "text", slotgen.file("text", "# Cells\n\nAll have a membrane."))

    assert code == 0
    assert "heading on line 1: Hashes before a title" in said
    assert "refused" in said
    assert "accepted" in said


def test_a_plain_text_is_explained_in_a_word(slotgen):
    assert "is plain text" in slotgen("explain", "--as", "text", slotgen.file("text", "2*3*(4) = 24"))[1]


def test_a_text_is_explained_as_json(slotgen):
    (found,) = slotgen.json("explain", "--as", "text", slotgen.file("text", "# Cells\n\nAll of them."))

    assert (found["rule"], found["line"]) == ("heading", 1)
    assert found["refused"] != found["accepted"]


class TestOfAJobThatHasComeBefore:
    def test_it_says_what_was_decided_then_and_what_would_be_now(self, slotgen):
        slotgen.open(rollout_percent="0")
        slotgen.outcomes(1)
        slotgen.outcomes(1, status="STUB", error_code="KILL_SWITCH", path="openai", gate="kill")

        code, said = slotgen("explain", "--job", "past-0")
        document = slotgen.json("explain", "--job", "past-0")

        lines = said.splitlines()
        assert code == 0
        assert lines[0] == "past-0: STUB KILL_SWITCH; it would be STUB ROLLOUT_EXCLUDED now"
        assert re.fullmatch(
            rf"  {A_MOMENT_AGO} \(\S+Z\): STUB KILL_SWITCH after 100 ms, a request had begun", lines[1]
        )
        assert lines[2] == "    decided by kill, rule biology, policy 6dfb333ca9f2, <$0.0001"
        assert lines[4].endswith("COMPLETED after 100 ms, a request had begun")
        assert "  opt in    yes the job has opted in" in lines
        assert [each["status"] for each in document["then"]] == ["STUB", "COMPLETED"]
        assert (document["now"]["admitted"], document["now"]["errorCode"]) == (False, "ROLLOUT_EXCLUDED")
        assert document["now"]["bucket"] == bucket("past-0")

    def test_the_bucket_of_a_name_that_the_history_has_cut_is_that_of_the_whole(self, slotgen):
        slotgen.open()
        name = "n" * 200
        keep(slotgen.client, slotgen.namespace, an_outcome(name))

        assert slotgen.json("explain", "--job", name)["now"]["bucket"] == bucket(name)

    def test_one_that_never_came_is_said_with_the_way_to_find_it(self, slotgen):
        code, said = slotgen("explain", "--job", "nobody")

        assert code == 1
        assert "no outcome of the job 'nobody' is in the history" in said
        assert "slotgen tail --last 1000" in said

    @pytest.mark.parametrize("words", [[], ["--job", "x", "FILE"]])
    def test_a_file_or_a_job(self, slotgen, words):
        assert slotgen("explain", *words)[0] == 2
