"""Reads the file that names several Redis: a line for each, with its name and its URL.

Blank lines count for nothing, nor does what follows a `#` at the beginning of a word.
"""

from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from worker.settings import secret_files
from worker.settings.redis_url import REDIS_URL_FORMS, address, check_name, check_url

_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Shard:
    """One Redis of several.

    A line that cannot be used has its number for a name, no URL, and the `problem` with its remedy.
    """

    name: str
    url: str = field(default="", repr=False)  # it may carry a password
    problem: str = ""


def read(path: Path) -> tuple[list[Shard], str | None]:
    """Return the Redis that the file at `path` names, and who else can read or change a password in it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no short text, or names none.

    """
    text = secret_files.read_text(path, _MAX_BYTES)
    found: list[Shard] = []
    for number, line in enumerate(text.get_secret_value().split("\n"), 1):
        if words := list(takewhile(lambda word: not word.startswith("#"), line.split())):
            try:
                found.append(_shard(words, found))
            except ValueError as error:
                found.append(Shard(f"line {number}", problem=f"{path}:{number}: {error}"))
    if not found:
        raise ValueError("no Redis in it; write a line for each: NAME redis://HOST:6379/0")
    secret = any("@" in each.url or "password" in each.url for each in found)
    return found, text.exposed if secret else None


def _shard(words: list[str], before: list[Shard]) -> Shard:
    """Return what a line says. Raises ValueError, with nothing of the URL in its text."""
    name, *urls = check_name(words[0]), *words[1:]
    if len(urls) != 1:
        raise ValueError(f"{len(urls)} URLs behind {name}; write one, whose blanks are %20")
    try:
        url = check_url(urls[0])
    except ValueError as error:
        raise ValueError(f"{name} has {error}; {REDIS_URL_FORMS}") from None
    for each in before:
        if each.name == name or (each.url and address(each.url) == address(url)):
            what = "name" if each.name == name else "Redis"
            raise ValueError(f"{name} has the {what} of {each.name} above; give each Redis one line")
    return Shard(name, url)
