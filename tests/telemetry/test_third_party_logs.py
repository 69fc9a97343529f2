"""What Celery, kombu and asyncio would say of a job, by their own format strings, is not said."""

import asyncio
import json
import logging
import pathlib

import aiohttp
import celery.app.trace
import celery.worker.consumer.consumer
import kombu.transport.redis
import pytest

from telemetry import third_party_logs
from tests.telemetry.samples import MARKER, Log

BODY = {"jobs": [{"input": MARKER}]}
TRACE = celery.app.trace.__file__
CONSUMER = celery.worker.consumer.consumer.__file__
CONTEXT = {
    "name": "slotgen.generate",
    "id": "1",
    "description": "raised",
    "exc": MARKER,
    "return_value": MARKER,
    "runtime": 0.1,
    "args": MARKER,
    "kwargs": MARKER,
    "traceback": MARKER,
    "internal": "",
    "hostname": "h",
}


def written(name, pathname, message, *args, exc_info=None):
    log = Log(name)
    record = log.logger.makeRecord(name, logging.ERROR, pathname, 7, message, args, exc_info)
    log.logger.handle(record)
    return log


@pytest.mark.parametrize(
    ("name", "pathname", "message", "args"),
    [
        ("celery.app.trace", TRACE, celery.app.trace.LOG_SUCCESS, (CONTEXT,)),
        ("celery.app.trace", TRACE, celery.app.trace.LOG_FAILURE, (CONTEXT,)),
        ("celery.app.trace", TRACE, celery.app.trace.LOG_INTERNAL_ERROR, (CONTEXT,)),
        (
            "celery.worker.consumer.consumer",
            CONSUMER,
            celery.worker.consumer.consumer.UNKNOWN_FORMAT,
            (json.dumps(BODY),),
        ),
        (
            "celery.worker.consumer.consumer",
            CONSUMER,
            celery.worker.consumer.consumer.UNKNOWN_TASK_ERROR,
            (KeyError(MARKER), BODY, BODY, BODY),
        ),
        (
            "celery.worker.consumer.consumer",
            CONSUMER,
            celery.worker.consumer.consumer.MESSAGE_DECODE_ERROR,
            (ValueError(MARKER), "application/json", "utf-8", MARKER),
        ),
        ("kombu", kombu.transport.redis.__file__, "Could not restore message: %r", (BODY,)),
        ("kombu", kombu.transport.redis.__file__, "Could not restore message: %s", (MARKER,)),
        ("anyone", TRACE, MARKER, ()),
        ("anyone", TRACE, f"put together with {MARKER}: %s", (1,)),
        ("anyone", TRACE, ValueError(MARKER), ()),
        ("anyone", TRACE, BODY, ()),
        ("anyone", "/nowhere.py", MARKER, ()),
        ("asyncio", TRACE, f"Exception in callback work('{MARKER}')\nhandle: <Handle {MARKER}>", ()),
        ("py.warnings", TRACE, "%s", (f"/x/trace.py:810: RuntimeWarning: {MARKER}\n  {MARKER}",)),
        ("py.warnings", TRACE, "%s", (MARKER,)),
        ("py.warnings", TRACE, MARKER, ()),
    ],
)
def test_content_in_a_foreign_record_is_not_written(name, pathname, message, args):
    log = written(name, pathname, message, *args)

    assert MARKER not in log.text
    assert log.lines[0]["event"] == "log"


def test_a_sentence_that_is_known_is_written_without_what_was_put_into_it():
    log = written(
        "kombu", CONSUMER, "consumer: Cannot connect to %s: %s.\n%s\n", "redis://h", OSError(MARKER), 3
    )

    line = log.lines[0]
    assert line["message"] == "consumer: Cannot connect to %s: %s."
    assert line["at"] == "consumer.py:7"
    assert line["error_type"] == "builtins.OSError"
    assert "redis://h" not in log.text


def test_content_behind_a_known_beginning_is_not_written():
    log = written("celery", CONSUMER, f"Timer error: %r {MARKER}", ValueError(MARKER))

    assert log.lines[0]["message"] == "Timer error: %r"
    assert log.lines[0]["error_type"] == "builtins.ValueError"
    assert MARKER not in log.text


@pytest.mark.parametrize("sentence", third_party_logs._KNOWN)
def test_each_known_sentence_still_stands_in_a_library(sentence):
    packages = [pathlib.Path(each.__file__).parent for each in (celery, kombu, aiohttp, asyncio)]
    sources = (path for package in packages for path in package.rglob("*.py"))
    # asyncio puts the name of the class, Task or Future, before these words.
    words = sentence.removeprefix("Task").removeprefix("Future")

    assert any(words in path.read_text("utf-8") for path in sources)


def test_what_asyncio_says_of_a_lost_task_is_told_without_its_error():
    log = Log("asyncio")

    async def work():
        raise ValueError(MARKER)

    async def lose():
        loop = asyncio.get_running_loop()
        task = loop.create_task(work())
        await asyncio.wait([task])
        loop.call_exception_handler(
            {
                "message": "Task exception was never retrieved",
                "task": task,
                "exception": task.exception(),
            }
        )

    from asyncio import log as asyncio_log

    asyncio_log.logger.addHandler(log.logger.handlers[0])
    try:
        asyncio.run(lose())
    finally:
        asyncio_log.logger.removeHandler(log.logger.handlers[0])

    (line,) = log.lines
    assert line["message"] == "Task exception was never retrieved"
    assert line["error_type"] == "builtins.ValueError"
    assert line["error_at"].endswith(" in work")
    assert MARKER not in log.text
