"""What leaves with an answer follows its schemas, and says of each job what its result does not."""

from __future__ import annotations

import pytest

import schemas
from tasks.delivery import Answer
from tasks.errors import ErrorCode, Failed, Status, Stubbed
from tasks.generate.outcome import completed, ended
from tasks.generate.spec import Spec
from tests.builders import a_job, a_spec


@pytest.fixture
def answer():
    spec = Spec.of(a_spec(a_job("a"), a_job("b"), a_job("c")))
    outcomes = [
        completed("a", {"body": "A cell has a membrane."}),
        ended("b", Stubbed(ErrorCode.KILL_SWITCH)),
        ended("c", Failed(ErrorCode.OPENAI_TIMEOUT)),
    ]
    return Answer.of(spec, outcomes, "2026-11-1")


def test_the_reasons_stand_in_the_order_of_the_results(answer):
    assert schemas.violations("reasons.v1", answer.reasons) == []
    assert answer.reasons["errorCodes"] == [None, "KILL_SWITCH", "OPENAI_TIMEOUT"]
    assert [each["jobId"] for each in answer.results] == ["a", "b", "c"]


def test_each_delivery_is_one_jobs_result_with_its_reason(answer):
    deliveries = answer.deliveries("task-1")

    for each in deliveries:
        assert schemas.violations("delivery.v1", each.as_document()) == []
    assert [(each.job_id, each.status, each.error_code) for each in deliveries] == [
        ("a", Status.COMPLETED, None),
        ("b", Status.STUB, "KILL_SWITCH"),
        ("c", Status.FAILED, "OPENAI_TIMEOUT"),
    ]
    assert deliveries[0].output == {"body": "A cell has a membrane."}
    assert deliveries[0].as_document()["result"] is answer.results[0]


@pytest.mark.parametrize("requires_review", [True, False])
def test_whether_a_person_looks_travels_as_the_producer_said(requires_review):
    spec = Spec.of(a_spec(metadata={"requiresReview": requires_review}))

    answer = Answer.of(spec, [ended("job-1", Stubbed(ErrorCode.NOT_OPTED_IN))], "2026-11-1")

    assert answer.reasons["requiresReview"] is requires_review
    assert answer.deliveries("task-1")[0].requires_review is requires_review
