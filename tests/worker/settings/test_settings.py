"""A setting that cannot be used ends the process with its name, its value and the remedy."""

from __future__ import annotations

import pytest

from gates import DIALS, BrakeState
from worker.settings.settings import BadSetting, Settings, load

URL = "redis://127.0.0.1:6379/0"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    for dial in DIALS:
        monkeypatch.delenv(str(dial.variable), raising=False)
    monkeypatch.setenv("SLOTGEN_REDIS_URL", URL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLOTGEN_REDIS_URL", "redis://h/0?password=hunter2"),
        ("SLOTGEN_REDIS_URL", "sentinel://h/s/0?sentinel_password=hunter2&x=1"),
        ("SLOTGEN_REDIS_URL", "http://:hunter2@h"),
        ("OPENAI_BASE_URL", "https://h/v1?api_key=hunter2"),
        ("OPENAI_BASE_URL", "https://ann:hunter2@h/v1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://ann:hunter2@h"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ann:hunter2@h"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h/?api_key=hunter2"),
        ("OPENAI_API_KEY_FILE", "sk-proj-hunter2"),
        ("SLOTGEN_REDIS_PASSWORD_FILE", "hunter2"),
    ],
)
def test_a_refusal_says_no_secret(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSetting, match=f"^{name} is a value that cannot be used") as refusal:
        load()

    assert "hunter2" not in str(refusal.value)


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
    assert not settings.otlp_endpoint


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
        ("SLOTGEN_REDIS_URL", "redis://localhost/0?ssl_cert_reqs=none"),
        ("SLOTGEN_REDIS_URL", "rediss://localhost/0?ssl_cert_reqs=required&ssl_cert_reqs=none"),
        ("SLOTGEN_REDIS_URL", "rediss://localhost/0?ssl_ca_certs=ssl_cert_reqs=required"),
        ("SLOTGEN_REDIS_URL", "unix:///run/redis.sock?db=x"),
        ("SLOTGEN_REDIS_URL", "unix:///run/redis.sock?db=1&db=2"),
        ("SLOTGEN_REDIS_URL", "unix:///run/redis.sock?virtual_host=1"),
        ("SLOTGEN_REDIS_URL", "unix://"),
        ("SLOTGEN_REDIS_URL", "unix://run/redis.sock"),
        ("SLOTGEN_REDIS_URL", "unix:///run/a#b.sock?db=3"),
        ("SLOTGEN_REDIS_URL", "redis://localhost:6379/0\n"),
        ("SLOTGEN_REDIS_URL", "redis://local host/0"),
        ("SLOTGEN_REDIS_URL", "redis://one,two/0"),
        ("SLOTGEN_REDIS_URL", "rediss://localhost/0?ssl_cert_reqs=required&ssl_ca_certs=/nowhere.pem"),
        ("SLOTGEN_REDIS_URL", "rediss://localhost/0?ssl_cert_reqs=required&ssl_check_hostname=maybe"),
        ("OPENAI_BASE_URL", "https://example.org/v1\n"),
        ("OPENAI_BASE_URL", "https://example.org/v1 "),
        ("OPENAI_BASE_URL", "https:///example.org/v1"),
        ("OPENAI_BASE_URL", "https://example.org\\v1"),
        ("OPENAI_BASE_URL", "https://a..b/v1"),
        ("OPENAI_BASE_URL", "https://example.org/v1?api-version=preview"),
        ("OPENAI_BASE_URL", "https://example.org/v1#part"),
        ("OPENAI_BASE_URL", "https://example.org:port/v1"),
        ("OPENAI_BASE_URL", "https://example.org:99999/v1"),
        ("OPENAI_BASE_URL", "https://example.org:0/v1"),
        ("OPENAI_BASE_URL", f"https://{'a' * 70}.example.org/v1"),
        ("OPENAI_BASE_URL", "https://"),
        ("SSL_CERT_FILE", "/nowhere.pem"),
        ("SSL_CERT_FILE", "/dev/null"),
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
        ("SLOTGEN_OBSERVATION_SECONDS", "0"),
        ("SLOTGEN_OBSERVATION_SECONDS", "899"),
        ("SLOTGEN_LOG_LEVEL", "LOUD"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/v1/traces"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318 "),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", " "),
        ("OPENAI_BASE_URL", "example.org"),
        ("SLOTGEN_ALLOW_PLAIN_HTTP", "perhaps"),
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


def test_a_key_in_a_file_that_no_header_can_carry_is_refused_unseen(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("hunter\u00fc")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))

    with pytest.raises(BadSetting, match=r"OPENAI_API_KEY_FILE is '.*/key' \(a key has printable") as refusal:
        load()

    assert "hunter" not in str(refusal.value)


def test_a_newline_behind_a_key_is_no_part_of_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")

    assert load().openai_api_key.get_secret_value() == "sk-1"


def test_never_shows_a_password_or_a_key(monkeypatch):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "http://user:hunter2@example.org")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hunter3")

    with pytest.raises(BadSetting) as refusal:
        load()

    assert "hunter" not in str(refusal.value)
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://user:hunter2@example.org")
    assert "hunter" not in repr(load())


