"""Whatever Celery lets a producer send is answered, or `get()` says what was wrong and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError

from tests.builders import a_spec, new_job
from tests.closing_celery import Celery
from tests.e2e.conftest import WAIT_SECONDS

TASK = "slotgen.generate"


@pytest.fixture(params=[1, 2], ids=["protocol-1", "protocol-2"])
def app(request, system):
    with Celery(broker=system.stack.redis_url, backend=system.stack.redis_url, set_as_current=False) as app:
        app.conf.task_protocol = request.param
        app.conf.task_default_queue = "slotgen"
        yield app


def statuses(results):
    return [each["status"] for each in results]


def signature(app, spec=None, **options):
    return app.signature(TASK, args=[spec or a_spec(new_job())], app=app, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"expires": 3600},
        {"time_limit": 60, "soft_time_limit": 30.5},
        {"headers": {"tenant": 7}},
        {"retries": 3},
        {"shadow": "another name"},
        {"priority": 9},
    ],
    ids=str,
)
def test_what_a_worker_can_do_is_answered(app, options):
    sent = app.send_task(TASK, args=[a_spec(new_job())], **options)

    assert statuses(sent.get(timeout=WAIT_SECONDS)) == ["COMPLETED"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"countdown": 60}, "headers.eta"),
        ({"eta": datetime(2999, 1, 1, tzinfo=UTC)}, "headers.eta"),
        ({"compression": "zlib"}, "compression|base64"),
        ({"compression": "bzip2"}, "compression|base64"),
        ({"serializer": "yaml"}, "content-type"),
        ({"serializer": "pickle"}, "content-type"),
        ({"task_id": "x" * 300}, "headers.id"),
        ({"task_id": "line\nbreak é😀 " * 30}, "headers.id"),
        ({"args": []}, "send_task"),
        ({"args": [{"version": "v2"}]}, "version"),
        ({"kwargs": {"spec": 1}}, "send_task"),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_said_to_who_waits(app, options, words):
    sent = app.send_task(TASK, **{"args": [a_spec(new_job())]} | options)

    with pytest.raises(Exception, match=words) as refusal:
        sent.get(timeout=WAIT_SECONDS)
    assert type(refusal.value).__name__ == "InvalidMessage"


def test_another_task_is_refused_by_name(app):
    with pytest.raises(Exception, match=r"headers\.task"):
        app.send_task("slotgen.unknown", args=[a_spec()]).get(timeout=WAIT_SECONDS)


def test_what_has_expired_is_revoked(app):
    sent = app.send_task(TASK, args=[a_spec()], expires=datetime.now(UTC) - timedelta(minutes=1))

    with pytest.raises(TaskRevokedError):
        sent.get(timeout=WAIT_SECONDS)


def test_a_group_is_answered_as_its_tasks_are(app):
    sent = group(signature(app) for _ in range(3)).apply_async()

    assert [statuses(each) for each in sent.get(timeout=WAIT_SECONDS)] == [["COMPLETED"]] * 3


@pytest.mark.parametrize("link", ["link", "link_error"])
def test_a_link_is_refused(app, link):
    sent = app.send_task(TASK, args=[a_spec()], **{link: signature(app)})

    with pytest.raises(Exception, match="chain or a chord"):
        sent.get(timeout=WAIT_SECONDS)


def test_who_waits_for_the_end_of_a_chain_is_told(app):
    sent = chain(signature(app), signature(app), signature(app)).apply_async()

    # Without asking its parents, whose failure Celery would raise first.
    with pytest.raises(Exception, match=r"chain or a chord|argument"):
        sent.get(timeout=WAIT_SECONDS, follow_parents=False)


def test_who_waits_for_the_body_of_a_chord_is_told(app):
    sent = chord([signature(app), signature(app)], signature(app)).apply_async()

    with pytest.raises(Exception, match="chain or a chord"):
        sent.get(timeout=WAIT_SECONDS)
