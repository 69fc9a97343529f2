"""Decides which text is JSON that may come in: bounded, unambiguous, and writable again as UTF-8."""

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from schemas.paths import nameable
from schemas.size import depth

# Only an escape can smuggle half a surrogate pair past the UTF-8 decoder.
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class UnacceptableJson(ValueError):  # noqa: N818 - reads as what it is
    """The text is not acceptable JSON. `problem` reads after "the message"; neither part has content."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


def parse(text: bytes | str, *, max_bytes: int, max_depth: int = 32) -> Any:
    """Return the value of the JSON document `text`.

    `max_bytes` bounds its UTF-8 size, `max_depth` its levels of arrays and objects (a scalar has none).

    Raises:
        UnacceptableJson: too large, too deep, not UTF-8, not JSON, NaN or Infinity, a number beyond a
            double's range, a property given twice, or half a surrogate pair.

    """
    decoded = _decode(text, max_bytes)
    value = _loads(decoded, max_depth)
    check_depth(value, max_depth)
    if _SURROGATE_ESCAPE.search(decoded):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UnacceptableJson("has half a surrogate pair", "send whole Unicode characters") from None
    return value


def check_depth(value: Any, max_depth: int) -> None:
    """Let `value` pass when it has at most `max_depth` levels.

    Raises:
        UnacceptableJson: it has more.

    """
    if depth(value) > max_depth:
        _refuse_depth(max_depth)


def _decode(text: bytes | str, max_bytes: int) -> str:
    try:
        encoded = text.encode() if isinstance(text, str) else text
        if len(encoded) > max_bytes:
            raise UnacceptableJson(
                f"has {len(encoded)} bytes and the limit is {max_bytes}", "send less, or raise the limit"
            )
        return encoded.decode()
    except UnicodeError:
        raise UnacceptableJson("is not UTF-8", "encode the text as UTF-8") from None


def _loads(text: str, max_depth: int) -> Any:
    try:
        return _DECODER.decode(text)
    except UnacceptableJson:
        raise
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UnacceptableJson(f"is not JSON ({where})", "mend the syntax there") from None
    except RecursionError:
        return _refuse_depth(max_depth)
    except ValueError:
        return _refuse_number()  # Python reads integers of at most 4,300 digits


def _refuse_depth(max_depth: int) -> NoReturn:
    raise UnacceptableJson(f"is nested deeper than {max_depth} levels", "send a flatter document")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise UnacceptableJson(f"gives {nameable(twice)} twice in one object", "give each property once")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse_number()


def _refuse_number() -> NoReturn:
    raise UnacceptableJson("has a number that is too large", "send numbers that a double can hold")


def _refuse_constant(constant: str) -> NoReturn:
    raise UnacceptableJson(f"has {constant}, which JSON does not know", "send a number or null")


# Made once: `json.loads` would make one for each text.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant)
