"""Decides whether the bytes taken off the queue are a message that a worker can safely be given."""

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from schemas import UnacceptableJson, check_depth, describe, parse_json, violations
from tasks.errors import InvalidMessage
from tasks.generate.spec import refuse_invalid

# Base64 and Celery's own headers around the spec: four thirds and a few kilobytes.
_ENVELOPE_BYTES = 65_536
_ENVELOPE_DEPTH = 32
_LENIENT_BYTES = 1_048_576
# Anything deeper is refused for its depth, or because it has no task.
_CALL_DEPTH = 2 * _ENVELOPE_DEPTH
# What is read of a message that is too large to leave the store: the mark, its size, a semicolon, and this
# many of its first and last bytes.
CUT_MARK, CUT_BYTES = "slotgen-cut:", _ENVELOPE_BYTES
_CUT = re.compile(rb"slotgen-cut:(\d{1,15});")
_TASK = "slotgen.generate"
_EMBED = frozenset({"callbacks", "errbacks", "chain", "chord"})
_CANVAS = (
    "the task can neither be linked nor stand in a chain or a chord, since this worker sends no tasks on: "
    'send_task("slotgen.generate", args=[spec], queue="slotgen") and go on from its results'
)
# What protocol 1 has in its body, and protocol 2 in its headers.
_CALL_HEADERS = ("task", "id", "retries", "eta", "expires", "timelimit")
_ZONELESS = re.compile(r"[^T]*T[^Z+-]*")
# It does not match inside another string, where its quotes would be escaped.
_CORRELATION_ID = re.compile(rb'"correlation_id": ?("(?:[^"\\]|\\.)+")')


class RejectReason(StrEnum):
    """Why a message went to the dead-letter store; the metric's label."""

    TOO_LARGE = "too_large"
    NOT_A_TASK_MESSAGE = "not_a_task_message"
    BODY_NOT_JSON = "body_not_json"
    WRONG_ARGUMENTS = "wrong_arguments"
    SPEC_INVALID = "spec_invalid"
    KILLED_ITS_WORKERS = "killed_its_workers"


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """How large (bytes of the JSON body) and how deep (levels of the spec) a message may be."""

    max_message_bytes: int = 262_144
    max_depth: int = 32

    @property
    def most_bytes(self) -> int:
        """The message size above which the body must exceed the limit."""
        return 2 * self.max_message_bytes + _ENVELOPE_BYTES

    @property
    def read_bytes(self) -> int:
        """The message size above which only its two ends are read, even to find its task id."""
        return max(self.most_bytes, _LENIENT_BYTES)


class Rejected(Exception):  # noqa: N818 - a verdict on its way up
    """The message may not be delivered.

    `task_id` is that of the task, wherever the message has it; `followers` are the tasks that a canvas would
    have sent after it: a producer may be waiting for one of those.
    """

    def __init__(
        self, reason: RejectReason, problem: str, task_id: str | None = None, followers: Sequence[str] = ()
    ) -> None:
        super().__init__(problem)
        self.reason = reason
        self.problem = problem
        self.task_id = task_id
        self.followers = tuple(followers)


class Sound(NamedTuple):
    """A message in protocol 2 that a worker may be given; its job spec was read from `body`, JSON."""

    message: dict[str, Any]
    spec: dict[str, Any]
    body: bytes


def inspect(raw: bytes, limits: MessageLimits) -> Sound:
    """Return the message in `raw` if everything that a worker reads of it is sound.

    Raises:
        Rejected: the message would harm the worker, or is not a job spec v1.

    """
    # Refused unread, to bound the work.
    size_bytes, _ = size_and_head(raw)
    if size_bytes > limits.most_bytes:
        raise Rejected(RejectReason.TOO_LARGE, _too_large(size_bytes, limits), _id_in_the_unreadable(raw))
    message = _envelope(raw, limits)
    task_id = message["headers"]["id"]
    body = _body(message, limits, task_id)
    spec = _spec(_parsed(body, limits, task_id), task_id)
    try:
        check_depth(spec, limits.max_depth)
        refuse_invalid(spec)
    except (UnacceptableJson, InvalidMessage) as refusal:
        raise Rejected(RejectReason.SPEC_INVALID, str(refusal), task_id) from None
    return Sound(message, spec, body)


