"""Whoever holds the token may halt the fleet; nobody can release it, and nobody else can halt it."""

from __future__ import annotations

import io
import json

import pytest

from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import Engaged
from worker.web.alert_webhook import AlertWebhook

TOKEN = "t0ken"
BY_SET = Engaged(by="SET", recorded=True)


class Lever:
    def __init__(self, error=None, engaged=BY_SET):
        self.reasons = []
        self.error = error
        self.engaged = engaged

    def __call__(self, reason):
        self.reasons.append(reason)
        if self.error:
            raise self.error
        return self.engaged


def alerts(*pairs):
    return json.dumps({"alerts": [{"status": s, "labels": {"alertname": n}} for s, n in pairs]}).encode()


def post(lever, body=b"", *, path="/halt", method="POST", authorization=f"Bearer {TOKEN}", length=None):
    said = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body) if length is None else length),
        "wsgi.input": io.BytesIO(body),
    }
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    answer = AlertWebhook(TOKEN, lever)(environ, lambda status, headers: said.append(status))
    return int(said[0][:3]), json.loads(b"".join(answer))


def test_an_alert_that_fires_pulls_the_brake_and_its_name_is_the_reason():
    lever = Lever()

    status, answer = post(lever, alerts(("firing", "SlotgenCostAnomaly"), ("resolved", "SlotgenWorkerDown")))

    assert (status, answer) == (200, {"halted": True, "by": "SET"})
    assert lever.reasons == ["alert SlotgenCostAnomaly"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"alerts": []}', b'{"alerts": [1]}', b"\xff", b"[" * 100_000]
)
def test_whoever_holds_the_token_halts_whatever_the_body_is(body):
    lever = Lever()

    assert post(lever, body)[0] == 200
    assert lever.reasons == ["a webhook without an alert's name"]


@pytest.mark.parametrize("length", ["-1", "many", ""])
def test_a_length_that_is_none_halts_as_well(length):
    lever = Lever()

    assert post(lever, alerts(("firing", "X")), length=length)[0] == 200
    assert len(lever.reasons) == 1


def test_resolved_alerts_change_nothing():
    lever = Lever()

    status, answer = post(lever, alerts(("resolved", "SlotgenCostAnomaly")))

    assert (status, answer["halted"]) == (200, False)
    assert lever.reasons == []


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer t0ke", "Basic t0ken", "Bearer t0ken2", TOKEN]
)
def test_nobody_halts_without_the_token(authorization):
    lever = Lever()

    assert post(lever, alerts(("firing", "X")), authorization=authorization)[0] == 401
    assert lever.reasons == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/halt", 405), ("POST", "/resume", 404), ("DELETE", "/halt", 405), ("GET", "/healthz", 200)],
)
def test_there_is_one_thing_to_ask_for(method, path, status):
    lever = Lever()

    assert post(lever, method=method, path=path)[0] == status
    assert lever.reasons == []


def test_a_redis_that_is_away_makes_the_sender_try_again():
    assert post(Lever(StoreUnavailable("gone")), alerts(("firing", "X")))[0] == 503


def test_a_text_that_is_no_name_goes_nowhere():
    lever = Lever()

    post(lever, alerts(("firing", "a secret, perhaps")))

    assert lever.reasons == ["a webhook without an alert's name"]


def test_a_halt_that_could_not_set_the_key_is_asked_for_again():
    lever = Lever(engaged=Engaged(by="PUBLISH", recorded=False, heard=3, refusal="Redis is full; make room"))

    status, answer = post(lever, alerts(("firing", "X")))

    assert status == 503
    assert answer == {
        "halted": True,
        "by": "PUBLISH",
        "why": "the key is not set: Redis is full; make room",
    }
