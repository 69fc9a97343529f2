"""The shipped specs: real, valid, unique, and varied enough to show everything."""

from __future__ import annotations

import schemas
from gates import Ceilings, Controls, matching_rule
from tasks.generate.spec import Spec, refuse_invalid
from tests.builders import OPEN
from worker.dev.demo.specs import ALLOWLIST, load_specs

SPECS = load_specs()
JOBS = [job for spec in SPECS for job in Spec.of(spec).jobs]


def test_there_are_at_least_sixty_and_all_are_valid():
    assert len(SPECS) >= 60
    for spec in SPECS:
        refuse_invalid(spec)


def test_they_cover_every_kind_mode_type_and_many_subjects_and_boards():
    assert {job.kind for job in JOBS} == {"statutory", "assessment", "explanatory", "revision"}
    assert {job.mode for job in JOBS} == {"generate", "verbatim"}
    assert {job.output_type for job in JOBS} == {*schemas.output_types(), "string"}
    assert len({spec["appliesTo"]["subject"] for spec in SPECS}) >= 12
    assert {spec["appliesTo"]["board"] for spec in SPECS} == {"AQA", "Edexcel", "OCR", "Eduqas", "CCEA"}


def test_one_spec_exceeds_its_rules_run_limit():
    dials = Controls.parse(OPEN | {"allowlist": ALLOWLIST.read_bytes()}, Ceilings())
    found = [(matching_rule(job.subject, dials), spec) for spec in SPECS for job in Spec.of(spec).jobs]

    assert any(rule and len(spec["jobs"]) > rule.max_jobs_per_run for rule, spec in found)
