"""Decides whether the bytes taken off the queue are a message that a worker may be given."""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas import UnacceptableJson, check_depth, describe, parse_json, violations
from tasks.errors import InvalidMessage
from tasks.generate.spec import refuse_invalid

# Base64 and Celery's own headers around the spec: four thirds and a few kilobytes.
_ENVELOPE_BYTES = 65_536
_ENVELOPE_DEPTH = 32
_EMBED = frozenset({"callbacks", "errbacks", "chain", "chord"})


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


class Rejected(Exception):  # noqa: N818 - a verdict on its way up
    """The message may not be delivered; `task_id` is known when its headers could be read."""

    def __init__(self, reason: RejectReason, problem: str, task_id: str | None = None) -> None:
        super().__init__(problem)
        self.reason = reason
        self.problem = problem
        self.task_id = task_id


def inspect(raw: bytes, limits: MessageLimits) -> dict[str, Any]:
    """Return the Celery message in `raw`, once everything a worker reads of it is proven sound.

    Raises:
        Rejected: the message would harm the worker, or is not a job spec v1.

    """
    # Beyond this no body under the limit can hide; it is refused unread, to bound the work.
    if len(raw) > 2 * limits.max_message_bytes + _ENVELOPE_BYTES:
        raise Rejected(RejectReason.TOO_LARGE, _too_large(len(raw), limits))
    message = _envelope(raw)
    task_id = message["headers"]["id"]
    spec = _spec(_body(message, limits, task_id), task_id)
    try:
        check_depth(spec, limits.max_depth)
        refuse_invalid(spec)
    except (UnacceptableJson, InvalidMessage) as refusal:
        raise Rejected(RejectReason.SPEC_INVALID, str(refusal), task_id) from None
    return message


def _envelope(raw: bytes) -> dict[str, Any]:
    try:
        message = parse_json(raw, max_bytes=len(raw), max_depth=_ENVELOPE_DEPTH)
    except UnacceptableJson as refusal:
        raise Rejected(RejectReason.NOT_A_TASK_MESSAGE, f"the message {refusal}") from None
    found = violations("message.v2", message)
    if found:
        raise Rejected(RejectReason.NOT_A_TASK_MESSAGE, describe(found), _task_id(message))
    if message["headers"].get("eta") is not None:
        # Celery would hold it in one worker's memory until then, beyond every limit of prefetching.
        problem = "headers.eta: delayed delivery is not offered; send the job when it is due"
        raise Rejected(RejectReason.NOT_A_TASK_MESSAGE, problem, _task_id(message))
    return dict(message)


def _task_id(message: Any) -> str | None:
    headers = message.get("headers") if isinstance(message, dict) else None
    task_id = headers.get("id") if isinstance(headers, dict) else None
    return task_id if isinstance(task_id, str) and 0 < len(task_id) <= 256 else None  # noqa: PLR2004 - the schema's limit


def _body(message: dict[str, Any], limits: MessageLimits, task_id: str) -> Any:
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
    try:
        # The spec's own depth is checked later; its message should count from the spec.
        return parse_json(
            body, max_bytes=limits.max_message_bytes, max_depth=limits.max_depth + _ENVELOPE_DEPTH
        )
    except UnacceptableJson as refusal:
        raise Rejected(RejectReason.BODY_NOT_JSON, f"the body {refusal}", task_id) from None


def _spec(body: Any, task_id: str) -> Any:
    match body:
        case [[spec], dict() as kwargs, dict() | None as embed] if not kwargs and _embed_sound(embed or {}):
            return spec
    raise Rejected(
        RejectReason.WRONG_ARGUMENTS,
        "the task takes one argument, the job spec: "
        'send_task("slotgen.generate", args=[spec], queue="slotgen")',
        task_id,
    )


def _embed_sound(embed: dict[str, Any]) -> bool:
    """Whether nothing hangs on the task that this worker would have to send on."""
    # Callbacks, chains and chords make the worker publish messages that a producer chose: not our trade,
    # and malformed ones break the acknowledgement of a finished job. Any other name would overwrite an
    # attribute of Celery's request.
    return not any(embed.values()) and embed.keys() <= _EMBED


def _too_large(size_bytes: int, limits: MessageLimits) -> str:
    return (
        f"the message has {size_bytes} bytes and the limit is {limits.max_message_bytes}; "
        "send fewer jobs in one spec or less input for each (SLOTGEN_MAX_MESSAGE_BYTES sets the limit)"
    )
