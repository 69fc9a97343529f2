"""Makes the body of a 200 answer: a good response object, or one of the ways in which it goes wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.fakes.openai.behaviour import Behaviour, Play
from worker.dev.fake_openai.answer import PROSE, count_tokens, good_text, response_document
from worker.dev.fake_openai.request import Asked

PAGE = b"<!doctype html><title>Gateway</title><p>One moment, please.</p>"
_REFUSAL = "I'm sorry, but I can't help with that."


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
    limit = asked.max_output_tokens
    if play is Play.ANSWER and limit is not None and count_tokens(text) > limit:
        play = Play.TRUNCATED
    document = response_document(asked, text, f"{number:048x}")
    if play in {Play.TRUNCATED, Play.TRUNCATED_REASONING} and limit:
        # A truncated answer used up its limit.
        sent = document["usage"]["input_tokens"]
        document["usage"] |= {"output_tokens": limit, "total_tokens": sent + limit}
    if behaviour.served_tier is not None:
        document["service_tier"] = behaviour.served_tier or None
    if behaviour.moderation is not None and "moderation" in document:
        document["moderation"] = behaviour.moderation or None
    tokens = 0 if play is Play.FAILED else document["usage"]["total_tokens"]
    _spoil(document, play)
    if behaviour.usage is not None:
        document["usage"] = (document["usage"] or {}) | behaviour.usage
    content = json.dumps(document, ensure_ascii=False).encode()
    match play:
        case Play.HTML:
            return Body(PAGE, "text/html", tokens)
        case Play.NULL:
            content = b"null"
        case Play.MALFORMED_JSON:
            content = content[: len(content) // 2]
    return Body(content, "application/json", tokens)


def _text(play: Play, asked: Asked) -> str:
    match play:
        case Play.NOT_JSON:
            return PROSE
        case Play.SCHEMA_INVALID if asked.schema is not None:
            return json.dumps({"value": {"unexpected": True}})
        case Play.MARKDOWN if asked.schema is not None:
            return json.dumps(with_markdown(json.loads(good_text(asked))), ensure_ascii=False)
        case _:
            return good_text(asked)


def with_markdown(value: Any) -> Any:
    """Return `value` with every sentence in it made bold; single words, such as ids, stay."""
    if isinstance(value, dict):
        return {name: with_markdown(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_markdown(each) for each in value]
    return f"**{value}**" if isinstance(value, str) and " " in value else value


def _spoil(document: dict[str, Any], play: Play) -> None:
    """Make of a good response object what `play` says."""
    [message] = document["output"]
    [part] = message["content"]
    match play:
        case Play.TRUNCATED | Play.TRUNCATED_REASONING | Play.CONTENT_FILTER:
            reason = "content_filter" if play is Play.CONTENT_FILTER else "max_output_tokens"
            document |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
            message["status"] = "incomplete"
            part["text"] = part["text"][: len(part["text"]) // 2]
        case Play.REFUSAL:
            message["content"] = [{"type": "refusal", "refusal": _REFUSAL}]
        case Play.MISSING_USAGE:
            document["usage"] = None
        case Play.EMPTY_OUTPUT:
            document["output"] = []
        case Play.FAILED:
            error = {"code": "server_error", "message": "The model could not answer."}
            document |= {"status": "failed", "usage": None, "error": error, "output": []}
    if play is Play.TRUNCATED_REASONING:
        # All of it was spent on reasoning, and there is no message.
        usage, suffix = document["usage"], message["id"].removeprefix("msg_")
        usage["output_tokens_details"]["reasoning_tokens"] = usage["output_tokens"]
        document["output"] = [{"id": f"rs_{suffix}", "type": "reasoning", "summary": []}]
