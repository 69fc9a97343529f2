"""A halt: how the brake was pulled, and what each worker says of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Engaged:
    """How the brake was pulled: by `SET`, or by `DEL` where Redis refuses to write; and if it is recorded."""

    by: str
    recorded: bool


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A worker's word that it cancelled `calls`, and that none is left `halt_ms` after it saw the brake."""

    worker_id: str
    calls: int
    halt_ms: float
