"""Prometheus sees the first failure of a worker's life, because its series was there before."""

from __future__ import annotations

from gates import REASONS
from tasks.errors import ErrorCode
from telemetry import Metrics
from tests.telemetry.samples import some_metrics
from worker.metrics.zero_series import create_zero_series, label_words

RULES = ["heading", "bullet_list"]


def labels(metrics, name):
    return [
        sample.labels
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    ]


def test_every_error_code_starts_at_zero_with_the_one_status_it_may_have():
    metrics = some_metrics()

    create_zero_series(metrics, "gpt-6-luna", RULES)

    jobs = labels(metrics, "slotgen_jobs_total")
    assert {each["error_code"] for each in jobs} == {*ErrorCode, "none"}
    assert {each["status"] for each in jobs if each["error_code"] == "none"} == {"COMPLETED"}
    assert {each["status"] for each in jobs if each["error_code"] == "KILL_SWITCH"} == {"STUB"}
    assert {each["path"] for each in jobs if each["error_code"] == "INTERNAL_ERROR"} == {"stub", "openai"}


def test_every_gates_answers_and_no_strange_word_start_at_zero():
    metrics = Metrics(version="1", executor_version="1", words=label_words(RULES))

    create_zero_series(metrics, "gpt-6-luna", RULES)

    decisions = labels(metrics, "slotgen_gate_decisions_total")
    assert {each["reason"] for each in decisions} == {*REASONS, "admitted"}
    everything = [sample for family in metrics.registry.collect() for sample in family.samples]
    rules = labels(metrics, "slotgen_policy_violations_total")
    assert [each["rule"] for each in rules] == RULES
    assert "other" not in {value for sample in everything for value in sample.labels.values()}
