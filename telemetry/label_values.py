"""Decides which values each label may hold, so that no input can grow the number of series."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from schemas import load

OTHER = "other"
# Models and versions come from configuration, which changes a few times in the life of a process.
MAX_OPEN_VALUES = 16

Bound = Callable[[object], str]

_FIXED = {
    "result": {"hit", "miss", "store_failed"},
    "gen_ai_token_type": {"input", "output"},
}
# Labels of which the composition hands in the words, since telemetry may not import what decides them.
_ELSEWHERE = ("gate", "control", "rule")
# Why a message went to the dead letters.
REJECTIONS = {
    "too_large",
    "not_a_task_message",
    "body_not_json",
    "wrong_arguments",
    "spec_invalid",
    "killed_its_workers",
}


def bounds(labels: Sequence[str], words: Mapping[str, Collection[str]] | None = None) -> tuple[Bound, ...]:
    """Return for each of `labels` the function from any value to one that the label may hold.

    The words of outcomes are read from the locked schema of telemetry v1; `words` has those of labels whose
    words are decided elsewhere: `gate`, `control`, and the `rule`s of plain text. Without them such a label
    takes none.
    """
    event = load("telemetry.v1")["properties"]
    codes = {code for code in event["errorCode"]["enum"] if code is not None}
    closed = _FIXED | {
        "status": event["status"]["enum"],
        "path": event["path"]["enum"],
        "error_code": codes | {"none"},
        "error_type": codes | {"", "cancelled"},
        "outcome": codes | {"ok", "cancelled"},
        "reason": codes | {"admitted"} | REJECTIONS,
        **dict.fromkeys(_ELSEWHERE, ()),
        **(words or {}),
    }
    return tuple(_one_of(frozenset(closed[each])) if each in closed else _first_few() for each in labels)


def _one_of(words: frozenset[str]) -> Bound:
    return lambda value: value if isinstance(value, str) and value in words else OTHER


def _first_few() -> Bound:
    seen: set[str] = set()
    lock = threading.Lock()

    def bound(value: object) -> str:
        word = str(value)
        if word in seen:
            return word
        with lock:
            if len(seen) >= MAX_OPEN_VALUES:
                return OTHER
            seen.add(word)
        return word

    return bound
