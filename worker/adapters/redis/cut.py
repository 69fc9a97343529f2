"""Bounds text kept in Redis, whoever wrote it, to its head, a mark, and a digest of the whole."""

import hashlib
import json
from collections.abc import Callable

# How this process counts its cuts.
_on_cut: list[Callable[[], object]] = []
_MARK = "…"
# The mark, a digest of 64 bits, and a pair of quotes.
_OVERHEAD = 24
_encode = json.JSONEncoder(ensure_ascii=False).encode


def count_cuts(on_cut: Callable[[], object]) -> None:
    """Call `on_cut` for each text that this process cuts from now on."""
    _on_cut[:] = [on_cut]


def cut(text: str, most_bytes: int) -> str:
    """Return `text` if it has at most `most_bytes` as a JSON string, and else its head with a digest of it.

    The same text is always cut to the same, and different ones to different ones.
    """
    # A character takes at most six bytes, one that can be printed two; to count them costs ten times as much.
    widest = 2 if text.isascii() and text.isprintable() else 6
    if len(text) * widest + 2 <= most_bytes or _size(text) <= most_bytes:
        return text
    for count in _on_cut:
        count()
    head, room = text[:most_bytes], most_bytes - _OVERHEAD
    while (size := _size(head)) > room:
        head = head[: len(head) * room // size]
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{head}{_MARK}{digest}"


def _size(text: str) -> int:
    return len(_encode(text).encode(errors="surrogatepass"))
