"""Ordinary lessons come through a real worker; an answer in markup is asked for again, and then refused."""

from __future__ import annotations

from tests.builders import a_spec, new_job
from tests.fakes.openai.server import Behaviour
from tests.tasks.plain_text.cases import PLAIN, SHARED, cases

# Each of them was once refused, and six in 24 halted the fleet.
ORDINARY = (
    "2**3 = 8 and 3**2 = 9 in Python.",
    "(x+1)*(x+2)*(x+3)",
    "1066. Hastings.\n1215. Magna Carta.\n1649. Charles I executed.",
    "The methods __init__ and __str__ are special.",
    "2*(3+4) = 14; (3+4)*2 = 14",
    "Dear Sir or Madam,\n\nI am writing to complain.\n\nYours faithfully,\n\n____________",
)
BULLETS = "Plants need three things.\n- plenty of light\n- enough water\n- clean air"


def test_lessons_that_were_refused_before_are_completed_and_halt_nobody(system):
    assert set(ORDINARY) <= {case.text for case in cases(SHARED) if case.label == PLAIN}
    jobs = [new_job() for _ in range(24)]
    system.fake_openai.play_next(*(Behaviour(says=text) for text in ORDINARY))

    results = system.answer(a_spec(*jobs))

    assert [each["status"] for each in results] == ["COMPLETED"] * 24
    said = [each["output"]["body"] for each in results]
    assert set(ORDINARY) <= set(said)
    assert system.stack.client.get("slotgen:kill") == b"false"


def test_an_answer_in_markup_is_asked_for_again_and_both_are_paid(system):
    job = new_job()
    system.fake_openai.play_next(Behaviour(says=BULLETS), Behaviour(says="Plants need light, water and air."))

    (result,) = system.answer(a_spec(job))

    assert result["output"] == {"body": "Plants need light, water and air."}
    line = system.event_of(job["jobId"])
    assert (line["details"]["attempts"], line["details"]["repairs"]) == (2, 1)
    assert "policy_rule" not in line["details"]


def test_markup_once_more_fails_with_its_rule_and_line_and_never_its_words(system):
    job = new_job()
    system.fake_openai.play_next(Behaviour(says=BULLETS), Behaviour(says=BULLETS))

    (result,) = system.answer(a_spec(job))

    assert result["status"] == "FAILED"
    line = system.event_of(job["jobId"])
    assert line["telemetry"]["errorCode"] == "OUTPUT_POLICY_VIOLATION"
    details = line["details"]
    assert (details["policy_rule"], details["detail"]) == ("bullet_list", "output: bullet_list on line 2")
    assert not any("plenty of light" in str(each) for each in system.lines)
