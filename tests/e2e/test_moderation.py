"""What moderation flags, or cannot judge, never becomes content: a real worker, with it switched on."""

from __future__ import annotations

import json

import pytest

from tasks import executor_config
from tests.builders import a_spec, new_job
from tests.e2e.conftest import WAIT_SECONDS, a_system
from tests.e2e.test_guard import scraped
from tests.fakes.openai.server import Behaviour
from tests.surroundings import ROOT
from tests.waiting import eventually

SHIPPED = json.loads((ROOT / "tasks" / "executor.v1.json").read_text())
UNFORGETTABLE = "ocelots paint lighthouses"


def about(topic):
    return new_job(input={"topic": topic})


@pytest.fixture(scope="module")
def moderated(tmp_path_factory):
    guard = SHIPPED["guard"] | {
        "sample": 10,
        "minimumSample": 10,
        "maxUnusableShare": 0.5,
        "maxFailedShare": 1,
    }
    config = SHIPPED | {"version": "moderated", "moderation": "omni-moderation-latest", "guard": guard}
    path = tmp_path_factory.mktemp("config") / "executor.json"
    path.write_text(json.dumps(config))
    with a_system(settings={"SLOTGEN_EXECUTOR_CONFIG": str(path)}) as system:
        system.set_dials()
        yield system, executor_config.load(path)


def test_what_is_flagged_fails_with_its_categories_and_is_paid(moderated):
    system, config = moderated
    jobs = [about("cells"), about("stand-in: input flagged"), about("stand-in: output flagged")]
    task = system.send(a_spec(*jobs))
    results = task.get(timeout=WAIT_SECONDS)

    assert [each["status"] for each in results] == ["COMPLETED", "FAILED", "FAILED"]
    reasons = system.celery.backend.get_task_meta(task.id)["reasons"]["errorCodes"]
    assert reasons == [None, "CONTENT_FLAGGED", "CONTENT_FLAGGED"]
    lines = [system.event_of(each["jobId"]) for each in jobs]
    assert [each["details"].get("flagged") for each in lines] == [
        None,
        {"input": ["violence"]},
        {"output": ["violence"]},
    ]
    for line in lines:
        # Neither asked for again nor free.
        assert line["details"]["attempts"] == 1
        assert (
            0 < line["details"]["cost_nano_usd"] < config.worst_case_nano_usd(1024, config.max_output_tokens)
        )
    spent = int(system.stack.client.hget(system.stack.client.keys("slotgen:budget:[0-9]*")[0], "spent"))
    assert spent == sum(each["details"]["cost_nano_usd"] for each in lines)
    assert 'slotgen_content_flagged_total{flag="violence"} 2.0' in eventually(lambda: scraped(system))


@pytest.mark.parametrize(
    "moderation", ["", {"input": {"type": "error", "code": "c", "message": UNFORGETTABLE}}]
)
def test_what_could_not_be_judged_is_never_content(moderated, moderation):
    system, _ = moderated
    job = new_job()
    system.fake_openai.play_next(Behaviour(says=UNFORGETTABLE, moderation=moderation))

    (result,) = system.answer(a_spec(job))

    assert (result["status"], result["output"]) == ("FAILED", None)
    details = system.event_of(job["jobId"])["details"]
    assert details["flagged"] == {"input": ["not_judged"], "output": ["not_judged"]}
    assert "remove it from the executor config" in details["detail"]
    assert not any(UNFORGETTABLE in str(each) for each in system.lines)
    # Nor is it kept: the same job is asked about anew.
    assert system.answer(a_spec(job))[0]["status"] == "COMPLETED"


def test_the_guard_halts_a_fleet_whose_answers_are_flagged(moderated):
    system, _ = moderated

    system.answer(a_spec(*[about("stand-in: output flagged") for _ in range(10)]))

    halt = system.wait_for_line(lambda line: line["event"] == "guard_halted")
    assert "unusable: CONTENT_FLAGGED" in halt["reason"]
