"""Whoever holds the token may halt the fleet; nobody can release it, and nobody else can halt it."""

from __future__ import annotations

import io
import json
import socket
from contextlib import closing, suppress

import pytest

from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import Engaged
from telemetry import listen
from telemetry.exporter import Bounds
from tests.waiting import eventually
from worker.web.alert_webhook import MAX_REQUEST_BYTES, AlertWebhook

TOKEN = "Jk3vR9sQ2xW7pLm5Zt8Yb1"
BY_SET = Engaged(by="SET", recorded=True)


class Lever:
    def __init__(self, error=None, engaged=BY_SET):
        self.reasons = []
        self.recorded = 0
        self.error = error
        self.engaged = engaged

    def __call__(self, reason, record):
        self.reasons.append(reason)
        self.recorded += record
        if self.error:
            raise self.error
        return self.engaged


def alerts(*pairs):
    return json.dumps({"alerts": [{"status": s, "labels": {"alertname": n}} for s, n in pairs]}).encode()


def post(
    lever,
    body=b"",
    *,
    path="/halt",
    method="POST",
    authorization=f"Bearer {TOKEN}",
    length=None,
    webhook=None,
):
    said = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body) if length is None else length),
        "wsgi.input": io.BytesIO(body),
    }
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    answer = (webhook or AlertWebhook(TOKEN, lever))(environ, lambda status, headers: said.append(status))
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


@pytest.mark.parametrize("group", [{"status": "firing"}, {"status": "resolved", "truncatedAlerts": 3}])
def test_a_group_that_fires_halts_though_the_alerts_that_are_listed_do_not(group):
    lever = Lever()

    status, answer = post(lever, json.dumps(json.loads(alerts(("resolved", "A"))) | group).encode())

    assert (status, answer["halted"]) == (200, True)


def test_resolved_alerts_change_nothing():
    lever = Lever()

    status, answer = post(lever, alerts(("resolved", "SlotgenCostAnomaly")))

    assert (status, answer["halted"]) == (200, False)
    assert lever.reasons == []


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}2",
        TOKEN,
        f"Bearer {TOKEN[:-1]}é",
        "Bearer \xff\x00",
        "Bearer ☃",
    ],
)
def test_nobody_halts_without_the_token(authorization):
    lever = Lever()

    assert post(lever, alerts(("firing", "X")), authorization=authorization)[0] == 401
    assert lever.reasons == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/halt"), ("PATCH", "/halt"), ("POST", "/halt/"), ("POST", "http://slotgen:9109/halt")],
)
def test_whoever_holds_the_token_halts_in_whichever_way_it_is_asked(method, path):
    lever = Lever()

    assert post(lever, method=method, path=path)[0] == 200
    assert len(lever.reasons) == 1


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


def test_a_token_may_have_any_characters():
    lever, token = Lever(), "Geheimnis-für-Älpler-und-Übermütige"
    # As WSGI hands over what came as UTF-8.
    sent = f"Bearer {token}".encode().decode("latin-1")

    assert post(lever, authorization=sent, webhook=AlertWebhook(token, lever))[0] == 200


def test_a_flood_halts_every_time_and_is_recorded_ten_times():
    lever = Lever()
    webhook = AlertWebhook(TOKEN, lever)

    statuses = {post(lever, alerts(("firing", f"A{n}")), webhook=webhook)[0] for n in range(200)}

    assert statuses == {200}
    assert (len(lever.reasons), lever.recorded) == (200, 10)


def test_any_number_of_wrong_tokens_is_logged_ten_times_and_keeps_nobody_out(caplog):
    lever = Lever()
    webhook = AlertWebhook(TOKEN, lever)

    statuses = {post(lever, authorization="Bearer x", webhook=webhook)[0] for _ in range(200)}

    assert statuses == {401}
    assert [each.message for each in caplog.records] == ["webhook_refused"] * 10
    assert post(lever, webhook=webhook)[0] == 200


@pytest.mark.parametrize("name", ["A\nB", "\x1b[31m", "<b>", "\u202eA", "شلا", "A" * 10_000, 7, None, ["A"]])
def test_what_a_request_says_reaches_the_reason_as_short_plain_words_only(name):
    lever = Lever()
    document = {"alerts": [{"status": "firing", "labels": {"alertname": name}}]}

    assert post(lever, json.dumps(document).encode())[0] == 200
    (reason,) = lever.reasons
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) <= 300


class TestOverASocket:
    """What the application never sees in one piece: bodies that lie, stall and never end."""

    HEAD = b"POST /halt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"

    @pytest.mark.parametrize(
        "rest",
        [
            b"\r\n",
            b"Content-Length: 100000\r\n\r\n{",
            b"Content-Length: 99999999999999999999\r\n\r\n{}",
            b"Content-Length: -7\r\n\r\n{}",
            b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n{}",
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
            b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\nnonsense",
            b"Content-Type: image/png\r\nContent-Length: 4\r\n\r\n\x89PNG",
            b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
            b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
            b'Content-Length: 20\r\n\r\n{"alerts": [{}, {}]}',
        ],
    )
    def test_whoever_holds_the_token_halts_however_it_is_sent(self, rest):
        lever = Lever()
        bounds = Bounds(silent_seconds=0.3, request_bytes=MAX_REQUEST_BYTES)
        with closing(listen(AlertWebhook(TOKEN, lever), host="127.0.0.1", port=0, bounds=bounds)) as server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
                with suppress(ConnectionError):
                    client.sendall(self.HEAD + rest)
                with suppress(ConnectionError):
                    assert client.recv(12) == b"HTTP/1.0 200"
            eventually(lambda: lever.reasons)

    def test_a_body_that_drips_halts_when_its_time_is_over(self):
        lever = Lever()
        bounds = Bounds(seconds=0.5, request_bytes=MAX_REQUEST_BYTES)
        with (
            closing(listen(AlertWebhook(TOKEN, lever), host="127.0.0.1", port=0, bounds=bounds)) as server,
            socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
        ):
            client.sendall(self.HEAD + b"Content-Length: 9999999\r\n\r\n")

            def halted():
                with suppress(ConnectionError):
                    client.sendall(b" ")
                return lever.reasons

            eventually(halted)
