"""Chooses the Redis that carries a job, where there are several: everywhere and always the same one."""

from collections.abc import Iterable
from hashlib import sha256

# Between the name of a Redis and the rest of a task id, which says so where its result is to be found.
_BEHIND_NAME = ":"


def shard_of(job_id: str, names: Iterable[str]) -> str:
    """Return the one of `names` that carries the job. Pinned: a change parts jobs from stored answers.

    Rendezvous hashing: of the SHA-256 of name, newline and id in UTF-8 the greatest wins. With one name more,
    only those jobs move that it wins; with one less, only those that it had. Raises UnicodeEncodeError.
    """
    return max(names, key=lambda name: sha256(f"{name}\n{job_id}".encode()).digest())


def with_shard(name: str, task_id: str) -> str:
    """Return a task id that says in which Redis its result will be; an only one, without name, needs none."""
    return f"{name}{_BEHIND_NAME}{task_id}" if name else task_id


def shard_in(task_id: str, names: Iterable[str]) -> str:
    """Return the one of `names` that `task_id` says. Raises ValueError."""
    known = set(names)
    name = "" if known == {""} else task_id.partition(_BEHIND_NAME)[0]
    if name not in known:
        those = ", ".join(sorted(known))
        raise ValueError(f"the task id {task_id} names none of {those}; ask the Redis that it went to")
    return name
