import calendar

import pytest
from celery import Celery
from celery.utils.time import maybe_iso8601

import schemas
from tests.schemas.judge import examples, replaced

HARMFUL = [
    ("body", [None, 5, {}, ""]),
    ("content-encoding", [None, "binary", "utf-16"]),
    ("content-type", [None, "application/x-python-serialize", "text/plain"]),
    ("headers", [None, [], "id"]),
    ("headers.id", [None, "", 5, ["x"], "x" * 257]),
    ("headers.task", [None, "celery.backend_cleanup", ["slotgen.generate"]]),
    ("headers.timelimit", [5, [1], [1, 2, 3], ["1", None], [-1, None], {"hard": 1}]),
    (
        "headers.eta",
        [
            "",
            "soon",
            "2026-02-29T10:00:00",
            "2026-04-31T10:00:00",
            "2100-02-29T10:00:00",
            5,
            "0001-01-01T00:00:00",
        ],
    ),
    ("headers.expires", ["", "tomorrow", 3600, "2026-11-23T25:00:00", "2026-11-23T10:00:60"]),
    ("headers.retries", [-1, "0", 1.5]),
    ("headers.compression", ["application/x-gzip", "zlib"]),
    ("headers.callbacks", [[{"task": "x"}], "x", {}]),
    ("headers.chain", [[{"task": "x"}]]),
    ("headers.chord", [{"task": "x"}]),
    ("headers.stamped_headers", ["x", [["x"]], [{}]]),
    ("headers.stamps", [[], "x"]),
    ("headers.get", [None, "x"]),
    ("headers.update", ["x"]),
    ("headers._protected", [1]),
    ("headers.shadow", [5, ["x"]]),
    ("properties", [None, []]),
    ("properties.body_encoding", [None, "utf-8"]),
    ("properties.delivery_tag", [None, "", 5, ["x"]]),
    (
        "properties.delivery_info",
        [None, {}, {"exchange": "", "routing_key": None}, {"routing_key": "slotgen"}],
    ),
    ("properties.priority", ["5", -1, 10]),
    ("properties.reply_to", [5, {}]),
    ("properties.correlation_id", [5, []]),
]


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, values in HARMFUL for value in values], ids=str
)
def test_a_message_that_would_harm_a_worker_is_refused(path, value):
    message = replaced(examples("message.v2")[0], tuple(path.split(".")), value)

    assert not schemas.is_valid("message.v2", message)


def sent_by_celery(**options):
    app = Celery(broker="memory://", set_as_current=False)
    app.send_task("slotgen.generate", args=[{"version": "v1"}], queue="slotgen", **options)
    with app.connection_for_read() as connection:
        return connection.channel()._get("slotgen")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"expires": 60, "countdown": 1, "time_limit": 10, "soft_time_limit": 5.5},
        {
            "priority": 3,
            "task_id": "mine",
            "ignore_result": True,
            "shadow": "shown",
            "headers": {"tenant": "a"},
        },
        {"root_id": "r", "parent_id": "p", "group_id": "g", "retries": 2, "reply_to": "here"},
        {"stamped_headers": ["tenant"], "tenant": "a"},
    ],
    ids=str,
)
def test_what_celery_itself_sends_is_accepted(options):
    assert schemas.violations("message.v2", sent_by_celery(**options)) == []


def test_the_smallest_message_that_works_is_accepted():
    smallest = {
        "body": "W1tdLCB7fSwge31d",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "slotgen.generate", "id": "1"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "1",
            "delivery_info": {"exchange": "", "routing_key": "slotgen"},
        },
    }

    assert schemas.violations("message.v2", smallest) == []


def test_the_29th_of_february_is_accepted_exactly_in_leap_years():
    example = examples("message.v2")[0]
    days = {
        year: replaced(example, ("headers", "eta"), f"{year}-02-29T10:00:00") for year in range(2000, 3000)
    }

    accepted = [year for year, message in days.items() if schemas.is_valid("message.v2", message)]

    assert accepted == [year for year in range(2000, 3000) if calendar.isleap(year)]


@pytest.mark.parametrize("zone", ["", "Z", "+00:00", "-23:59"])
@pytest.mark.parametrize("fraction", ["", ".5", ".123456"])
def test_an_accepted_time_is_one_that_celery_can_read(zone, fraction):
    time = f"2026-11-30T23:59:59{fraction}{zone}"

    assert schemas.is_valid("message.v2", replaced(examples("message.v2")[0], ("headers", "expires"), time))
    assert maybe_iso8601(time) is not None