def readable(raw: bytes, limits: MessageLimits) -> Any:
    """Return the job spec in a message, or else its whole body; None if it is not readable JSON."""
    try:
        body = _parsed(_body(_envelope(raw, limits), limits, ""), limits, "")
    except Rejected:
        return None
    match body:
        case [[spec], *_]:
            return spec
    return body


def size_and_head(raw: bytes) -> tuple[int, bytes]:
    """Return the size of the message that `raw` is, or was cut from, and its beginning (or the whole)."""
    cut = _CUT.match(raw)
    return (int(cut[1]), raw[cut.end() : cut.end() + CUT_BYTES]) if cut else (len(raw), raw)


def task_id_of(raw: bytes) -> str | None:
    """Return the id of the task in `raw`, in either protocol; None if it has none."""
    try:
        message = parse_json(raw, max_bytes=len(raw), max_depth=_ENVELOPE_DEPTH)
    except UnacceptableJson:
        return _id_in_the_unreadable(raw)
    return _task_id(message) or _task_id({"headers": _call(message, len(raw))})


def is_ours(raw: bytes) -> bool:
    """Whether the message is for slotgen's task, wherever it was found."""
    try:
        message = parse_json(raw, max_bytes=len(raw), max_depth=_ENVELOPE_DEPTH)
    except UnacceptableJson:
        return False
    headers = message.get("headers") if isinstance(message, dict) else None
    named = headers if isinstance(headers, dict) and "task" in headers else _call(message, len(raw))
    return named is not None and named["task"] == _TASK


def _envelope(raw: bytes, limits: MessageLimits) -> dict[str, Any]:
    try:
        message = parse_json(raw, max_bytes=len(raw), max_depth=_ENVELOPE_DEPTH)
    except UnacceptableJson as refusal:
        problem = f"the message {refusal}"
        raise Rejected(RejectReason.NOT_A_TASK_MESSAGE, problem, _id_in_the_unreadable(raw)) from None
    call = _call(message, limits.max_message_bytes)
    if call is not None and isinstance(message.get("headers") or {}, dict):
        message = _protocol_2(message, call)
    task_id = _task_id(message) or _task_id({"headers": call})
    found = violations("message.v2", message)
    if found and not task_id:
        # The property names themselves may be what is broken.
        task_id = _id_in_the_unreadable(raw)
    if found:
        raise Rejected(RejectReason.NOT_A_TASK_MESSAGE, describe(found), task_id)
    headers = message["headers"]
    if headers.get("eta") is not None:
        # Celery would hold it in one worker's memory until then, outside the prefetch limit.
        problem = "headers.eta: delayed delivery is not offered; send the job when it is due"
        raise Rejected(RejectReason.NOT_A_TASK_MESSAGE, problem, task_id)
    if call is not None and call.get("utc") is False and _ZONELESS.fullmatch(headers.get("expires") or ""):
        problem = "expires: is a local time without its zone; send the zone, or UTC"
        raise Rejected(RejectReason.NOT_A_TASK_MESSAGE, problem, task_id)
    return dict(message)


def _call(message: Any, max_bytes: int) -> dict[str, Any] | None:
    """Return the body of a message of protocol 1 (Celery 3, `task_protocol=1`, gocelery): it has the task.

    None for any other, and for one whose body cannot be read.
    """
    if not isinstance(message, dict) or not isinstance(message.get("body"), str):
        return None
    headers = message.get("headers")
    if isinstance(headers, dict) and "task" in headers:
        return None
    try:
        body = parse_json(
            base64.b64decode(message["body"], validate=True),
            max_bytes=max_bytes,
            max_depth=_CALL_DEPTH,
        )
    except ValueError:
        return None
    return body if isinstance(body, dict) and "task" in body else None


