"""The executor config: refused with a sentence when it is wrong, and exact about money."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.executor_config import BadExecutorConfig, Price, load
from tasks.ports import TokenUsage

SHIPPED = json.loads((resources.files("tasks") / "executor.v1.json").read_text())
LUNA = Price(Decimal("0.10"), Decimal("0.01"), Decimal("0.125"), Decimal("0.50"))


def written(tmp_path, document):
    path = tmp_path / "executor.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_the_shipped_config_loads():
    config = load(None)

    assert config.version == SHIPPED["version"]
    assert config.price.output > 0


def test_reads_a_file_of_the_operators(tmp_path):
    assert load(written(tmp_path, SHIPPED | {"version": "mine"})).version == "mine"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is not JSON"),
        (SHIPPED | {"attempts": 0}, "attempts"),
        (SHIPPED | {"model": "gpt-unpriced"}, "gpt-unpriced"),
        (SHIPPED | {"temprature": 1}, "temprature"),
        ({}, "answerTtlSeconds: is missing"),
    ],
)
def test_refuses_a_wrong_config_by_name(tmp_path, document, words):
    path = written(tmp_path, document)

    with pytest.raises(BadExecutorConfig) as refusal:
        load(path)

    assert words in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadExecutorConfig, match="cannot be read"):
        load(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        (TokenUsage(1_000_000, 0, 0, 0), 100_000_000),
        (TokenUsage(0, 0, 0, 1_000_000), 500_000_000),
        (TokenUsage(1_000_000, 1_000_000, 0, 0), 10_000_000),
        (TokenUsage(1_000_000, 0, 1_000_000, 0), 125_000_000),
        (TokenUsage(1, 0, 0, 0), 100),
        (TokenUsage(1, 1, 0, 0), 10),
    ],
)
def test_costs_are_exact_nano_dollars(usage, nano_usd):
    assert LUNA.cost_nano_usd(usage) == nano_usd


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(
    size, max_out, share, cached, written_share
):
    tokens = int(size * share)
    from_cache = int(tokens * cached)
    to_cache = int((tokens - from_cache) * written_share)
    usage = TokenUsage(tokens, from_cache, to_cache, int(max_out * share))

    assert LUNA.cost_nano_usd(usage) <= LUNA.worst_case_nano_usd(size, max_out)


@pytest.mark.parametrize(
    ("price", "nano_usd"),
    [
        (LUNA, 125 * 1000 + 500 * 200),
        (dataclasses.replace(LUNA, input=Decimal("0.2")), 200 * 1000 + 500 * 200),
        (dataclasses.replace(LUNA, cached_input=Decimal("0.3")), 300 * 1000 + 500 * 200),
    ],
    ids=["written to the cache", "not cached", "from the cache"],
)
def test_the_worst_case_is_every_byte_a_token_at_the_dearest_price_and_all_of_the_output(price, nano_usd):
    assert price.worst_case_nano_usd(1000, 200) == nano_usd


def test_a_part_of_a_nano_dollar_costs_a_whole_one():
    price = Price(Decimal("0.0001"), Decimal(0), Decimal(0), Decimal(0))

    assert price.cost_nano_usd(TokenUsage(1, 0, 0, 0)) == 1
    assert price.worst_case_nano_usd(11, 0) == 2
