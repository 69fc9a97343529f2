"""What a server says of the model that is asked: whether the key can use it, and until when."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from tasks.operations.timefmt import counted

# OpenAI gives six months' notice of most models, and three of some; a new one must be tried and rolled out.
NEAR_DAYS = 30


@dataclass(frozen=True, slots=True)
class ModelListing:
    """The answer for one model. `listed` is None where it is not known, and `unknown` then says why.

    `shutdown_date` is that day (ISO 8601), "" if none is announced, and None if the server does not say.
    """

    model: str
    listed: bool | None = None
    shutdown_date: str | None = None
    unknown: str = "not asked yet"

    @property
    def shutdown(self) -> date | None:
        """The day on which the model ends, None for none that is known."""
        try:
            return date.fromisoformat(self.shutdown_date or "")
        except ValueError:
            return None

    def is_usable(self, now_wall_ms: int) -> bool:
        """Whether nothing that is known keeps the key from using it now."""
        end = self.shutdown
        return self.listed is not False and (end is None or _days_until(end, now_wall_ms) > 0)

    def problem(self, now_wall_ms: int) -> str:
        """Return what is wrong with the model, or soon will be, in words; "" for nothing that is known."""
        if self.listed is False:
            return f"the key cannot use the model {self.model}: GET /v1/models does not list it"
        end = self.shutdown
        if end is None or (days := _days_until(end, now_wall_ms)) > NEAR_DAYS:
            return ""
        if days <= 0:
            return f"the model {self.model} was shut down on {self.shutdown_date}"
        return f"the model {self.model} will be shut down on {self.shutdown_date}, in {counted(days, 'day')}"

    def __str__(self) -> str:
        """Return what is known, in words."""
        if self.listed is None:
            return f"{self.model}: not known ({self.unknown})"
        said = {None: "its server says nothing of a shutdown", "": "no shutdown is announced"}
        return f"{self.model}: {said.get(self.shutdown_date) or f'until {self.shutdown_date}'}"


def _days_until(end: date, now_wall_ms: int) -> int:
    """Return the days from today, in UTC, until `end`; 0 or less once that day has begun."""
    return (end - datetime.fromtimestamp(now_wall_ms / 1000, UTC).date()).days
