"""Writes a value that fits a JSON schema, the same one for the same request, in plain sentences."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from worker.dev.fake_openai.strict_schema import referred

# Lengths and figures by property name (lower case), before the schema's own bounds are applied.
_LENGTHS = {"options": 4, "tags": 2}
_FIGURES = {"timeseconds": 600, "difficulty": 1, "marks": 1}
_SPREAD = 3  # arrays and figures vary over this many values from one request or item to the next
_CHOICE = "mcq"  # the question type whose options are not empty
# What the job data is about is named by the first of these that it has.
_TOPIC_NAMES = ("topic", "title", "subject")
_TOPIC = re.compile(rf'"({"|".join(_TOPIC_NAMES)})"\s*:\s*("(?:[^"\\]|\\.)*")')
# Letters and the marks of names: what is left can carry neither Markdown nor a line break.
_NOT_PLAIN = re.compile(r"[^\w ,.'():-]|_")
_MAX_TOPIC = 80


def fill(schema: dict[str, Any], input_text: str) -> Any:
    """Return a value for `schema`, about the topic that the job data in `input_text` names."""
    digest = hashlib.sha256(input_text.encode()).digest()
    writer = _Writer(schema, topic_of(input_text), int.from_bytes(digest[:2], "big"))
    return writer.value(schema, ("answer",), 0)


def topic_of(input_text: str) -> str:
    """Return what the job data is about: its first `topic`, else `title`, else `subject`, else "this topic".

    The text is shortened to 80 characters and stripped of everything that could be markup.
    """
    # From the end, so that the first of a name is the one that stays.
    found = {name: _plain(literal) for name, literal in reversed(_TOPIC.findall(input_text))}
    return next((found[name] for name in _TOPIC_NAMES if found.get(name)), "this topic")


@cache
def _sentences() -> dict[str, list[str]]:
    """Return sentences by property name, lower case; `{topic}` is the only variable in them."""
    file = resources.files("worker.dev.fake_openai") / "sentences.json"
    pools = json.loads(file.read_text("utf-8"))
    return {name: each["sentences"] for each in pools for name in each["properties"]}


def _plain(literal: str) -> str:
    try:
        text = str(json.loads(literal))
    except ValueError:
        return ""
    return " ".join(_NOT_PLAIN.sub(" ", text).split())[:_MAX_TOPIC].strip()


@dataclass(frozen=True, slots=True)
class _Writer:
    """`path` names the properties that lead to a value; `index` tells the items of arrays apart."""

    root: dict[str, Any]
    topic: str
    seed: int

    def value(self, schema: dict[str, Any], path: tuple[str, ...], index: int) -> Any:
        if "$ref" in schema:
            return self.value(referred(self.root, schema["$ref"]) or {}, path, index)
        if "anyOf" in schema:
            forms = [each for each in schema["anyOf"] if each.get("type") != "null"]
            return self.value(forms[0] if forms else {}, path, index)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][index % len(schema["enum"])]
        writers = {
            "object": self._object,
            "array": self._array,
            "integer": self._figure,
            "number": self._figure,
            "boolean": lambda *_: (self.seed + index) % 2 == 0,
            "null": lambda *_: None,
        }
        return writers.get(_kind(schema), self._string)(schema, path, index)

    def _object(self, schema: dict[str, Any], path: tuple[str, ...], index: int) -> dict[str, Any]:
        members = schema.get("properties", {})
        values = {name: self.value(each, (*path, name), index) for name, each in members.items()}
        options = values.get("options")
        if not isinstance(options, list):
            return values
        if values.get("type", _CHOICE) != _CHOICE and not members["options"].get("minItems"):
            options.clear()
        if options and "correctAnswer" in values:
            values["correctAnswer"] = options[(self.seed + index) % len(options)]
        return values

    def _array(self, schema: dict[str, Any], path: tuple[str, ...], index: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, _SPREAD + 1))
        wanted = _LENGTHS.get(path[-1].lower(), max(least, 2) + (self.seed + index) % _SPREAD)
        items: list[Any] = []
        for each in range(min(max(wanted, least), most)):
            # Ten numbers for each array, so that the items of two neighbours differ.
            item = self.value(schema["items"], path, index * 10 + each)
            # An array may ask for unique items.
            repeated = isinstance(item, str) and item in items
            items.append(f"{item} (point {each + 1})" if repeated else item)
        return items

    def _figure(self, schema: dict[str, Any], path: tuple[str, ...], index: int) -> int:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 1001) - 1)
        wanted = _FIGURES.get(path[-1].lower(), least) + (self.seed + index) % _SPREAD
        return int(min(max(wanted, least), most))

    def _string(self, _schema: dict[str, Any], path: tuple[str, ...], index: int) -> str:
        name = path[-1].lower()
        if name == "id":
            return f"{path[-2].lower()}-{index + 1}"
        pool, count = _sentences().get(name), 1
        if pool is None:
            pool, count = _sentences()["paragraphs"], _SPREAD
        picked = [pool[(self.seed + index + each) % len(pool)] for each in range(count)]
        return " ".join(picked).format(topic=self.topic)


def _kind(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return str(next((each for each in kinds if each != "null"), "null"))
