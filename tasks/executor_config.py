"""The versioned executor config: model, limits, deadlines, attempts and prices, as typed values."""

import json
import re
from decimal import ROUND_CEILING, Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import AliasPath, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from schemas import describe, violations
from tasks.limits.guard import IN_JSON, GuardRules
from tasks.limits.retry import RetryPolicy
from tasks.ports import TokenUsage

# A dollar for a million tokens is 1,000 nano-dollars for one.
_NANO_USD_PER_TOKEN = Decimal(1000)
# Model families that spend output tokens on reasoning first: with too few tokens the API answers 400, or
# nothing.
_REASONING_MODELS = re.compile(r"(ft:)?(gpt-[5-9]|o[1-9])")
_LEAST_WITH_REASONING = 1024
# `prompt_cache_options` came with gpt-5.6; earlier models answer 400 to it.
_WITHOUT_CACHE_OPTIONS = re.compile(r"(ft:)?(gpt-[34]|chatgpt-4|o[1-9]|gpt-5(?!\.([6-9]|\d\d)))")


class BadExecutorConfig(ValueError):  # noqa: N818 - reads as what it is
    """The executor config cannot be used; the text says which file, what is wrong, and what to do."""


@dataclass(
    frozen=True,
    slots=True,
    config=ConfigDict(alias_generator=lambda name: f"{to_camel(name)}UsdPerMillion", validate_by_name=True),
)
class Price:
    """What a model charges, in US dollars for a million tokens."""

    input: Decimal
    cached_input: Decimal
    cache_write: Decimal
    output: Decimal

    def times(self, factor: Decimal) -> "Price":
        """Return the price at `factor` times the figures of this one."""
        return Price(
            self.input * factor, self.cached_input * factor, self.cache_write * factor, self.output * factor
        )

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


@dataclass(frozen=True, slots=True, config=IN_JSON)
class ExecutorConfig:
    """Every figure of the executor. `version` is the `executorVersion` of telemetry v1."""

    version: str
    model: str
    max_input_tokens: int
    max_output_tokens: int
    job_deadline_seconds: float
    request_timeout_seconds: float
    attempts: int
    max_retry_after_seconds: float
    answer_ttl_seconds: int
    guard: GuardRules
    prices: dict[str, Price]
    prompts: dict[str, str]
    backoff_initial_seconds: float = Field(validation_alias=AliasPath("backoff", "initialSeconds"))
    backoff_max_seconds: float = Field(validation_alias=AliasPath("backoff", "maxSeconds"))
    max_age_seconds: float = Field(validation_alias=AliasPath("traffic", "maxAgeSeconds"))
    probe_seconds: float = Field(validation_alias=AliasPath("traffic", "probeSeconds"))
    repair_attempts: int = 1
    service_tier: str | None = "default"
    service_tier_multipliers: dict[str, Decimal] = Field(
        default_factory=lambda: {"flex": Decimal(1), "priority": Decimal(2)}
    )
    price_multiplier: Decimal | None = None
    prompt_caching: bool = True
    moderation: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The model parameters that are set, under the API's own names."""
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "reasoning_effort": self.reasoning_effort,
            "service_tier": self.service_tier,
            # Cache at explicit breakpoints only, and our requests have none.
            "prompt_cache_options": None if self.prompt_caching else {"mode": "explicit"},
            "moderation": self.moderation and {"model": self.moderation},
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def retry(self) -> RetryPolicy:
        """How a failed request is retried."""
        return RetryPolicy(
            self.backoff_initial_seconds, self.backoff_max_seconds, self.max_retry_after_seconds
        )

    def worst_case_nano_usd(self, input_bytes: int, max_output_tokens: int) -> int:
        """Return the most that one request can cost, in nano-dollars, whichever tier serves it."""
        dearest = max(self._tiers.values())
        return self._price.times(dearest).worst_case_nano_usd(input_bytes, max_output_tokens)

    def cost_nano_usd(self, usage: TokenUsage) -> int | None:
        """Return what a request cost, in nano-dollars.

        None if that is not known: it was served by another tier than the one asked for, or by one without a
        multiplier.
        """
        factor = self._tiers.get(usage.service_tier or "default")
        if factor is None or not usage.served_as(self.service_tier):
            return None
        return self._price.times(factor).cost_nano_usd(usage)

    @property
    def pricing(self) -> str:
        """What the prices in the file apply to and are multiplied by, in words."""
        return f"service tier {self.service_tier or 'not sent'}, prices x {self.price_multiplier or 1}"

    @property
    def _price(self) -> Price:
        # `load` has checked that it is known.
        return self.prices[self.model].times(self.price_multiplier or Decimal(1))

    @property
    def _tiers(self) -> dict[str, Decimal]:
        return {"default": Decimal(1)} | self.service_tier_multipliers


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
        raise BadExecutorConfig(f"{source}: is not JSON; check it with `slotgen validate FILE`") from None
    found = violations("executor.v1", document)
    if found:
        raise BadExecutorConfig(f"{source}: {describe(found)}")
    if together := disagreements(document):
        raise BadExecutorConfig("\n".join(f"{source}: {each}" for each in together))
    return TypeAdapter(ExecutorConfig).validate_python(document)


def disagreements(document: dict[str, Any]) -> list[str]:
    """Return a line for each of what executor.v1 cannot say: fields of `document` that do not go together."""
    model, most = document["model"], document["maxOutputTokens"]
    found = []
    if model not in document["prices"]:
        found.append(
            f"prices: has no price for the model {model!r}; add it: a call of unknown price is never made"
        )
    reasons = _REASONING_MODELS.match(model) and document.get("reasoningEffort") != "none"
    if reasons and most < _LEAST_WITH_REASONING:
        found.append(
            f"maxOutputTokens: is {most}, and the reasoning of {model!r} comes out of it; "
            f"set {_LEAST_WITH_REASONING} or more"
        )
    if not document.get("promptCaching", True) and _WITHOUT_CACHE_OPTIONS.match(model):
        found.append(f"promptCaching: is false, which {model!r} answers with 400; remove it, or set true")
    return found
