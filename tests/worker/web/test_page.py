"""The page shows what was read, whatever that is, and always has its button."""

from __future__ import annotations

import dataclasses
import os
import re
import time

import pytest
from selectolax.lexbor import LexborHTMLParser

from tasks.operations.changes.dials import Engaged
from tasks.operations.fleet import Confirmation, WorkerInfo
from tests.builders import OPEN, an_allowlist
from tests.foreign import MAKES, ROWS, Foreign, name_of, spoil
from tests.history import keep, keep_at
from tests.hostile_text import RAW, TEXT
from tests.tasks.operations.past import NOW_MS, an_outcome
from tests.worker.web.night import a_night
from worker.adapters.redis.console.fleet import encode
from worker.adapters.redis.keys import AUDIT, AUDIT_NOTICED, BUDGET, DEAD, HISTORY, WORKER_INFO, WORKERS
from worker.halt.fleet_halt import Halt
from worker.settings import settings as environment
from worker.web.access import Visitor
from worker.web.halting import HaltButton, Press
from worker.web.page import Pages
from worker.web.status import Status, StatusSource, Unreadable

SEED = os.environ.get("SLOTGEN_FAULTS_SEED", "4711")
MARKUP = '<script>alert(1)</script><img src=x onerror="x">\'"&{{ 1111 * 1111 }}'
PAGES = Pages("slotgen", 5.0, by_token=True)


@pytest.fixture
def settings(redis_server, namespace):
    return environment.load(redis_url=redis_server.url, namespace=namespace)


@pytest.fixture
def places(redis_client, namespace):
    """A fleet with something in every key that the page reads."""
    redis_client.mset(
        {f"{namespace}:{dial}": value for dial, value in (OPEN | {"allowlist": an_allowlist()}).items()}
    )
    now = redis_client.time()[0]
    redis_client.zadd(WORKERS(namespace), {"w1": now})
    keep(redis_client, namespace, an_outcome())
    return {"ns": namespace, "start": str(now - now % 86_400), "worker": "w1", "digit": "3"} | dict.fromkeys(
        ("minute", "target", "writer", "exchange", "task", "job", "model"), "x"
    )


def shown(found, *, press=None, asks_reason=False, name="ann"):
    button = HaltButton(None, None, "slotgen")
    button.last = press
    return PAGES.page(found, button, Visitor(name, "0f"), asks_reason=asks_reason)


def has_button(page):
    return LexborHTMLParser(page).css_first("form[action='/'] button") is not None


def assert_harmless(page):
    assert not {each for each in page if not each.isprintable() and each != "\n"}
    tree = LexborHTMLParser(page)
    assert tree.css("script, img, iframe, [onerror], [style]") == []
    assert "1234321" not in page


def test_says_who_halted_when_and_why_first():
    body = LexborHTMLParser(shown(a_night())).body

    assert re.sub(r"\s+", " ", body.css_first("header").text()).startswith(
        " slotgen08:00:00 UTC HALTED the kill dial is absent; guard, 6 min ago: 50 % of 40 outputs unusable"
    )
    assert next(body.iter()).tag == "header"


def test_shows_dials_workers_outcomes_money_and_dead_letters():
    text = re.sub(r"\s+", " ", LexborHTMLParser(shown(a_night(halted=False))).body.text(separator=" "))

    for each in (
        "RELEASED",
        "rollout_percent 25 % 2 h 20 min ago by ann",
        "worker-1/7 released, 48 calls in flight",
        "809 COMPLETED 59 STUB 211 FAILED",
        "144 OUTPUT_SCHEMA_INVALID",
        "left $12.579 of $20.00",
        "2 . See them: slotgen dead list",
        "212 messages waiting",
    ):
        assert each in text


def test_the_picture_has_a_bar_for_each_status_of_each_two_minutes():
    night = a_night()
    tree = LexborHTMLParser(shown(night))

    bars = [(each.attributes["class"], each.text()) for each in tree.css("svg.picture rect")]
    for status in ("COMPLETED", "STUB", "FAILED"):
        drawn = sum(int(title.split()[0]) for kind, title in bars if kind == status)
        assert drawn == sum(each.status == status for each in night.overview.real)
    heights = [float(each.attributes["height"]) for each in tree.css("svg.picture rect")]
    assert all(0 < each <= 96 for each in heights)


def test_what_is_counted_of_more_than_it_reads_is_said():
    overview = dataclasses.replace(a_night().overview, past=[an_outcome(wall_ms=NOW_MS)] * 10_000)

    assert "only the newest are counted" in shown(Status(overview, None))
    assert "only the newest are counted" not in shown(a_night())


