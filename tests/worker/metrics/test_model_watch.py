"""The worker asks for its model once in a while, keeps what it knows, and says what has changed."""

from __future__ import annotations

import logging
import math
from concurrent.futures import Future

import pytest

from tasks.operations.model_listing import ModelListing
from telemetry import Metrics
from worker.metrics.model_watch import ModelWatch

USABLE = ModelListing("m", listed=True, shutdown_date="", unknown="")
UNKNOWN = ModelListing("m", unknown="GET /v1/models: HTTP 404")


class Watched:
    def __init__(self):
        self.now, self.asked = 0.0, []
        metrics = Metrics(version="1", executor_version="1")
        self.watch = ModelWatch("m", self.ask, metrics, now_mono=lambda: self.now)
        self.value = lambda name: metrics.registry.get_sample_value(name, {"model": "m"})

    def ask(self):
        self.asked.append(Future())
        return self.asked[-1]

    def hears(self, answer, *, at=None):
        """Let it ask, at this time or when it is due, and be answered."""
        self.now = self.watch._due_mono if at is None else at
        assert not self.watch.step()
        self.asked[-1].set_result(answer)
        assert self.watch.step()

    def gauges(self):
        return self.value("slotgen_model_listed"), self.value("slotgen_model_shutdown_timestamp_seconds")


@pytest.fixture
def watched():
    return Watched()


def test_before_it_has_asked_nothing_is_known(watched):
    listed, ends = watched.gauges()

    assert listed == -1
    assert math.isnan(ends)
    assert str(watched.watch.listing) == "m: not known (not asked yet)"


def test_it_asks_after_the_first_jobs_then_once_an_hour_and_never_twice_at_a_time(watched):
    watched.watch.step()
    assert watched.asked == []
    watched.now = 2.0
    watched.watch.step()
    watched.watch.step()
    assert len(watched.asked) == 1
    watched.asked[0].set_result(USABLE)
    watched.watch.step()
    watched.now += 3599
    watched.watch.step()
    assert len(watched.asked) == 1

    watched.now += 1
    watched.watch.step()

    assert len(watched.asked) == 2


@pytest.mark.parametrize(
    ("listing", "gauges"),
    [
        (USABLE, (1, math.inf)),
        (ModelListing("m", listed=True, shutdown_date="2027-01-14", unknown=""), (1, 1_799_884_800)),
        (ModelListing("m", listed=False, unknown=""), (0, None)),
        (UNKNOWN, (-1, None)),
    ],
)
def test_the_gauges_are_what_was_answered(watched, listing, gauges):
    watched.hears(listing)

    listed, ends = watched.gauges()
    assert (listed, None if math.isnan(ends) else ends) == gauges


def test_what_is_known_stays_for_a_day_of_answers_that_say_nothing(watched):
    watched.hears(USABLE)
    answered_at = watched.now
    watched.hears(UNKNOWN)
    # The sooner again.
    assert watched.watch._due_mono - watched.now == 300
    watched.hears(UNKNOWN, at=answered_at + 86_400)
    assert watched.gauges() == (1, math.inf)

    watched.hears(UNKNOWN, at=answered_at + 86_401 + 300)

    assert watched.gauges()[0] == -1
    assert watched.watch.listing == UNKNOWN


def test_a_client_that_cannot_be_opened_is_an_answer_that_says_nothing(watched):
    watched.now = 2.0
    watched.watch.step()
    watched.asked[0].set_exception(ModuleNotFoundError("secret"))

    watched.watch.step()

    assert watched.watch.listing == ModelListing("m", unknown="ModuleNotFoundError")


def test_a_change_is_logged_once(watched, caplog):
    gone = ModelListing("m", listed=False, unknown="")
    with caplog.at_level(logging.INFO, "slotgen.worker"):
        for each in (USABLE, UNKNOWN, UNKNOWN, gone, gone, USABLE, gone):
            watched.hears(each)

    said = [(each.levelname, each.getMessage(), vars(each)["slotgen_fields"]) for each in caplog.records]
    problem = {"model": "m", "problem": "the key cannot use the model m: GET /v1/models does not list it"}
    assert said == [
        ("INFO", "model_unknown", {"model": "m", "problem": "GET /v1/models: HTTP 404"}),
        ("WARNING", "model_at_risk", problem),
        ("WARNING", "model_at_risk", problem),
    ]
