"""Decides whether a model's answer may become content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from schemas import OutputType, UnacceptableJson, describe, parse_json
from tasks.errors import ErrorCode, Failed
from tasks.ports import ModelAnswer

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MAX_ANSWER_BYTES = 4_194_304
_PLAIN = frozenset(
    {"paragraph_open", "paragraph_close", "inline", "text", "softbreak", "hardbreak", "text_special"}
)
# Between two letters or digits an asterisk is a product (2*3*4), not emphasis.
_PRODUCT = re.compile(r"(?<=[^\W_])\*(?=[^\W_])")
_LIST_ITEM = "list_item_open"


@cache
def parser() -> MarkdownIt:
    """Return the one parser of this process.

    The first call imports it, for 30 ms: make it where that holds up neither a start nor an event loop.
    """
    from markdown_it import MarkdownIt  # noqa: PLC0415 - see above

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def accept(output: OutputType, answer: ModelAnswer) -> Any:
    """Return the value of `output`'s type that `answer` carries.

    Raises:
        Failed: the answer was refused, cut short, is not JSON, breaks the full schema, or has Markdown in
            it; the detail names paths, never content.

    """
    if answer.refused:
        raise Failed(ErrorCode.OUTPUT_REFUSED, "the model refused")
    if answer.truncated or answer.text is None:
        raise Failed(ErrorCode.OUTPUT_TRUNCATED, "the answer ended early; raise maxOutputTokens")
    value = _value(answer.text)
    found = output.violations(value)
    if found:
        raise Failed(ErrorCode.OUTPUT_SCHEMA_INVALID, describe(found))
    marked = next((path for path, text in _strings(value, "output") if has_markdown(text)), None)
    if marked:
        raise Failed(ErrorCode.OUTPUT_POLICY_VIOLATION, f"{marked}: carries Markdown or HTML")
    return value


def _value(text: str) -> Any:
    try:
        document = parse_json(text, max_bytes=_MAX_ANSWER_BYTES)
    except UnacceptableJson as refusal:
        raise Failed(ErrorCode.OUTPUT_NOT_JSON, f"the answer {refusal}") from None
    if not isinstance(document, dict) or document.keys() != {"value"}:
        raise Failed(ErrorCode.OUTPUT_SCHEMA_INVALID, "the answer is not an object with just `value`")
    return document["value"]


def has_markdown(text: str) -> bool:
    """Whether CommonMark, with tables and strikethrough, would show `text` as anything but plain paragraphs.

    A line such as "1945. The war ended." is a list of one to CommonMark, and prose to everyone else: a
    single numbered item passes, two do not.
    """
    if "\n\n    " in text or text.startswith("    "):
        # An indented line is code to CommonMark; to a reader it is a line with blanks before it.
        text = re.sub(r"(?m)^[ \t]+", "", text)
    tokens = _tokens(text)
    return any(_is_markup(token, tokens) for token in tokens)


def _tokens(text: str) -> list[Token]:
    flat: list[Token] = []
    for token in parser().parse(_PRODUCT.sub("\N{MULTIPLICATION SIGN}", text)):
        flat.append(token)
        flat.extend(token.children or ())
    return flat


def _is_markup(token: Token, tokens: list[Token]) -> bool:
    if token.type in {"ordered_list_open", "ordered_list_close", _LIST_ITEM, "list_item_close"}:
        lone = sum(each.type == _LIST_ITEM for each in tokens) == 1
        return not (lone and any(each.type == "ordered_list_open" for each in tokens))
    return token.type not in _PLAIN


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _strings(each, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _strings(each, f"{path}.{name}")
