"""The shipped set judged by its files alone: no gate, parser or worker code has a say here."""

from __future__ import annotations

import json
from importlib import resources

import pytest

import schemas

FOLDER = resources.files("worker.dev.demo") / "job_specs"
TEXTS = {each.name: each.read_text("utf-8") for each in FOLDER.iterdir()}
SPECS = {name: json.loads(text) for name, text in TEXTS.items()}
JOBS = [(spec["appliesTo"], job) for spec in SPECS.values() for job in spec["jobs"]]
ALLOWLIST = json.loads((resources.files("worker.dev.demo") / "allowlist.json").read_text("utf-8"))

TYPES_OF_KIND = {
    "statutory": {"text", "richText"},
    "assessment": {"choiceOptions", "quiz"},
    "explanatory": {"text", "string", "richText"},
    "revision": {"flashcards", "revision"},
}


def _first_match(rules, applies_to, job):
    """Section 4 of the contract read literally, so that the gate is not its own witness."""
    return next(
        (
            rule
            for rule in rules
            if all(applies_to[name] in allowed for name, allowed in rule["appliesTo"].items())
            and job["kind"] in rule["kinds"]
            and (not rule["slotIds"] or job["slotId"] in rule["slotIds"])
        ),
        None,
    )


def _enabled():
    return [rule for rule in ALLOWLIST["rules"] if rule["enabled"]]


def test_at_least_66_specs_of_one_to_three_jobs_have_no_violation():
    assert len(SPECS) >= 66
    assert {len(spec["jobs"]) for spec in SPECS.values()} == {1, 2, 3}
    assert {
        name: found for name, spec in SPECS.items() if (found := schemas.violations("job.v1", spec))
    } == {}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_file_is_printed_for_people(name):
    assert TEXTS[name] == json.dumps(SPECS[name], indent=2, ensure_ascii=False) + "\n"


def test_a_job_id_names_its_specification_and_belongs_to_one_job():
    assert len({job["jobId"] for _, job in JOBS}) == len(JOBS)
    assert [job["jobId"] for at, job in JOBS if f"-{at['specVersion'].lower()}-" not in job["jobId"]] == []


def test_each_kind_asks_only_for_output_types_that_suit_it():
    assert [job["jobId"] for _, job in JOBS if job["output"]["type"] not in TYPES_OF_KIND[job["kind"]]] == []
    assert {job["kind"] for _, job in JOBS} == set(TYPES_OF_KIND)


def test_a_source_names_the_board_subject_specification_and_topic_of_its_job():
    expected = [("{board} GCSE {subject} {specVersion}: {topic}".format(**at), job) for at, job in JOBS]

    assert [job["jobId"] for source, job in expected if job["sources"] != [source]] == []


def test_a_specification_code_belongs_to_one_board_and_subject():
    owners = {(at["specVersion"], at["board"], at["subject"]) for at, _ in JOBS}

    assert len({code for code, _, _ in owners}) == len(owners)


def test_a_verbatim_job_brings_its_text_and_a_generated_one_its_objective():
    needed = {"verbatim": {"text"}, "generate": {"topic", "learningObjective", "keyTerms", "yearGroup"}}

    assert [job["jobId"] for _, job in JOBS if not needed[job["mode"]] <= job["input"].keys()] == []
    assert 3 <= sum(job["mode"] == "verbatim" for _, job in JOBS) <= 8


def test_most_specs_opt_in_some_opt_out_and_review_is_mixed():
    consents = [spec["metadata"].get("allowAI") for spec in SPECS.values()]

    assert consents.count(True) / len(consents) > 0.8
    assert 0.05 <= consents.count(False) / len(consents) <= 0.1
    assert consents.count(None) >= 2
    assert {spec["metadata"]["requiresReview"] for spec in SPECS.values()} == {True, False}


def test_the_allowlist_admits_between_70_and_90_percent_of_the_jobs():
    admitted = [job for at, job in JOBS if _first_match(_enabled(), at, job)]

    assert schemas.violations("allowlist.v1", ALLOWLIST) == []
    assert 0.7 <= len(admitted) / len(JOBS) <= 0.9


def test_every_rule_has_jobs_and_only_the_disabled_one_keeps_its_jobs_out():
    used = {rule["id"] for at, job in JOBS if (rule := _first_match(ALLOWLIST["rules"], at, job))}
    disabled = [rule for rule in ALLOWLIST["rules"] if not rule["enabled"]]
    waiting = [(at, job) for at, job in JOBS if _first_match(disabled, at, job)]

    assert used == {rule["id"] for rule in ALLOWLIST["rules"]}
    assert waiting
    assert [job["jobId"] for at, job in waiting if _first_match(_enabled(), at, job)] == []
