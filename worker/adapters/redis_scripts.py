"""Lets a Lua script name keys that its caller may only read.

Redis 7 asks of EVAL the right to read and to write every key that is declared to it; a worker may read the
dials, and not write them. Of an undeclared key each command of the script is judged by itself. Redis Cluster,
the one that needs declared keys, is not supported by Celery's transport.
"""

from __future__ import annotations


def undeclared(script: str, keys: int) -> str:
    """Return `script` for an EVAL that declares no keys: its first `keys` arguments are its KEYS."""
    given = f"{{unpack(ARGV, 1, {keys})}}, {{unpack(ARGV, {keys + 1})}}"
    # On one line, so that an error's line number is the script's own.
    return f"local KEYS, ARGV = {given};{script}"