@pytest.mark.parametrize("asks_reason", [True, False])
def test_what_cannot_be_read_leaves_the_button_and_says_what_is_known(asks_reason):
    page = shown(Unreadable("Redis at redis://x did not answer"), asks_reason=asks_reason)

    assert has_button(page)
    assert "NOT KNOWN" in page
    assert "Redis at redis://x did not answer" in page
    assert "halt by themselves within 5 s" in page


def test_a_halt_that_not_all_confirm_names_who_did_not():
    workers = a_night().overview.workers
    confirmed = {"w1": Confirmation("w1", 48, 12.0)}
    done = Halt(Engaged("DEL", recorded=True), list(workers), confirmed, 3001.0)

    page = shown(a_night(), press=Press("ann", time.monotonic(), halt=done))
    text = re.sub(r"\s+", " ", LexborHTMLParser(page).text())

    assert "Halted, NOT CONFIRMED by all" in text
    assert "1 of 3 workers confirmed after 3.0 s" in text
    assert "48 calls in flight were cancelled" in text
    assert "NOT CONFIRMED: worker-2/7; it halts by itself within 5 s" in text
    assert "kill -9 7" in text


def test_text_from_outside_is_seen_and_does_nothing(redis_client, settings, namespace):
    for hostile in (TEXT, MARKUP):
        raw = RAW + hostile.encode()
        now = redis_client.time()[0]
        codes = dict.fromkeys(("error_code", "path", "policy_rule", "worker_id"), hostile)
        keep(
            redis_client, namespace, an_outcome(status="FAILED", **codes), an_outcome(status=hostile, **codes)
        )
        info = WorkerInfo(
            "w1", hostile, 7, hostile, hostile, 3, hostile, hostile, True, now * 1000, now * 1000
        )
        redis_client.zadd(WORKERS(namespace), {"w1": now, raw: now})
        redis_client.set(WORKER_INFO(namespace, "w1"), encode(info), ex=600)
        entry = {"dial": "kill", "actor": raw, "command": raw, "reason": raw, "redis_user": raw}
        for record in (AUDIT, AUDIT_NOTICED):
            redis_client.xadd(record(namespace), entry)
            redis_client.xadd(record(namespace), entry | {"dial": "rollout_percent"})
        for dial in ("feature", "rollout_percent", "allowlist", "budget_usd"):
            redis_client.set(f"{namespace}:{dial}", raw)
        redis_client.xadd(DEAD(namespace), dict.fromkeys(("queue", "reason", "message"), raw))
        redis_client.hset(BUDGET(namespace, now - now % 86_400), mapping={b"spent:" + raw: 1})

        page = shown(
            StatusSource(redis_client, settings)(),
            press=Press(hostile, time.monotonic(), problem=hostile),
            name=hostile,
        )

        assert_harmless(page)
        assert "MALFORMED" in page
        assert has_button(page)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern)
def test_whatever_is_in_a_key_the_page_is_shown_and_halts(redis_client, settings, namespace, places, row):
    foreign, key = Foreign(f"{SEED} {row.pattern}"), name_of(row, places)
    wrong = [MAKES[kind](key, b"\xff", b"\xff") for kind in MAKES if kind != row.type]
    values = [list(foreign.commands(row, key, 1 if row.type == "string" else 20)) for _ in range(4)]
    button = HaltButton(redis_client, redis_client, namespace)
    for commands in (*([each] for each in wrong), *values):
        spoil(redis_client, key, *commands)

        page = shown(StatusSource(redis_client, settings)())
        assert has_button(page)
        assert_harmless(page)

    button.press("ann", "", lambda: None)
    assert button.last.key_set
    assert redis_client.get(f"{namespace}:kill") == b"true"


def test_the_hour_is_read_once_and_then_what_is_new(redis_client, settings, namespace):
    source, key, now_ms = (
        StatusSource(redis_client, settings),
        HISTORY(namespace),
        redis_client.time()[0] * 1000,
    )

    def ids():
        return [each.subject.job_id for each in source().overview.past]

    keep_at(redis_client, namespace, {now_ms - 3_660_000: an_outcome("old"), now_ms - 9: an_outcome("a")})
    assert ids() == ["a"]
    keep_at(redis_client, namespace, {now_ms - 8: an_outcome("b")})
    ((_, entry),) = redis_client.xrevrange(key, count=1)
    # Of the same millisecond as the newest that it knows.
    assert ids() == ["a", "b"]
    redis_client.xadd(key, entry, f"{now_ms - 8}-1")
    assert ids() == ["a", "b", "b"]
    # It is not asked for again.
    redis_client.xtrim(key, maxlen=2, approximate=False)
    assert ids() == ["a", "b", "b"]
