"""A cooldown: no request to a model leaves for a while, because its server answered 429 and said so."""

from dataclasses import dataclass

from tasks.operations.timefmt import ago, moment, span


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A cooldown at `now_wall_ms`; `since_wall_ms` is None if its key does not say."""

    model: str
    left_seconds: float
    now_wall_ms: int
    since_wall_ms: int | None

    @property
    def until_wall_ms(self) -> int:
        """When requests may leave again, by Redis's clock."""
        return self.now_wall_ms + int(self.left_seconds * 1000)

    @property
    def command(self) -> str:
        """What ends it now."""
        return f'slotgen cooldown clear {self.model} --reason "…"'

    def __str__(self) -> str:
        """Say what holds, until when, and why."""
        until = moment(self.until_wall_ms)
        since = self.since_wall_ms
        when = "at an unknown time" if since is None else ago(self.now_wall_ms - since)
        return (
            f"no request to {self.model} leaves for {span(self.left_seconds)}, until {until}: "
            f"its server asked for that {when} (HTTP 429)"
        )
