"""Keeps the garbage collector away from what a process imports and composes once, and makes its runs rare."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# How many new objects trigger a collection of the youngest; Python's 700 means ten for each model call, which
# took 8 % of its CPU. 10,000 objects in cycles hold a few megabytes at most.
_YOUNGEST = 10_000


@contextmanager
def freeze_imports() -> Iterator[None]:
    """Collect nothing inside, and never walk what exists at the end.

    Without this, a full collection walks all modules, stops every thread for about 300 ms, and comes at the
    worst moment, when hundreds of calls begin or are halted. There is none at the end either: it would stop
    everything for as long, and free little.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_YOUNGEST)
        gc.enable()
