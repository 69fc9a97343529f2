"""Decides whether a model's answer may become content."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from schemas import OutputType, UnacceptableJson, describe, parse_json
from tasks.errors import ErrorCode, Failed
from tasks.plain_text import FieldKind, findings
from tasks.ports import NOT_JUDGED, ModelAnswer

_MAX_ANSWER_BYTES = 4_194_304
# Fields whose strings may be a single sign, a name or a line of code, in any output type; all others are
# text.
_SHORT_ANSWERS = frozenset({"correctAnswer", "id", "options", "tags"})
# A model that is told only of the first problem would repeat the others.
_MAX_NAMED = 5
_BETWEEN_PARAGRAPHS = "\n\n"


def accept(output: OutputType, answer: ModelAnswer) -> Any:
    """Return the value of `output`'s type that `answer` carries.

    Raises:
        Failed: the answer was flagged, refused, cut short, is not JSON, breaks the full schema, or is not
            plain text; the detail names categories, paths, rules and lines, never content.

    """
    if answer.flagged:
        detail = "; ".join(f"{part}: {', '.join(found)}" for part, found in answer.flagged.items())
        if any(NOT_JUDGED in found for found in answer.flagged.values()):
            detail += "; if the server knows no moderation, remove it from the executor config"
        raise Failed(ErrorCode.CONTENT_FLAGGED, detail, flagged=answer.flagged)
    if answer.refused:
        raise Failed(ErrorCode.OUTPUT_REFUSED, "the model refused")
    if answer.truncated or answer.text is None:
        raise Failed(ErrorCode.OUTPUT_TRUNCATED, "the answer ended early; raise maxOutputTokens")
    value = _value(answer.text)
    found = output.violations(value)
    if found:
        raise Failed(ErrorCode.OUTPUT_SCHEMA_INVALID, describe(found))
    broken = list(islice(policy_violations(value), _MAX_NAMED))
    if broken:
        detail = "; ".join(str(each) for each in broken)
        raise Failed(ErrorCode.OUTPUT_POLICY_VIOLATION, detail, rule=broken[0].rule)
    return value


def acceptable(output: OutputType, value: Any) -> bool:
    """Whether `value` may be content: a stored answer is trusted no more than a fresh one."""
    return not output.violations(value) and next(policy_violations(value), None) is None


@dataclass(frozen=True, slots=True)
class PolicyViolation:
    """A string of an answer that is not plain text: where it is, and which rule it breaks on which line."""

    path: str
    rule: str
    line: int

    def __str__(self) -> str:
        """Say where and which rule, and nothing of the content."""
        return f"{self.path}: {self.rule} on line {self.line}"


def policy_violations(value: Any) -> Iterator[PolicyViolation]:
    """Yield what each string in `value` breaks, in the order of the answer."""
    for passage in _passages(value, "output", FieldKind.TEXT):
        for finding in findings(passage.text, passage.field):
            path, line = passage.place(finding.line)
            yield PolicyViolation(path, finding.rule, line)


def _value(text: str) -> Any:
    try:
        document = parse_json(text, max_bytes=_MAX_ANSWER_BYTES)
    except UnacceptableJson as refusal:
        raise Failed(ErrorCode.OUTPUT_NOT_JSON, f"the answer {refusal}") from None
    if not isinstance(document, dict) or document.keys() != {"value"}:
        raise Failed(ErrorCode.OUTPUT_SCHEMA_INVALID, "the answer is not an object with just `value`")
    return document["value"]


@dataclass(frozen=True, slots=True)
class _TextField:
    """Strings that are read as one text, each with its path."""

    parts: tuple[tuple[str, str], ...]
    field: FieldKind

    @property
    def text(self) -> str:
        return _BETWEEN_PARAGRAPHS.join(text for _, text in self.parts)

    def place(self, line: int) -> tuple[str, int]:
        """Return the path of the string that holds line `line` of the whole, and the line's number in it."""
        lengths = ((path, text.count("\n") + _BETWEEN_PARAGRAPHS.count("\n")) for path, text in self.parts)
        return [(path, number + 1) for path, length in lengths for number in range(length)][line - 1]


def _passages(value: Any, path: str, field: FieldKind) -> Iterator[_TextField]:
    """Yield what is to be judged. Paragraphs are judged together, since a list may have one item in each."""
    if isinstance(value, str):
        yield _TextField(((path, value),), field)
    elif isinstance(value, list):
        paths = [f"{path}[{index}]" for index in range(len(value))]
        if field is FieldKind.TEXT and all(isinstance(each, str) for each in value):
            yield _TextField(tuple(zip(paths, value, strict=True)), field)
            return
        for each_path, each in zip(paths, value, strict=True):
            yield from _passages(each, each_path, field)
    elif isinstance(value, dict):
        for name, each in value.items():
            kind = FieldKind.OPTION if name in _SHORT_ANSWERS else FieldKind.TEXT
            yield from _passages(each, f"{path}.{name}", kind)
