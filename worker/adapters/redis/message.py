"""Builds the message that carries a job spec, by Celery's protocol 2, and marks one that goes back."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

# The marks that a message may get on its way back, among its headers: when it was first put off (epoch
# seconds), and how many workers have died with it.
DEFERRED_SINCE = "slotgen_deferred_since"
DEATHS = "slotgen_deaths"


def marked(raw: bytes, **marks: int) -> bytes:
    """Return the message `raw` as it came, with `marks` in its headers. Raises ValueError if it is none.

    Every way back to a queue goes through here or leaves the bytes alone: nothing that a producer, its
    tracing or Celery put into a message is lost on it.
    """
    message = _opened(raw)
    message["headers"] |= marks
    # Not escaped: a message that came in as UTF-8 must not grow beyond the limit.
    return json.dumps(message, ensure_ascii=False).encode(errors="surrogateescape")


def deaths(raw: bytes) -> int:
    """Return how many workers have died holding the message. Raises ValueError if it is no message."""
    known = _opened(raw)["headers"].get(DEATHS)
    # Its sender may have written that.
    return known if isinstance(known, int) and known > 0 else 0


def _opened(raw: bytes) -> dict[str, Any]:
    try:
        message = json.loads(raw.decode(errors="surrogateescape"))
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(message, dict) or not isinstance(message.get("headers") or {}, dict):
        raise ValueError("no headers")  # noqa: TRY004 - as for what is no JSON
    # Protocol 1 may have none.
    return message | {"headers": message.get("headers") or {}}


def raw_message(
    spec: Any,
    task_id: str,
    queue: str,
    *,
    expires: datetime | None = None,
    more_headers: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the message for `queue`; a job that has not begun at `expires` (with its zone) is revoked."""
    # Not escaped, so that the limit counts the bytes of UTF-8.
    body = json.dumps([[spec], {}, {}], ensure_ascii=False, separators=(",", ":")).encode()
    headers: dict[str, Any] = {"lang": "py", "task": "slotgen.generate", "id": task_id, "retries": 0}
    headers |= more_headers
    if expires is not None:
        headers["expires"] = expires.isoformat()
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": task_id,
                "delivery_info": {"exchange": "", "routing_key": queue},
            },
        }
    )
