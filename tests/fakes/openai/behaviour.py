"""Says how the OpenAI stand-in treats a request, and lets another thread change its mind."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum


class Play(StrEnum):
    """What the stand-in does with a request that is valid."""

    ANSWER = "answer"  # a good answer, made from the request's schema
    HANG = "hang"  # never answers
    DRIP = "drip"  # a good answer, spread over `drip_seconds`
    RESET_AFTER_WORK = "reset_after_work"  # bills the answer, then drops the connection with a RST
    HTML = "html"  # 200 with a web page
    NULL = "null"  # 200 with the JSON value null
    MALFORMED_JSON = "malformed_json"  # 200 with half a JSON document
    TRUNCATED = "truncated"  # incomplete for max_output_tokens, half of the text there
    TRUNCATED_REASONING = "truncated_reasoning"  # the same, with a reasoning item and no message at all
    CONTENT_FILTER = "content_filter"  # incomplete for content_filter
    REFUSAL = "refusal"  # completed, with a refusal part in place of the text
    MARKDOWN = "markdown"  # fits the schema; its sentences carry Markdown
    NOT_JSON = "not_json"  # prose where JSON was asked for
    SCHEMA_INVALID = "schema_invalid"  # JSON that does not fit the schema
    MISSING_USAGE = "missing_usage"  # a good answer without its token counts
    EMPTY_OUTPUT = "empty_output"  # completed, with an empty output list
    FAILED = "failed"  # 200 with status "failed" and an error object
    GZIP = "gzip"  # a good answer, compressed
    GZIP_BOMB = "gzip_bomb"  # 200 with 2 MB that unpack to 2 GB
    ENDLESS_BODY = "endless_body"  # 200 with a body that goes on for as long as it is read
    ENDLESS_HEADERS = "endless_headers"  # 200 with headers that go on likewise
    STRANGE_ENCODING = "strange_encoding"  # a good answer in a content encoding that is none


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One way to treat a request: wait `delay_seconds`, then do `play`, or refuse with `status`.

    `status` (400-599) with `error_code` is an API error, or with HTML a page of what is before the API; None
    plays. `retry_after` is sent as it is, so it is whole seconds or an HTTP date; `retry_after_ms` is the
    API's own header in milliseconds. `says` is the value of a good answer; None makes one from the request's
    schema. `served_tier` is the service tier that the answer names; None is the one asked for, "" leaves it
    out. `usage` changes what it says it used. `moderation` is what it says of that where it was asked for;
    None is the stand-in's own, "" leaves it out. `raw` is all that goes over the wire, after the delay,
    before the connection is closed: head, body, or neither.
    """

    play: Play = Play.ANSWER
    delay_seconds: float = 0.0
    status: int | None = None
    error_code: str | None = None
    retry_after: str | None = None
    retry_after_ms: int | None = None
    drip_seconds: float = 1.0
    says: str | None = None
    served_tier: object = None
    usage: dict[str, object] | None = None
    moderation: object = None
    raw: bytes | None = None

    def __post_init__(self) -> None:
        if min(self.delay_seconds, self.drip_seconds) < 0:
            raise ValueError(f"delays are seconds from 0, not {self.delay_seconds}, {self.drip_seconds}")
        if self.status is not None and not 400 <= self.status < 600:
            raise ValueError(
                f"status {self.status} is no error; set 400 to 599, or leave it out and set play"
            )


@dataclass(slots=True)
class ReplyScript:
    """The standing behaviour, and a queue of behaviours for the next requests, in order of arrival.

    The two may be changed in any thread; the methods belong to the loop that answers.
    """

    standing: Behaviour
    queue: deque[Behaviour] = field(default_factory=deque)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> Behaviour:
        """Return the behaviour for the request that has just arrived."""
        return self.queue.popleft() if self.queue else self.standing

    async def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at the next `release`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._released.wait()

    def release(self) -> None:
        """End every wait that has begun; later ones take their time."""
        self._released.set()
        self._released = asyncio.Event()
