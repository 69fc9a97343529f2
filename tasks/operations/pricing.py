"""Whether the prices in an executor config are those of the server it is used with."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from tasks.executor_config import ExecutorConfig

_OPENAI = "api.openai.com"
# Regional endpoints keep the data in a region, and charge 10 % more for it.
_REGIONAL = re.compile(rf"[a-z0-9-]+\.{re.escape(_OPENAI)}")


class PriceDoubt(NamedTuple):
    """A field of the config, its value, and what to do about it."""

    setting: str
    value: str
    remedy: str


def price_doubts(config: ExecutorConfig, base_url: str | None) -> list[PriceDoubt]:
    """Return why requests to `base_url` (None: OpenAI's own) may cost more than the config says."""
    host = urlsplit(base_url or f"https://{_OPENAI}").hostname or ""
    regional = _REGIONAL.fullmatch(host)
    found = []
    if regional and config.price_multiplier is None:
        remedy = f'set priceMultiplier: {host} may charge more than the list price ("1.1", or "1" if not)'
        found.append(PriceDoubt("priceMultiplier", "not set", remedy))
    if (regional or host == _OPENAI) and config.service_tier is None:
        remedy = 'set serviceTier "default": the project\'s own tier may cost twice as much'
        found.append(PriceDoubt("serviceTier", "null", remedy))
    return found
