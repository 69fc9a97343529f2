"""What may be handed to a worker, and what goes to the dead-letter store with which words."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.generate.intake import CUT_BYTES, CUT_MARK, MessageLimits, Rejected, RejectReason, inspect
from tests.builders import a_job, a_message, a_spec

LIMITS = MessageLimits()


def rejected(raw: bytes, limits: MessageLimits = LIMITS) -> Rejected:
    with pytest.raises(Rejected) as refusal:
        inspect(raw, limits)
    return refusal.value


def encode(message: object) -> bytes:
    return json.dumps(message).encode()


def test_lets_a_sound_message_pass_unchanged():
    message = a_message(a_spec())

    assert inspect(encode(message), LIMITS).message == message


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello", b"\xff\xfe", b"[1]", b"null", b"{}", b'{"body": 1}', b"[" * 100_000, b'{"a":NaN}'],
)
def test_rejects_what_is_no_task_message(raw):
    assert rejected(raw).reason is RejectReason.NOT_A_TASK_MESSAGE


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("headers", "id"), None),
        (("headers", "id"), 5),
        (("headers", "task"), "os.system"),
        (("headers", "timelimit"), "soon"),
        (("headers", "eta"), 5),
        (("headers", "eta"), "2030-01-01T00:00:00+00:00"),
        (("headers", "retries"), "x"),
        (("properties", "delivery_tag"), None),
        (("properties", "delivery_info"), None),
        (("properties", "body_encoding"), "zip"),
        (("content-type",), "application/x-python-serialize"),
        (("content-encoding",), "klingon"),
    ],
)
def test_rejects_envelopes_that_would_stop_a_worker(path, value):
    message = a_message(a_spec())
    target = message
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value

    assert rejected(encode(message)).reason is RejectReason.NOT_A_TASK_MESSAGE


def test_knows_whom_to_tell_when_the_body_is_bad():
    message = a_message(body=b"not json", task_id="task-7")

    refusal = rejected(encode(message))

    assert (refusal.reason, refusal.task_id) == (RejectReason.BODY_NOT_JSON, "task-7")


@pytest.mark.parametrize("body", ["%%%", "é", "AAA"])
def test_rejects_a_body_that_is_not_base64(body):
    assert (
        rejected(encode(a_message(a_spec(), body=b"") | {"body": body})).reason is RejectReason.BODY_NOT_JSON
    )


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        [[], {}, {}],
        [[a_spec(), 1], {}, {}],
        [[a_spec()], {"spec": 1}, {}],
        [[a_spec()], {}],
        [[a_spec()], {}, {"chain": [{"task": "x"}]}],
        [[a_spec()], {}, {"callbacks": [{"task": "x"}]}],
        [[a_spec()], None, {}],
        [[a_spec()], {}, {"get": None}],
    ],
)
def test_rejects_a_call_with_the_wrong_arguments(body):
    refusal = rejected(encode(a_message(body=json.dumps(body).encode())))

    assert refusal.reason is RejectReason.WRONG_ARGUMENTS
    assert "send_task" in refusal.problem


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (7, ["the document"]),
        (a_spec(a_job(kind="poem")), ["jobs[0].kind", "statutory"]),
        (a_spec(a_job("same"), a_job("same")), ["jobs[0].jobId", "2 jobs"]),
        (a_spec(a_job(jobId="")), ["jobs[0].jobId"]),
        (a_spec(jobs=[]), ["jobs"]),
        (a_spec(jobs=[a_job(f"j{each}") for each in range(101)]), ["jobs", "100"]),
        (a_spec(metadata={"allowAI": True}), ["metadata", "requiresReview"]),
        (a_spec(metadata={"requiresReview": True, "allowAI": 1}), ["metadata.allowAI"]),
        (a_spec(extra=1), ["extra"]),
    ],
)
def test_rejects_a_spec_that_breaks_its_schema_and_names_path_and_remedy(spec, words):
    refusal = rejected(encode(a_message(spec)))

    assert refusal.reason is RejectReason.SPEC_INVALID
    for word in words:
        assert word in refusal.problem


def test_rejects_a_body_over_the_limit_and_accepts_one_at_it():
    body = json.dumps([[a_spec()], {}, {}]).encode()
    at_the_limit = body + b" " * (5000 - len(body))

    assert inspect(encode(a_message(body=at_the_limit)), MessageLimits(max_message_bytes=5000))
    refusal = rejected(encode(a_message(body=at_the_limit + b" ")), MessageLimits(max_message_bytes=5000))

    assert refusal.reason is RejectReason.TOO_LARGE
    assert "5001 bytes" in refusal.problem


def test_rejects_a_huge_message_unread():
    assert rejected(b"x" * 3_000_000).reason is RejectReason.TOO_LARGE


@pytest.mark.parametrize("deepest", [28, 29, 400])
def test_counts_the_depth_of_the_spec(deepest):
    # The spec, `jobs`, the job and `input` are four levels; these hang below.
    nested: object = 1
    for _ in range(deepest):
        nested = [nested]
    raw = encode(a_message(a_spec(a_job(input={"deep": nested})), task_id="task-1"))

    if deepest + 4 <= LIMITS.max_depth:
        assert inspect(raw, LIMITS)
    else:
        refusal = rejected(raw)
        assert "deeper than" in refusal.problem
        assert refusal.task_id == "task-1"


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_get_rejected(raw):
    with pytest.raises(Rejected):
        inspect(raw, LIMITS)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    )
)
def test_no_json_does_more_than_get_rejected(document):
    with pytest.raises(Rejected):
        inspect(encode(document), LIMITS)
    with pytest.raises(Rejected):
        inspect(encode(a_message(document)), LIMITS)


def test_the_words_never_carry_content():
    secret = "pupil-secret-4711"
    broken = a_spec(a_job(input={"topic": secret}, slotId=secret * 20), metadata={secret: secret})

    assert secret not in rejected(encode(a_message(broken))).problem


def test_accepts_the_smallest_message_that_celery_accepts():
    body = base64.b64encode(json.dumps([[a_spec()], {}, None]).encode()).decode()
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "slotgen.generate", "id": "t-1"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "d-1",
            "delivery_info": {"exchange": "", "routing_key": "slotgen"},
        },
    }

    assert inspect(encode(message), LIMITS).message == message


def protocol_1(spec: object, task_id: str = "task-1", **call: object) -> dict[str, object]:
    """Return what Celery 3 puts on the queue."""
    body = {
        "task": "slotgen.generate", "id": task_id, "args": [spec], "kwargs": {}, "retries": 0, "eta": None,
        "expires": None, "utc": True, "callbacks": None, "errbacks": None, "timelimit": [None, None],
        "taskset": None, "chord": None,
    } | call  # fmt: skip
    message = a_message(body=json.dumps(body).encode()) | {"headers": {}}
    message["properties"]["correlation_id"] = task_id
    return message


@pytest.mark.parametrize("headers", [{}, None, {"slotgen_deaths": 2, "traceparent": "00-1-2-01"}])
def test_a_message_of_protocol_1_is_let_pass_in_the_form_of_protocol_2(headers):
    expires = "2030-01-01T00:00:00+00:00"
    sent = protocol_1(a_spec(), expires=expires, taskset="group-1", kwargs=None) | {"headers": headers}

    message = inspect(encode(sent), LIMITS).message

    assert message["headers"] == (headers or {}) | {
        "task": "slotgen.generate", "id": "task-1", "retries": 0, "eta": None, "expires": expires,
        "timelimit": [None, None], "group": "group-1",
    }  # fmt: skip
    assert json.loads(base64.b64decode(message["body"])) == [[a_spec()], {}, {}]
    assert message["properties"] == sent["properties"]


@pytest.mark.parametrize(
    ("sent", "reason", "words"),
    [
        (protocol_1({"version": "v2"}), RejectReason.SPEC_INVALID, "version"),
        (protocol_1(a_spec(), task="celery.ping"), RejectReason.NOT_A_TASK_MESSAGE, "headers.task"),
        (protocol_1(a_spec(), eta="2030-01-01T00:00:00"), RejectReason.NOT_A_TASK_MESSAGE, "headers.eta"),
        (protocol_1(a_spec(), args=7), RejectReason.WRONG_ARGUMENTS, "send_task"),
        (protocol_1(a_spec(), callbacks=[{"task": "x"}]), RejectReason.WRONG_ARGUMENTS, "linked"),
        (
            protocol_1(a_spec(), utc=False, expires="2030-01-01T00:00:00"),
            RejectReason.NOT_A_TASK_MESSAGE,
            "zone",
        ),
    ],
)
def test_a_message_of_protocol_1_is_refused_as_any_other_and_its_producer_told(sent, reason, words):
    refusal = rejected(encode(sent))

    assert (refusal.reason, refusal.task_id) == (reason, "task-1")
    assert words in refusal.problem


def test_a_local_time_with_its_zone_is_one_that_can_be_kept():
    sent = protocol_1(a_spec(), utc=False, expires="2030-01-01T00:00:00+02:00")

    assert inspect(encode(sent), LIMITS).message["headers"]["expires"] == "2030-01-01T00:00:00+02:00"


@pytest.mark.parametrize("task_id", ["x" * 257, "x" * 5000, "line\nbreak" * 100, "é😀" * 300, "\0" * 300])
def test_the_producer_of_a_task_id_that_is_too_long_is_known(task_id):
    refusal = rejected(encode(a_message(a_spec(), task_id=task_id)))

    assert refusal.task_id == task_id
    assert "headers.id" in refusal.problem


@pytest.mark.parametrize("headers", [None, {}, [], {"id": 5}, {"id": ""}, {"task": "slotgen.generate"}])
def test_the_correlation_id_is_the_task_id_where_the_headers_have_none(headers):
    message = a_message(a_spec()) | {"headers": headers}
    message["properties"]["correlation_id"] = "task-9"

    assert rejected(encode(message)).task_id == "task-9"


def test_the_producer_of_a_message_whose_names_are_broken_is_known_by_what_is_whole():
    raw = (
        encode(protocol_1(a_spec(), "task-8"))
        .replace(b'"properties"', b'"hperties"')
        .replace(b'"body": "', b'"body": "!')
    )

    refusal = rejected(raw)

    assert (refusal.reason, refusal.task_id) == (RejectReason.NOT_A_TASK_MESSAGE, "task-8")


@pytest.mark.parametrize("blank", ["", " "])
def test_the_producer_of_a_message_that_cannot_be_read_is_known_by_its_end(blank):
    # More than is read for its sake alone: what is found stands at the end.
    message = a_message(body=b"x" * 900_000, task_id="task-8")
    message["headers"] |= {"argsrepr": '{"correlation_id": "not-this"}', "x": float("nan")}
    message["properties"] |= {"correlation_id": "task-8"}
    raw = json.dumps(message, separators=(",", f":{blank}")).encode()

    assert rejected(raw).task_id == "task-8"
    assert rejected(raw).reason is RejectReason.TOO_LARGE
    assert rejected(raw.replace(b"eHh4", b"")).reason is RejectReason.NOT_A_TASK_MESSAGE
    assert rejected(raw.replace(b"eHh4", b"")).task_id == "task-8"


def test_who_waits_for_a_task_that_would_follow_is_known():
    inner = [
        {"task": "b", "options": {"task_id": "inner", "reply_to": "x"}},
        {"options": {"task_id": 5}},
        {"options": 1},
    ]
    followers = [{"task": "a", "options": {"task_id": "next"}, "kwargs": {"tasks": inner}}]
    body = [[a_spec()], {}, {"callbacks": None, "errbacks": None, "chain": followers, "chord": None}]

    refusal = rejected(encode(a_message(body=json.dumps(body).encode())))

    assert set(refusal.followers) == {"next", "inner"}
    assert "chain" in refusal.problem
    assert "send_task" in refusal.problem


@pytest.mark.parametrize(("length", "told"), [(257, True), (400_000, True), (700_000, False)])
def test_whoever_waits_under_a_long_id_is_told_unless_it_is_beyond_all_that_is_read(length, told):
    task_id = "x" * length
    message = a_message(a_spec())
    message["headers"]["id"] = message["properties"]["correlation_id"] = task_id
    raw = encode(message)
    if len(raw) > LIMITS.read_bytes:
        raw = f"{CUT_MARK}{len(raw)};".encode() + raw[:CUT_BYTES] + raw[-CUT_BYTES:]

    assert rejected(raw).task_id == (task_id if told else None)
