"""Does the same on the Redis of the environment, or on each of several at once: none waits for another."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from worker.cli.support.errors import CliError, bug
from worker.cli.support.terminal import say
from worker.settings import shards
from worker.settings.redis_url import with_password
from worker.settings.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """One Redis: that of the environment has no name. `problem` says why it cannot be used."""

    name: str
    of: Settings
    problem: str = ""

    @property
    def settings(self) -> Settings:
        """The settings under which its fleet runs. Raises CliError."""
        if self.problem:
            raise CliError(self.problem)
        return self.of


def targets(each: Path | None, load: Callable[..., Settings]) -> list[Target]:
    """Return every Redis that the file `each` names, or that of the environment; `load` loads the settings.

    A line without a password gets that of the environment's password file. Raises CliError.
    """
    if each is None:
        return [Target("", load())]
    try:
        found, exposed = shards.read(each)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CliError(f"--each {each}: {why}") from None
    if exposed:
        with suppress(OSError):
            say(exposed, err=True)
    # The file names them: the environment need not.
    settings = load(redis_url="redis://127.0.0.1")
    return [Target(one.name, _with_url(settings, one.url), one.problem) for one in found]


def _with_url(settings: Settings, url: str) -> Settings:
    if password := settings.redis_password_file:
        with suppress(ValueError):
            url = with_password(url, password.get_secret_value())
    return settings.model_copy(update={"redis_url": url})


def at_once(places: Sequence[Target], act: Callable[[Settings], T]) -> Iterator[tuple[Target, T | CliError]]:
    """Yield what `act` returns for each of `places`, or raises, as it ends.

    Who stops asking leaves the others alone: they end with the process.
    """
    ended: queue.SimpleQueue[tuple[Target, T | CliError]] = queue.SimpleQueue()

    def run(place: Target) -> None:
        try:
            ended.put((place, act(place.settings)))
        except CliError as refusal:
            ended.put((place, refusal))
        except Exception as error:  # noqa: BLE001 - one that breaks must hide no other
            ended.put((place, bug(error)))

    for place in places:
        threading.Thread(target=run, args=(place,), daemon=True).start()
    for _ in places:
        yield ended.get()
