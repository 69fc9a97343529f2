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
    assert config.options == {
        "reasoning_effort": "low",
        "service_tier": "default",
        "prompt_cache_options": {"mode": "explicit"},
    }


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
        (
            SHIPPED | {"maxInputTokens": 272_001},
            "maxInputTokens: is greater than 272000; use an integer from 1024 up to 272000",
        ),
        (SHIPPED | {"serviceTier": "auto"}, "serviceTier"),
        (SHIPPED | {"serviceTier": "ultrafast"}, "serviceTier"),
        (SHIPPED | {"serviceTierMultipliers": {"flex": "1"}}, "serviceTierMultipliers.priority: is missing"),
        (SHIPPED | {"priceMultiplier": "0.00"}, "priceMultiplier"),
        (SHIPPED | {"priceMultiplier": 1.1}, "priceMultiplier"),
        (
            SHIPPED | {"maxOutputTokens": 16},
            "maxOutputTokens: is 16, and the reasoning of 'gpt-6-luna' comes out of it; set 1024 or more",
        ),
        (
            SHIPPED | {"model": "gpt-5.4-mini", "prices": {"gpt-5.4-mini": SHIPPED["prices"]["gpt-6-luna"]}},
            "promptCaching: is false, which 'gpt-5.4-mini' answers with 400; remove it, or set true",
        ),
    ],
)
def test_refuses_a_wrong_config_by_name(tmp_path, document, words):
    path = written(tmp_path, document)

    with pytest.raises(BadExecutorConfig) as refusal:
        load(path)

    assert words in str(refusal.value)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"serviceTier": None}, {}),
        ({"serviceTier": "flex"}, {"service_tier": "flex"}),
        ({}, {"service_tier": "default"}),
        ({"promptCaching": False}, {"service_tier": "default", "prompt_cache_options": {"mode": "explicit"}}),
        (
            {"reasoningEffort": "none", "maxOutputTokens": 16},
            {"service_tier": "default", "reasoning_effort": "none"},
        ),
    ],
)
def test_what_the_server_is_asked_for_beside_the_answer(tmp_path, changes, options):
    left_out = {"serviceTier", "promptCaching", "reasoningEffort"}
    bare = {name: value for name, value in SHIPPED.items() if name not in left_out}

    assert load(written(tmp_path, bare | changes)).options == options


@pytest.mark.parametrize(
    ("model", "figures"),
    [
        ("gpt-6-luna", {"maxOutputTokens": 1024, "promptCaching": False}),
        ("gpt-5.6-luna", {"promptCaching": False}),
        ("gpt-5.10", {"promptCaching": False}),
        ("gpt-4.1", {"maxOutputTokens": 16, "promptCaching": True}),
        ("llama-4", {"maxOutputTokens": 16, "promptCaching": False}),
    ],
)
def test_takes_what_a_model_takes(tmp_path, model, figures):
    prices = {model: SHIPPED["prices"]["gpt-6-luna"]}

    assert load(written(tmp_path, SHIPPED | {"model": model, "prices": prices} | figures)).model == model


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


def priced(**changes):
    tiers = {"flex": Decimal("0.5"), "priority": Decimal(2)}
    given = {"prices": {"gpt-6-luna": LUNA}, "service_tier_multipliers": tiers}
    return dataclasses.replace(load(None), **(given | changes))


# 50 tokens plain, 20 from the cache, 30 into it and 10 out are 13,950 nano-dollars at the list price.
@pytest.mark.parametrize(
    ("asked", "served", "nano_usd"),
    [
        ("default", "default", 15_345),
        ("priority", "priority", 30_690),
        ("flex", "flex", 7_673),
        (None, None, 15_345),
        (None, "priority", 30_690),
        (None, "ultrafast", None),
        ("default", "priority", None),
        ("default", None, None),
        ("priority", "default", None),
    ],
)
def test_a_request_costs_by_its_tier_and_the_deployments_multiplier(asked, served, nano_usd):
    config = priced(service_tier=asked, price_multiplier=Decimal("1.1"))

    assert config.cost_nano_usd(TokenUsage(100, 20, 30, 10, served)) == nano_usd


@pytest.mark.parametrize(
    ("changes", "nano_usd"),
    [
        ({}, 450_000),
        ({"price_multiplier": Decimal("1.1")}, 495_000),
        ({"service_tier_multipliers": {"flex": Decimal(3), "priority": Decimal(2)}}, 675_000),
        ({"service_tier_multipliers": {"flex": Decimal("0.5"), "priority": Decimal("0.5")}}, 225_000),
    ],
)
def test_the_worst_case_is_that_of_the_dearest_tier(changes, nano_usd):
    assert priced(**changes).worst_case_nano_usd(1000, 200) == nano_usd


AMOUNTS = st.decimals(0, 100, places=4)
MULTIPLIERS = st.decimals("0.01", 9, places=2)
TIERS = st.sampled_from([None, "default", "flex", "priority"])


@given(
    price=st.builds(Price, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS),
    multipliers=st.fixed_dictionaries({"flex": MULTIPLIERS, "priority": MULTIPLIERS}),
    times=st.none() | MULTIPLIERS,
    asked=TIERS,
    served=TIERS | st.sampled_from(["ultrafast", "scale", "unreadable"]),
    size=st.integers(1, 272_000),
    most=st.integers(16, 128_000),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_what_is_known_to_be_charged_is_never_more_than_was_reserved(
    price, multipliers, times, asked, served, size, most, shares
):
    config = dataclasses.replace(
        load(None),
        prices={"gpt-6-luna": price},
        service_tier=asked,
        service_tier_multipliers=multipliers,
        price_multiplier=times,
    )
    tokens = int(size * shares[0])
    from_cache = int(tokens * shares[1])
    to_cache = int((tokens - from_cache) * shares[2])
    usage = TokenUsage(tokens, from_cache, to_cache, int(most * shares[3]), served)
    factor = {None: 1, "default": 1, **multipliers}.get(served)

    cost = config.cost_nano_usd(usage)

    assert (cost is None) == (factor is None or asked not in {None, served})
    if cost is not None:
        assert isinstance(cost, int)
        assert cost <= config.worst_case_nano_usd(size, most)
        charged = price.cost_nano_usd(usage) * factor * (times or 1)
        assert charged - factor * (times or 1) < cost < charged + 1


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
