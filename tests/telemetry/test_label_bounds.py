import pytest

from telemetry.label_bounds import MAX_OPEN_VALUES, OTHER, bounds
from telemetry.metrics import METRICS
from tests.telemetry.samples import scraped, some_metrics

LABELLED = [row for row in METRICS if row.labels]


@pytest.mark.parametrize("row", LABELLED, ids=lambda row: row.name)
def test_ten_thousand_values_of_a_label_cannot_grow_the_series_beyond_its_bound(row):
    metrics = some_metrics()
    made = metrics.counter(row.name)

    for number in range(10_000):
        made.labels(*[f"job-{number}"] * len(row.labels))

    assert len(made._metrics) <= MAX_OPEN_VALUES + 1


def test_a_job_id_never_becomes_a_label_of_the_outcome_counter():
    metrics = some_metrics()

    metrics.counter("slotgen_jobs_total").labels("bio-cells-01", "bio-cells-01", "bio-cells-01").inc()

    assert "bio-cells-01" not in scraped(metrics)
    assert 'slotgen_jobs_total{error_code="other",path="other",status="other"} 1.0' in scraped(metrics)


def test_values_given_by_name_are_bounded_too():
    metrics = some_metrics()

    metrics.counter("slotgen_cache_total").labels(result="bio-cells-01").inc()

    assert 'slotgen_cache_total{result="other"} 1.0' in scraped(metrics)


@pytest.mark.parametrize(
    ("positional", "named"), [((), {}), (("hit", "miss"), {}), ((), {"reslt": "hit"}), (("hit",), {"x": 1})]
)
def test_the_wrong_labels_are_refused(positional, named):
    with pytest.raises(ValueError, match=r"label|\*args"):
        some_metrics().counter("slotgen_cache_total").labels(*positional, **named)


def test_values_that_are_not_text_are_bounded():
    (bound,) = bounds(("status",))

    assert [bound(value) for value in (None, [], {}, 1, "STUB")] == [OTHER, OTHER, OTHER, OTHER, "STUB"]


def test_a_model_keeps_its_name_once_it_has_one():
    (bound,) = bounds(("model",))

    first = [bound(f"model-{number}") for number in range(MAX_OPEN_VALUES)]

    assert first == [f"model-{number}" for number in range(MAX_OPEN_VALUES)]
    assert bound("one-too-many") == OTHER
    assert bound("model-0") == "model-0"


def test_two_metrics_do_not_share_the_room_for_open_values():
    one, two = bounds(("model", "version"))
    for number in range(MAX_OPEN_VALUES):
        one(f"model-{number}")

    assert two("0.1.0") == "0.1.0"
