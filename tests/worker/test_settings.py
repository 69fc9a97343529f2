"""A setting that cannot be used ends the process with its name, its value and the remedy."""

from __future__ import annotations

import pytest

from worker.settings import BadSetting, Settings, load

URL = "redis://127.0.0.1:6379/0"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("SLOTGEN_REDIS_URL", URL)


def test_has_the_contracts_defaults():
    settings = load()

    assert (settings.namespace, settings.max_message_bytes, settings.control_read_timeout_ms) == (
        "slotgen",
        262_144,
        250,
    )
    assert settings.brake_grace_seconds == 5
    assert settings.openai_api_key is None
    assert settings.budget_usd is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLOTGEN_REDIS_URL", "http://example.org"),
        ("SLOTGEN_REDIS_URL", "rediss://example.org:6379/0"),
        ("SLOTGEN_REDIS_URL", "redis+cluster://example.org"),
        ("SLOTGEN_REDIS_URL", "redis://localhost:notaport"),
        ("SLOTGEN_REDIS_URL", "redis://localhost/abc"),
        ("SLOTGEN_REDIS_URL", "redis://localhost/0?colour=red"),
        ("SLOTGEN_REDIS_URL", "redis://"),
        ("SLOTGEN_REDIS_URL", "sentinel://localhost:26379"),
        ("SLOTGEN_REDIS_URL", "sentinel:///mymaster"),
        ("SLOTGEN_REDIS_URL", "sentinel://one:26379,/mymaster"),
        ("SLOTGEN_REDIS_URL", "sentinel://one:26379,two:0/mymaster"),
        ("SLOTGEN_REDIS_URL", "sentinel://one:26379/mymaster/db"),
        ("SLOTGEN_REDIS_URL", "sentinel://one:26379/mymaster?colour=red"),
        ("SLOTGEN_NAMESPACE", "with blank"),
        ("SLOTGEN_NAMESPACE", ""),
        ("SLOTGEN_CONCURRENCY", "0"),
        ("SLOTGEN_CONCURRENCY", "many"),
        ("SLOTGEN_METRICS_PORT", "65536"),
        ("SLOTGEN_VISIBILITY_TIMEOUT_SECONDS", "1"),
        ("SLOTGEN_BRAKE_GRACE_SECONDS", "nan"),
        ("SLOTGEN_BRAKE_GRACE_SECONDS", "0"),
        ("SLOTGEN_CONTROL_READ_TIMEOUT_MS", "0"),
        ("SLOTGEN_MAX_MESSAGE_BYTES", "-1"),
        ("SLOTGEN_BUDGET_USD", "-1"),
        ("SLOTGEN_BUDGET_USD", "inf"),
        ("SLOTGEN_BUDGET_WINDOW_SECONDS", "1"),
        ("SLOTGEN_LOG_LEVEL", "LOUD"),
        ("OPENAI_BASE_URL", "example.org"),
        ("SLOTGEN_AI_KILL", "on"),
        ("SLOTGEN_AI_KILL", ""),
        ("FEATURE_SLOTGEN_AI", "yes"),
        ("SLOTGEN_AI_ROLLOUT_PERCENT", "101"),
        ("SLOTGEN_AI_ROLLOUT_PERCENT", "ten"),
    ],
)
def test_names_the_variable_its_value_and_the_remedy(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSetting) as refusal:
        load()

    assert str(refusal.value).startswith(f"{name} is {value!r}; ")
    assert len(str(refusal.value).splitlines()) == 1


def test_a_worker_is_lost_only_after_it_has_halted_itself(monkeypatch):
    monkeypatch.setenv("SLOTGEN_WORKER_LOST_SECONDS", "5")

    with pytest.raises(BadSetting, match="SLOTGEN_WORKER_LOST_SECONDS is 5; set more than the 5 of"):
        load()

    monkeypatch.setenv("SLOTGEN_BRAKE_GRACE_SECONDS", "4.5")
    assert load().worker_lost_seconds == 5


def test_a_missing_redis_url_is_explained(monkeypatch):
    monkeypatch.delenv("SLOTGEN_REDIS_URL")

    with pytest.raises(BadSetting, match="SLOTGEN_REDIS_URL is not set; set redis://"):
        load()


def test_a_flag_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("SLOTGEN_CONCURRENCY", "7")

    assert load(concurrency=9).concurrency == 9
    assert load(concurrency=None).concurrency == 7


def test_says_all_that_is_wrong_at_once(monkeypatch):
    monkeypatch.setenv("SLOTGEN_CONCURRENCY", "x")
    monkeypatch.setenv("SLOTGEN_LOG_LEVEL", "x")

    with pytest.raises(BadSetting) as refusal:
        load()

    assert len(str(refusal.value).splitlines()) == 2


def test_a_key_that_no_header_can_carry_is_refused_unseen(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\u00fc")

    with pytest.raises(BadSetting) as refusal:
        load()

    assert str(refusal.value).startswith("OPENAI_API_KEY is a value that cannot be used")


def test_a_newline_behind_a_key_is_no_part_of_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")

    assert load().openai_api_key.get_secret_value() == "sk-1"


def test_never_shows_a_password_or_a_key(monkeypatch):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "http://user:hunter2@example.org")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hunter3")

    with pytest.raises(BadSetting) as refusal:
        load()

    assert "hunter" not in str(refusal.value)
    monkeypatch.setenv("SLOTGEN_REDIS_URL", URL)
    assert "hunter" not in repr(load())


@pytest.mark.parametrize(
    ("name", "value", "restricted"),
    [
        ("SLOTGEN_AI_KILL", " TRUE ", {"kill": True}),
        ("SLOTGEN_AI_KILL", "1", {"kill": True}),
        ("SLOTGEN_AI_KILL", "false", {"kill": False}),
        ("FEATURE_SLOTGEN_AI", "false", {"feature_off": True}),
        ("SLOTGEN_AI_ROLLOUT_PERCENT", "12.5", {"rollout_thousandths": 12_500}),
    ],
)
def test_the_environment_restricts(monkeypatch, name, value, restricted):
    monkeypatch.setenv(name, value)

    ceilings = load().ceilings

    assert {field: getattr(ceilings, field) for field in restricted} == restricted


@pytest.mark.parametrize(
    "url", ["redis://h:1/0", "rediss://h:1/0?ssl_cert_reqs=required", "unix:///run/redis.sock"]
)
def test_accepts_every_kind_of_url_that_it_supports(monkeypatch, url):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", url)

    assert load().redis_url == url
