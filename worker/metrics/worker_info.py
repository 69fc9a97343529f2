"""What this worker process says of itself to the operator's commands."""

import os
import socket
import time
from dataclasses import dataclass, field
from importlib.metadata import version

from tasks.limits.brake import Brake
from tasks.operations.fleet import WorkerInfo
from worker.adapters.redis.console.fleet import encode
from worker.adapters.redis.jobs.halt_latch import HaltLatch
from worker.adapters.redis.jobs.history import as_kept
from worker.metrics.model_watch import ModelWatch
from worker.metrics.worker_metrics import WorkerMetrics


@dataclass(frozen=True, slots=True)
class WorkerInfoSource:
    """One process, from its start on."""

    worker_id: str
    executor_version: str
    has_api_key: bool
    brake: Brake
    observed: WorkerMetrics
    latch: HaltLatch
    model: ModelWatch
    beat_seconds: float
    cap_nano_usd: int | None
    window_seconds: int
    started_mono: float = field(default_factory=time.monotonic)

    def info(self, wall_ms: int) -> str:
        """Return the info as of `wall_ms`, by Redis's clock."""
        reason, listing = self.brake.reason, self.model.listing
        return encode(
            WorkerInfo(
                worker_id=self.worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=version("slotgen"),
                executor_version=self.executor_version,
                in_flight=self.brake.in_flight,
                brake=reason.value if reason else None,
                policy_hash=self.observed.policy_hash,
                has_api_key=self.has_api_key,
                started_wall_ms=wall_ms - int((time.monotonic() - self.started_mono) * 1000),
                seen_wall_ms=wall_ms,
                latched=self.latch.halted,
                beat_seconds=self.beat_seconds,
                model=as_kept(listing.model),
                model_listed=listing.listed,
                model_shutdown=listing.shutdown_date,
                model_unknown=listing.unknown,
                cap_nano_usd=self.cap_nano_usd,
                window_seconds=self.window_seconds,
            )
        )
