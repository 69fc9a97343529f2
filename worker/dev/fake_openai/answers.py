"""Makes the body of a 200 answer: a good response object, or one of the ways in which it goes wrong."""

import json
from dataclasses import dataclass
from typing import Any

from worker.dev.fake_openai.behaviour import Behaviour, Play
from worker.dev.fake_openai.content import fill, with_markdown
from worker.dev.fake_openai.request import Asked
from worker.dev.fake_openai.response import message, response_object, text_part, usage_of

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
            return Body(b"null", "application/json", tokens)
        case Play.MALFORMED_JSON:
            return Body(content[: len(content) // 2], "application/json", tokens)
        case _:
            return Body(content, "application/json", tokens)


def _document(play: Play, asked: Asked, text: str, suffix: str) -> tuple[dict[str, Any], int]:
    limit = asked.max_output_tokens
    if play is Play.ANSWER and limit is not None and _tokens(text) > limit:
        play = Play.TRUNCATED
    usage = _usage(play, asked, text)
    document = response_object(asked, suffix, _output(play, text, suffix), usage) | _STATES.get(play, {})
    return document, 0 if play is Play.FAILED else usage["total_tokens"]


def _text(play: Play, asked: Asked) -> str:
    if play is Play.NOT_JSON or asked.schema is None:
        return _PROSE
    if play is Play.SCHEMA_INVALID:
        return json.dumps({"value": {"unexpected": True}})
    value = fill(asked.schema, asked.input_text)
    if play is Play.MARKDOWN:
        value = with_markdown(value)
    return json.dumps(value, ensure_ascii=False)


def _output(play: Play, text: str, suffix: str) -> list[dict[str, Any]]:
    match play:
        case Play.TRUNCATED | Play.CONTENT_FILTER:
            return [message(text_part(text[: len(text) // 2]), suffix, whole=False)]
        case Play.TRUNCATED_REASONING:
            return [{"id": f"rs_{suffix}", "type": "reasoning", "summary": []}]
        case Play.REFUSAL:
            return [message({"type": "refusal", "refusal": _REFUSAL}, suffix)]
        case Play.EMPTY_OUTPUT | Play.FAILED:
            return []
        case _:
            return [message(text_part(text), suffix)]


def _usage(play: Play, asked: Asked, text: str) -> dict[str, Any]:
    sent = _tokens(asked.instructions) + _tokens(asked.input_text)
    # A truncated answer used up its limit; one without a message spent all of it on reasoning.
    cut = play in {Play.TRUNCATED, Play.TRUNCATED_REASONING}
    written = asked.max_output_tokens if cut and asked.max_output_tokens else _tokens(text)
    return usage_of(sent, written, reasoned=written if play is Play.TRUNCATED_REASONING else 0)


def _tokens(text: str) -> int:
    """Return about how many tokens `text` is: one for four bytes of English."""
    return len(text.encode()) // 4 + 1
