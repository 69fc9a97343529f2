"""Builds the message that carries a job spec, by Celery's protocol 2, for a plain LPUSH."""

import base64
import json
from datetime import datetime
from typing import Any

DEFERRED_SINCE = "slotgen_deferred_since"


def raw_message(
    spec: Any,
    task_id: str,
    queue: str,
    *,
    expires: datetime | None = None,
    deferred_since: int | None = None,
) -> str:
    """Return the message for `queue`.

    A job that has not begun at `expires` (with its zone) is revoked. `deferred_since` (epoch seconds) marks a
    message that was there before.
    """
    # Not escaped: a spec that came in as UTF-8 must not grow beyond the limit on its way back.
    body = json.dumps([[spec], {}, {}], ensure_ascii=False, separators=(",", ":")).encode()
    headers: dict[str, Any] = {"lang": "py", "task": "slotgen.generate", "id": task_id, "retries": 0}
    if expires is not None:
        headers["expires"] = expires.isoformat()
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers | ({} if deferred_since is None else {DEFERRED_SINCE: deferred_since}),
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": task_id,
                "delivery_info": {"exchange": "", "routing_key": queue},
            },
        }
    )
