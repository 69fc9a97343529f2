"""Writes a value that fits a JSON schema, the same one for the same request, in plain sentences."""

import hashlib
from dataclasses import dataclass
from typing import Any

from worker.dev.fake_openai.sentences import POOLS, PROSE, topic_of
from worker.dev.fake_openai.strict_schema import referred

# Lengths and figures by property name (lower case), before the schema's own bounds are applied.
_LENGTHS = {"options": 4, "tags": 2}
_FIGURES = {"timeseconds": 600, "difficulty": 1, "marks": 1}
_SPREAD = 3  # arrays and figures vary over this many values from one request or item to the next
_CHOICE = "mcq"  # the question type whose options are not empty


def fill(schema: dict[str, Any], input_text: str) -> Any:
    """Return a value for `schema`, about the topic that the job data in `input_text` names."""
    digest = hashlib.sha256(input_text.encode()).digest()
    writer = _Writer(schema, topic_of(input_text), int.from_bytes(digest[:2], "big"))
    return writer.value(schema, ("answer",), 0)


@dataclass(frozen=True, slots=True)
class _Writer:
    """`path` names the properties that lead to a value; `index` tells the items of arrays apart."""

    root: dict[str, Any]
    topic: str
    seed: int

    def value(self, schema: dict[str, Any], path: tuple[str, ...], index: int) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][index % len(schema["enum"])]
        writers = {
            "object": self._object,
            "array": self._array,
            "integer": self._figure,
            "number": self._figure,
            "boolean": self._statement,
            "null": lambda *_: None,
        }
        return writers.get(_kind(schema), self._string)(schema, path, index)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while True:
            if "$ref" in schema:
                schema = referred(self.root, schema["$ref"]) or {}
            elif "anyOf" in schema:
                schema = next((each for each in schema["anyOf"] if each.get("type") != "null"), {})
            else:
                return schema

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
        count = min(max(wanted, least), most)
        # Ten numbers for each array, so that the items of two neighbours differ.
        return _distinct([self.value(schema["items"], path, index * 10 + each) for each in range(count)])

    def _figure(self, schema: dict[str, Any], path: tuple[str, ...], index: int) -> int:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 1001) - 1)
        wanted = _FIGURES.get(path[-1].lower(), least) + (self.seed + index) % _SPREAD
        return int(min(max(wanted, least), most))

    def _statement(self, _schema: dict[str, Any], _path: tuple[str, ...], index: int) -> bool:
        return (self.seed + index) % 2 == 0

    def _string(self, _schema: dict[str, Any], path: tuple[str, ...], index: int) -> str:
        name = path[-1].lower()
        if name == "id":
            return f"{path[-2].lower()}-{index + 1}"
        pool = POOLS.get(name, PROSE)
        sentence = pool[(self.seed + index) % len(pool)]
        if pool is PROSE and name != "paragraphs":
            sentence = " ".join(pool[(self.seed + index + each) % len(pool)] for each in range(_SPREAD))
        return sentence.format(topic=self.topic)


def _kind(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return str(next((each for each in kinds if each != "null"), "null"))


def _distinct(items: list[Any]) -> list[Any]:
    """Return `items` with repeated strings numbered: an array may ask for unique items."""
    seen: list[Any] = []
    for each in items:
        repeated = isinstance(each, str) and each in seen
        seen.append(f"{each} (point {len(seen) + 1})" if repeated else each)
    return seen


def with_markdown(value: Any) -> Any:
    """Return `value` with every sentence in it made bold; single words, such as ids, stay."""
    if isinstance(value, dict):
        return {name: with_markdown(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_markdown(each) for each in value]
    return f"**{value}**" if isinstance(value, str) and " " in value else value
