"""Writes the response object of a good answer."""

import json
import time
from typing import Any

from tasks.ports import FLAGS, NOT_JUDGED
from worker.dev.fake_openai.content import fill
from worker.dev.fake_openai.request import Asked

# Words in a job's data that make this stand-in's moderation flag it, or fail.
_PLAYED = {
    (part, what): f"stand-in: {part} {what}" for part in ("input", "output") for what in ("flagged", "error")
}
_CATEGORIES = [each for each in FLAGS if each != NOT_JUDGED]
PROSE = "Here is what you asked for, as a text and not as the JSON that the request wanted."


def good_text(asked: Asked) -> str:
    """Return JSON that fits the schema of `asked`, or prose where it has none."""
    if asked.schema is None:
        return PROSE
    return json.dumps(fill(asked.schema, asked.input_text), ensure_ascii=False)


def response_document(asked: Asked, text: str, suffix: str) -> dict[str, Any]:
    """Return a completed response that says `text`, as the API sends it; `suffix` keeps ids apart."""
    sent = count_tokens(asked.instructions) + count_tokens(asked.input_text)
    written = count_tokens(text)
    message = {"id": f"msg_{suffix}", "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": f"resp_{suffix}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions or None,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": {},
        "model": asked.model,
        **({"moderation": _moderation(asked)} if asked.moderation else {}),
        "output": [message | {"content": [part]}],
        "parallel_tool_calls": True,
        **({"service_tier": asked.tier} if asked.tier else {}),
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sent + written,
        },
    }


def _moderation(asked: Asked) -> dict[str, Any]:
    """Return what the moderation says of the input and the answer: what a job's data ask it to say."""
    return {
        part: moderation_result(str(asked.moderation), flagged=_PLAYED[part, "flagged"] in asked.input_text)
        if _PLAYED[part, "error"] not in asked.input_text
        else {"type": "error", "code": "server_error", "message": "The moderation could not be done."}
        for part in ("input", "output")
    }


def moderation_result(model: str, *, flagged: bool) -> dict[str, Any]:
    """Return a moderation result that finds violence, or nothing."""
    return {
        "type": "moderation_result",
        "model": model,
        "flagged": flagged,
        "categories": dict.fromkeys(_CATEGORIES, False) | {"violence": flagged},
        "category_scores": dict.fromkeys(_CATEGORIES, 0.001) | {"violence": 0.9 if flagged else 0.001},
        "category_applied_input_types": {each: ["text"] for each in _CATEGORIES},
    }


def count_tokens(text: str) -> int:
    """Return about how many tokens `text` is: one for four bytes of English."""
    return len(text.encode()) // 4 + 1
