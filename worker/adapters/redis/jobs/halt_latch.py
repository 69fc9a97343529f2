"""Keeps this process halted after a message, which is how to halt while Redis refuses every write.

`PUBLISH <namespace>:kill:<db>` is no write. The key may still read `false`, so what was heard is kept here,
over the key, until somebody writes or deletes the key: from then on the key's own word counts again. A watch
that was cut off meanwhile, or has no reports of changes, sees that the key halts or that the audit has a
release: a plain `SET … false` over `false` it does not see, and goes on halting. No message releases, since
roles that may send one may not release.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class HaltLatch:
    """`halted` is set by the watch of the kill switch, in its thread; any thread may ask."""

    halted: bool = False

    def over(self, raw: bytes | None) -> bytes | None:
        """Return what the kill dial means in this process while its key holds `raw`."""
        return b"true" if self.halted else raw
