"""The versioned executor config: model, limits, deadlines, attempts and prices, as typed values."""

import json
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from schemas import describe, violations
from tasks.limits.guard import GuardMode, GuardRules
from tasks.ports import TokenUsage

# A dollar for a million tokens is 1,000 nano-dollars for one.
_NANO_USD_PER_TOKEN = Decimal(1000)

# What the schema says of a config that does not name them.
_REPAIR_ATTEMPTS = 1


class BadExecutorConfig(ValueError):  # noqa: N818 - reads as what it is
    """The executor config cannot be used; the text says which file, what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model charges, in US dollars for a million tokens."""

    input: Decimal
    cached_input: Decimal
    cache_write: Decimal
    output: Decimal

    def cost_nano_usd(self, usage: TokenUsage) -> int:
        """Return the cost of `usage` in nano-dollars, rounded up."""
        plain = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
        total = (
            self.input * max(plain, 0)
            + self.cached_input * usage.cached_input_tokens
            + self.cache_write * usage.cache_write_tokens
            + self.output * usage.output_tokens
        )
        return _ceiling(total)

    def worst_case_nano_usd(self, input_bytes: int, max_output_tokens: int) -> int:
        """Return the most that one request can cost: no text has more tokens than UTF-8 bytes."""
        dearest_input = max(self.input, self.cache_write, self.cached_input)
        return _ceiling(dearest_input * input_bytes + self.output * max_output_tokens)


def _ceiling(usd_per_million: Decimal) -> int:
    return int((usd_per_million * _NANO_USD_PER_TOKEN).to_integral_value(rounding=ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """Every figure of the executor. `version` is the `executorVersion` of telemetry v1."""

    version: str
    model: str
    max_input_tokens: int
    max_output_tokens: int
    options: dict[str, Any]
    job_deadline_seconds: float
    request_timeout_seconds: float
    attempts: int
    repair_attempts: int
    backoff_initial_seconds: float
    backoff_max_seconds: float
    max_retry_after_seconds: float
    answer_ttl_seconds: int
    max_age_seconds: float
    probe_seconds: float
    guard: GuardRules
    prices: dict[str, Price]
    prompts: dict[str, str]

    @property
    def price(self) -> Price:
        """The price of the configured model; `load` has made sure that it is known."""
        return self.prices[self.model]


def load(path: Path | None) -> ExecutorConfig:
    """Return the config in the file `path`, or the one shipped with slotgen.

    Raises:
        BadExecutorConfig: the file is missing, is not JSON, breaks executor.v1, or prices no such model.

    """
    source = path or resources.files("tasks") / "executor.v1.json"
    try:
        document = json.loads(source.read_text("utf-8"))
    except OSError as error:
        raise BadExecutorConfig(
            f"{source}: cannot be read ({error.strerror}); name a readable file"
        ) from None
    except ValueError:
        raise BadExecutorConfig(f"{source}: is not JSON; check it with `slotgen validate`") from None
    found = violations("executor.v1", document)
    if found:
        raise BadExecutorConfig(f"{source}: {describe(found)}")
    return _priced(_parse(document), source)


def _priced(config: ExecutorConfig, source: object) -> ExecutorConfig:
    if config.model not in config.prices:
        raise BadExecutorConfig(
            f"{source}: prices: has none for model {config.model!r}; add it, "
            "for a call of unknown price is never made"
        )
    return config


def _parse(document: dict[str, Any]) -> ExecutorConfig:
    # JSON Schema counts 3.0 as an integer; Python does not.
    optional = {"temperature": "temperature", "topP": "top_p", "reasoningEffort": "reasoning_effort"}
    return ExecutorConfig(
        version=document["version"],
        model=document["model"],
        max_input_tokens=int(document["maxInputTokens"]),
        max_output_tokens=int(document["maxOutputTokens"]),
        options={ours: document[theirs] for theirs, ours in optional.items() if theirs in document},
        job_deadline_seconds=document["jobDeadlineSeconds"],
        request_timeout_seconds=document["requestTimeoutSeconds"],
        attempts=int(document["attempts"]),
        repair_attempts=int(document.get("repairAttempts", _REPAIR_ATTEMPTS)),
        backoff_initial_seconds=document["backoff"]["initialSeconds"],
        backoff_max_seconds=document["backoff"]["maxSeconds"],
        max_retry_after_seconds=document["maxRetryAfterSeconds"],
        answer_ttl_seconds=int(document["answerTtlSeconds"]),
        max_age_seconds=document["traffic"]["maxAgeSeconds"],
        probe_seconds=document["traffic"]["probeSeconds"],
        guard=_guard(document["guard"]),
        prices={model: _price(each) for model, each in document["prices"].items()},
        prompts=document["prompts"],
    )


def _guard(document: dict[str, Any]) -> GuardRules:
    return GuardRules(
        mode=GuardMode(document["mode"]),
        window_seconds=document["windowSeconds"],
        sample=int(document["sample"]),
        minimum_sample=int(document["minimumSample"]),
        max_failed_share=document["maxFailedShare"],
        max_unusable_share=document["maxUnusableShare"],
        max_latency_p95_seconds=document["maxLatencyP95Seconds"],
        max_nano_usd_per_minute=int(Decimal(document["maxUsdPerMinute"]) * 10**9),
        unexpected_codes=frozenset(document["unexpectedCodes"]),
        max_invalid_events=int(document["maxInvalidEvents"]),
    )


def _price(document: dict[str, str]) -> Price:
    return Price(
        input=Decimal(document["inputUsdPerMillion"]),
        cached_input=Decimal(document["cachedInputUsdPerMillion"]),
        cache_write=Decimal(document["cacheWriteUsdPerMillion"]),
        output=Decimal(document["outputUsdPerMillion"]),
    )
