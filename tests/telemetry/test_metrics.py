import math

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from telemetry import METRICS, Metrics
from tests.telemetry.samples import scraped, some_metrics

PROMISED = {
    "slotgen_jobs_total",
    "slotgen_job_duration_seconds",
    "slotgen_gate_decisions_total",
    "slotgen_control_read_seconds",
    "slotgen_control_state",
    "slotgen_control_invalid",
    "slotgen_inflight_requests",
    "slotgen_halted_requests_total",
    "slotgen_halt_seconds",
    "slotgen_telemetry_invalid_total",
    "slotgen_rejected_messages_total",
    "slotgen_openai_requests_total",
    "gen_ai_client_token_usage",
    "gen_ai_client_operation_duration_seconds",
    "slotgen_cost_usd_total",
    "slotgen_budget_cap_usd",
    "slotgen_budget_denied_total",
    "slotgen_cache_total",
    "slotgen_queue_depth",
    "slotgen_dead_letters",
    "slotgen_build_info",
}


def test_the_contracts_metrics_are_in_the_table_once():
    names = [row.name for row in METRICS]

    assert set(names) >= PROMISED
    assert len(names) == len(set(names))


def test_outcomes_come_first_in_a_scrape():
    assert scraped(some_metrics()).startswith("# HELP slotgen_jobs_total ")


@pytest.mark.parametrize("row", METRICS, ids=lambda row: row.name)
def test_a_row_is_what_it_says(row):
    metrics = some_metrics()

    families = {family.name: family for family in text_string_to_metric_families(scraped(metrics))}
    made = getattr(metrics, row.kind)(row.name)

    assert families[row.name.removesuffix("_total")].type == row.kind
    assert made._labelnames == row.labels
    assert row.name.endswith("_total") == (row.kind == "counter")


def test_the_genai_histograms_have_opentelemetrys_boundaries():
    buckets = {row.name: row.buckets for row in METRICS}

    assert buckets["gen_ai_client_token_usage"] == tuple(4**power for power in range(14))
    assert buckets["gen_ai_client_operation_duration_seconds"] == tuple(
        round(0.01 * 2**power, 2) for power in range(14)
    )


def test_a_metric_outside_the_table_is_refused():
    with pytest.raises(KeyError, match="slotgen_typo_total"):
        some_metrics().counter("slotgen_typo_total")


def test_two_workers_of_one_process_do_not_share_their_numbers():
    one, two = some_metrics(), some_metrics()

    one.counter("slotgen_budget_denied_total").inc()

    assert "slotgen_budget_denied_total 1.0" in scraped(one)
    assert "slotgen_budget_denied_total 0.0" in scraped(two)


def test_a_registry_can_be_given():
    registry = CollectorRegistry()

    assert Metrics(version="1", executor_version="2", registry=registry).registry is registry


def test_the_build_and_an_absent_cap_are_there_from_the_start():
    text = scraped(some_metrics())

    assert 'slotgen_build_info{executor_version="2026-11-1",version="0.1.0"} 1.0' in text
    assert "slotgen_budget_cap_usd +Inf" in text


def test_no_created_series_are_scraped():
    metrics = some_metrics()
    metrics.counter("slotgen_cache_total").labels("hit").inc()
    metrics.histogram("slotgen_halt_seconds").observe(0.01)

    assert "_created" not in scraped(metrics)


def test_a_gauge_that_cannot_be_asked_is_nan_and_the_scrape_goes_on():
    metrics = some_metrics()
    metrics.gauge("slotgen_queue_depth").set_function(lambda: 1 / 0)
    metrics.gauge("slotgen_dead_letters").set_function(lambda: 3)

    assert math.isnan(metrics.registry.get_sample_value("slotgen_queue_depth"))
    assert metrics.registry.get_sample_value("slotgen_dead_letters") == 3
