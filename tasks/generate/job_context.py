"""What has been done for one job so far: the source of its telemetry and its log envelope."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.errors import Failed


@dataclass(slots=True)
class JobContext:
    """Grows as a job proceeds; one for each job, never shared."""

    gate: str | None = None
    bucket: int | None = None
    rule_id: str | None = None
    policy_hash: str | None = None
    detail: str | None = None
    model: str | None = None
    attempts: int = 0
    # How often an unusable answer was asked for again, and the plain-text rule that the last one broke.
    repairs: int = 0
    policy_rule: str | None = None
    # What moderation found in the input and the output.
    flagged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    request_id: str | None = None
    cached: bool = False
    # How long the job has spent in each step so far, milliseconds by the step's name.
    took_ms: dict[str, float] = field(default_factory=dict)
    # What the job ends as if its deadline passes while it waits for others, which is not its fault.
    held_back: Failed | None = None

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time in here to that of `step`, however it ends."""
        began_mono = time.perf_counter()
        try:
            yield
        finally:
            ms = (time.perf_counter() - began_mono) * 1000
            self.took_ms[step] = round(self.took_ms.get(step, 0.0) + ms, 3)

    @property
    def path(self) -> str:
        """`openai` once a model request was begun for this outcome, else `stub`."""
        return "openai" if self.attempts else "stub"
