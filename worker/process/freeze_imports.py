"""Keeps the garbage collector away from what a process imports and composes once, and its visits rare."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# How many new objects make a collection of the youngest ones; Python's 700 are ten for each model call, which
# took 8 % of its CPU. What 10,000 objects can hold back in cycles is a few megabytes.
_YOUNGEST = 10_000


@contextmanager
def freeze_imports() -> Iterator[None]:
    """Collect nothing meanwhile, and never walk what is there at the end.

    Without this a full collection walks all modules, stops every thread for about 300 ms, and comes at the
    worst moment, when hundreds of calls begin or are halted. Nor is there one at the end: it would stop
    everything for as long, and what it could free is little.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_YOUNGEST)
        gc.enable()
