"""The shipped specs: real, valid, unique, and varied enough to show everything."""

from __future__ import annotations

import json
from collections import Counter

import schemas
from gates import Ceilings, Controls, RawControls, matching_rule
from tasks.spec import Spec, refuse_invalid
from worker.dev.specs import load_allowlist, load_specs

SPECS = load_specs()
JOBS = [job for spec in SPECS for job in Spec.of(spec).jobs]


def test_there_are_at_least_sixty_and_all_are_valid():
    assert len(SPECS) >= 60
    for spec in SPECS:
        refuse_invalid(spec)


def test_no_job_id_is_used_twice():
    assert max(Counter(job.job_id for job in JOBS).values()) == 1


def test_they_cover_every_kind_mode_type_and_many_subjects_and_boards():
    assert {job.kind for job in JOBS} == {"statutory", "assessment", "explanatory", "revision"}
    assert {job.mode for job in JOBS} == {"generate", "verbatim"}
    assert {job.output_type for job in JOBS} == {*schemas.output_types(), "string"}
    assert len({spec["appliesTo"]["subject"] for spec in SPECS}) >= 12
    assert {spec["appliesTo"]["board"] for spec in SPECS} == {"AQA", "Edexcel", "OCR", "Eduqas", "CCEA"}


def test_consent_is_given_refused_and_left_out():
    assert {spec["metadata"].get("allowAI") for spec in SPECS} == {True, False, None}


def test_the_allowlist_is_valid_and_leaves_some_jobs_out():
    assert schemas.is_valid("allowlist.v1", json.loads(load_allowlist()))
    dials = Controls.parse(RawControls(b"false", b"true", b"100", load_allowlist().encode()), Ceilings())
    matched = sum(matching_rule(job.subject, dials) is not None for job in JOBS)

    assert 0.7 <= matched / len(JOBS) <= 0.9


def test_one_spec_exceeds_its_rules_run_limit():
    dials = Controls.parse(RawControls(b"false", b"true", b"100", load_allowlist().encode()), Ceilings())
    found = [(matching_rule(job.subject, dials), spec) for spec in SPECS for job in Spec.of(spec).jobs]

    assert any(rule and len(spec["jobs"]) > rule.max_jobs_per_run for rule, spec in found)
