"""Makes the body of a 200 answer: a good response object, or one of the ways in which it goes wrong."""

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.fakes.openai.behaviour import Behaviour, Play
from worker.dev.fake_openai.content import fill, with_markdown
from worker.dev.fake_openai.request import Asked

_HTML = b"<!doctype html><title>Gateway</title><p>One moment, please.</p>"
_PROSE = "Here is what you asked for. It is a text, and not the JSON that the request wanted."
_REFUSAL = "I'm sorry, but I can't help with that."
_CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
# What these plays change in a completed response.
_STATES: dict[Play, dict[str, Any]] = {
    Play.TRUNCATED: _CUT,
    Play.TRUNCATED_REASONING: _CUT,
    Play.CONTENT_FILTER: {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
    Play.MISSING_USAGE: {"usage": None},
    Play.FAILED: {
        "status": "failed",
        "usage": None,
        "error": {"code": "server_error", "message": "The model could not answer."},
    },
}


@dataclass(frozen=True, slots=True)
class Body:
    """What goes over the wire, and what it costs: tokens of input and output."""

    content: bytes
    content_type: str
    billed_tokens: int


def body_for(behaviour: Behaviour, asked: Asked, number: int) -> Body:
    """Return the 200 body that `behaviour` makes of `asked`; `number` keeps response ids apart."""
    play = behaviour.play
    text = _text(play, asked) if behaviour.says is None else json.dumps({"value": behaviour.says})
    document, tokens = _document(play, asked, text, f"{number:048x}")
    content = json.dumps(document, ensure_ascii=False).encode()
    match play:
        case Play.HTML:
            return Body(_HTML, "text/html", tokens)
        case Play.NULL:
            content = b"null"
        case Play.MALFORMED_JSON:
            content = content[: len(content) // 2]
    return Body(content, "application/json", tokens)


def _text(play: Play, asked: Asked) -> str:
    if play is Play.NOT_JSON or asked.schema is None:
        return _PROSE
    if play is Play.SCHEMA_INVALID:
        return json.dumps({"value": {"unexpected": True}})
    value = fill(asked.schema, asked.input_text)
    return json.dumps(with_markdown(value) if play is Play.MARKDOWN else value, ensure_ascii=False)


def _document(play: Play, asked: Asked, text: str, suffix: str) -> tuple[dict[str, Any], int]:
    """Return the response object as the API sends it, with what it repeats of the request, and its tokens."""
    given, limit = asked.document, asked.max_output_tokens
    if play is Play.ANSWER and limit is not None and _tokens(text) > limit:
        play = Play.TRUNCATED
    sent = _tokens(asked.instructions) + _tokens(asked.input_text)
    # A truncated answer used up its limit; one without a message spent all of it on reasoning.
    cut = play in {Play.TRUNCATED, Play.TRUNCATED_REASONING}
    written = limit if cut and limit else _tokens(text)
    document = {
        "id": f"resp_{suffix}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions or None,
        "max_output_tokens": limit,
        "metadata": given.get("metadata") or {},
        "model": asked.model,
        "output": _output(play, text, suffix),
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
        "usage": {
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": written if play is Play.TRUNCATED_REASONING else 0},
            "total_tokens": sent + written,
        },
    }
    return document | _STATES.get(play, {}), 0 if play is Play.FAILED else sent + written


def _output(play: Play, text: str, suffix: str) -> list[dict[str, Any]]:
    message = {"id": f"msg_{suffix}", "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    match play:
        case Play.TRUNCATED | Play.CONTENT_FILTER:
            part["text"] = text[: len(text) // 2]
            return [message | {"status": "incomplete", "content": [part]}]
        case Play.TRUNCATED_REASONING:
            return [{"id": f"rs_{suffix}", "type": "reasoning", "summary": []}]
        case Play.REFUSAL:
            return [message | {"content": [{"type": "refusal", "refusal": _REFUSAL}]}]
        case Play.EMPTY_OUTPUT | Play.FAILED:
            return []
        case _:
            return [message | {"content": [part]}]


def _tokens(text: str) -> int:
    """Return about how many tokens `text` is: one for four bytes of English."""
    return len(text.encode()) // 4 + 1