def _protocol_2(message: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """Return a protocol 1 message rewritten as protocol 2."""
    headers = {name: call[name] for name in _CALL_HEADERS if name in call}
    embed = {name: call[name] for name in _EMBED if call.get(name)}
    arguments = [call.get("args") or [], call.get("kwargs") or {}, embed]
    body = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    return message | {
        "headers": (message.get("headers") or {}) | headers | {"group": call.get("taskset")},
        "body": base64.b64encode(body.encode()).decode(),
    }


def _task_id(message: Any) -> str | None:
    """Return the id under which its producer waits, of any length; Celery keeps it in two places."""
    if not isinstance(message, dict):
        return None
    for part, name in (("headers", "id"), ("properties", "correlation_id")):
        fields = message.get(part)
        task_id = fields.get(name) if isinstance(fields, dict) else None
        if isinstance(task_id, str) and task_id:
            return task_id
    return None


def _id_in_the_unreadable(raw: bytes) -> str | None:
    """Return the task id of a message that is not our JSON: too large, cut, or with a number like NaN."""
    found: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        if len(raw) <= _LENIENT_BYTES:
            found = _task_id(json.loads(raw))
    # kombu writes the properties last.
    ends = _CORRELATION_ID.findall(raw[-_ENVELOPE_BYTES:])
    try:
        return found.encode().decode() if found else str(parse_json(ends[-1], max_bytes=_ENVELOPE_BYTES))
    except (IndexError, UnicodeEncodeError, UnacceptableJson):
        return None


def _body(message: dict[str, Any], limits: MessageLimits, task_id: str) -> bytes:
    try:
        body = base64.b64decode(message["body"], validate=True)
    except (binascii.Error, ValueError):
        raise Rejected(
            RejectReason.BODY_NOT_JSON,
            "body: is not base64; encode the JSON body and say so in properties.body_encoding",
            task_id,
        ) from None
    if len(body) > limits.max_message_bytes:
        raise Rejected(RejectReason.TOO_LARGE, _too_large(len(body), limits), task_id)
    return body


def _parsed(body: bytes, limits: MessageLimits, task_id: str) -> Any:
    try:
        # The spec's own depth is checked later, so that the error counts levels from the spec.
        return parse_json(
            body, max_bytes=limits.max_message_bytes, max_depth=limits.max_depth + _ENVELOPE_DEPTH
        )
    except UnacceptableJson as refusal:
        raise Rejected(RejectReason.BODY_NOT_JSON, f"the body {refusal}", task_id) from None


def _spec(body: Any, task_id: str) -> Any:
    match body:
        case [[spec], dict() as kwargs, dict() | None as embed] if not kwargs and _embed_sound(embed or {}):
            return spec
        case [_, _, dict() as embed] if any(embed.get(name) for name in _EMBED):
            raise Rejected(RejectReason.WRONG_ARGUMENTS, _CANVAS, task_id, tuple(_task_ids(embed)))
    raise Rejected(
        RejectReason.WRONG_ARGUMENTS,
        "the task takes one argument, the job spec: "
        'send_task("slotgen.generate", args=[spec], queue="slotgen")',
        task_id,
    )


def _task_ids(embed: Any) -> Iterator[str]:
    """Yield the ids of all tasks in the signatures of a canvas."""
    waiting = [embed]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            options = node.get("options")
            task_id = options.get("task_id") if isinstance(options, dict) else None
            if isinstance(task_id, str) and task_id:
                yield task_id
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _embed_sound(embed: dict[str, Any]) -> bool:
    """Whether nothing is attached to the task that this worker would have to send on."""
    # Callbacks, chains and chords make the worker publish messages of the producer's choosing: that is not
    # our job, and malformed ones break the acknowledgement of a finished job. Any other name would overwrite
    # an attribute of Celery's request.
    return not any(embed.values()) and embed.keys() <= _EMBED


def _too_large(size_bytes: int, limits: MessageLimits) -> str:
    return (
        f"the message has {size_bytes} bytes and the limit is {limits.max_message_bytes}; "
        "send fewer jobs in one spec or less input for each (SLOTGEN_MAX_MESSAGE_BYTES sets the limit)"
    )
