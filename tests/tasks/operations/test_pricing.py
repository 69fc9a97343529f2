"""Where the server is one that may charge more than the config says, one is told what to set."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from tasks import executor_config
from tasks.operations.pricing import price_doubts


def doubts(base_url, **changes):
    config = dataclasses.replace(executor_config.load(None), **changes)
    return [each.setting for each in price_doubts(config, base_url)]


@pytest.mark.parametrize("host", ["eu.api.openai.com", "us.api.openai.com", "EU.api.openai.com:443"])
def test_a_regional_endpoint_wants_a_multiplier_even_if_it_is_one(host):
    url = f"https://{host}/v1"

    assert doubts(url) == ["priceMultiplier"]
    assert doubts(url, price_multiplier=Decimal("1.1")) == doubts(url, price_multiplier=Decimal(1)) == []


@pytest.mark.parametrize("url", [None, "https://api.openai.com/v1", "https://eu.api.openai.com/v1"])
def test_the_projects_own_tier_is_no_tier_to_reckon_with(url):
    assert doubts(url, service_tier=None, price_multiplier=Decimal(1)) == ["serviceTier"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8099/v1", "https://gateway.example/v1", "https://api.openai.com.example/v1"]
)
def test_another_server_has_its_own_prices(url):
    assert doubts(url, service_tier=None) == []