@pytest.mark.parametrize(
    ("name", "value", "restricted"),
    [
        ("SLOTGEN_AI_KILL", " TRUE ", BrakeState.ENGAGED),
        ("SLOTGEN_AI_KILL", "1", BrakeState.ENGAGED),
        ("SLOTGEN_AI_KILL", "false", BrakeState.RELEASED),
        ("FEATURE_SLOTGEN_AI", "false", False),
        ("SLOTGEN_AI_ROLLOUT_PERCENT", "12.5", 12_500),
    ],
)
def test_the_environment_restricts(monkeypatch, name, value, restricted):
    monkeypatch.setenv(name, value)

    ceilings = load().ceilings

    assert [each for each in ceilings.values if each is not None] == [restricted]


@pytest.mark.parametrize(
    "url", ["redis://h:1/0", "rediss://h:1/0?ssl_cert_reqs=required", "unix:///run/redis.sock?db=3"]
)
def test_accepts_every_kind_of_url_that_it_supports(monkeypatch, url):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", url)

    assert load().redis_url == url


@pytest.mark.parametrize(
    "url", ["http://models.example.org/v1", "http://10.0.0.7:8000", "http://[2001:db8::1]/"]
)
def test_a_key_crosses_no_network_in_clear_unless_that_is_allowed(monkeypatch, url):
    monkeypatch.setenv("OPENAI_BASE_URL", url)

    with pytest.raises(BadSetting, match=r"OPENAI_BASE_URL is .* in clear; set https://") as refusal:
        load()

    assert url in str(refusal.value)
    monkeypatch.setenv("SLOTGEN_ALLOW_PLAIN_HTTP", "true")
    assert load().openai_base_url == url


@pytest.mark.parametrize(
    "url",
    ["https://api.example.org/v1", "http://localhost:8000/v1", "http://127.0.0.1/v1", "http://[::1]:8000/v1"],
)
def test_a_server_of_this_machine_needs_no_certificate(monkeypatch, url):
    monkeypatch.setenv("OPENAI_BASE_URL", url)

    assert load().openai_base_url == url


def test_a_refused_address_shows_no_password(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:hunter2@example.org/v1")

    with pytest.raises(BadSetting) as refusal:
        load()

    assert "hunter2" not in str(refusal.value)


def test_the_key_may_come_from_a_mounted_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("sk-mounted\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("OPENAI_API_KEY", "")

    settings = load()

    assert settings.openai_api_key.get_secret_value() == "sk-mounted"
    assert settings.has_api_key
    assert "sk-mounted" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("redis://worker@redis:6379/0", "redis://worker:p%2Fw%40%20%3A1@redis:6379/0"),
        ("redis://redis:6379/0", "redis://:p%2Fw%40%20%3A1@redis:6379/0"),
        ("unix:///run/redis.sock", "unix://:p%2Fw%40%20%3A1@/run/redis.sock"),
        (
            "sentinel://worker@one:26379,two:26379/m/0",
            "sentinel://worker:p%2Fw%40%20%3A1@one:26379,two:26379/m/0",
        ),
    ],
)
def test_the_password_of_redis_may_come_from_a_mounted_file(monkeypatch, tmp_path, url, complete):
    (tmp_path / "password").write_text("p/w@ :1\n")
    monkeypatch.setenv("SLOTGEN_REDIS_URL", url)
    monkeypatch.setenv("SLOTGEN_REDIS_PASSWORD_FILE", str(tmp_path / "password"))

    assert load().redis_url == complete


@pytest.mark.parametrize("name", ["OPENAI_API_KEY_FILE", "SLOTGEN_REDIS_PASSWORD_FILE"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "not one line of text"),
        (b"hunter2\nhunter3", "not one line of text"),
        (b"hunter2\xff", "not UTF-8"),
        (b"hunter2" * 1000, "more than 4096 bytes"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_named_and_never_shown(
    monkeypatch, tmp_path, name, content, why
):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(name, str(path))

    with pytest.raises(BadSetting) as refusal:
        load()

    assert str(refusal.value).startswith(f"{name} is '{path}' ({why}); name a readable file")
    assert "hunter" not in str(refusal.value)


@pytest.mark.parametrize(
    ("names", "given"),
    [
        (("OPENAI_API_KEY", "OPENAI_API_KEY_FILE"), "sk-hunter2"),
        (("SLOTGEN_REDIS_URL", "SLOTGEN_REDIS_PASSWORD_FILE"), "redis://worker:hunter2@redis:6379/0"),
    ],
)
def test_a_secret_from_two_places_is_refused(monkeypatch, tmp_path, names, given):
    (tmp_path / "secret").write_text("hunter3")
    monkeypatch.setenv(names[0], given)
    monkeypatch.setenv(names[1], str(tmp_path / "secret"))

    with pytest.raises(BadSetting, match=f"{names[0]} and {names[1]} ") as refusal:
        load()

    assert "hunter" not in str(refusal.value)
