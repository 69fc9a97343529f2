"""Builds response objects as the API sends them, without deciding what is in them."""

import time
from typing import Any

from worker.dev.fake_openai.request import Asked


def response_object(
    asked: Asked, suffix: str, output: list[dict[str, Any]], usage: dict[str, Any] | None
) -> dict[str, Any]:
    """Return a completed response: what the API repeats of the request, its defaults, and the two given."""
    given = asked.document
    return {
        "id": f"resp_{suffix}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions or None,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": given.get("metadata") or {},
        "model": asked.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": given.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": "default",
        "store": given.get("store", True),
        "temperature": given.get("temperature", 1.0),
        "text": given.get("text") or {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": given.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": usage,
    }


def message(part: dict[str, Any], suffix: str, *, whole: bool = True) -> dict[str, Any]:
    """Return an output item with one content part; `whole` is false when the answer was cut."""
    return {
        "id": f"msg_{suffix}",
        "type": "message",
        "role": "assistant",
        "status": "completed" if whole else "incomplete",
        "content": [part],
    }


def text_part(text: str) -> dict[str, Any]:
    """Return a content part with the answer's text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def usage_of(sent: int, written: int, reasoned: int) -> dict[str, Any]:
    """Return the usage member; all in tokens, `written` includes `reasoned`."""
    return {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reasoned},
        "total_tokens": sent + written,
    }
