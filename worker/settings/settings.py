"""The only reader of the environment: every setting, validated at start, with the remedy beside it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gates import Ceilings
from tasks.operations.changes import spend_cap
from worker.settings import redis_url, secret_files

_URL_OPTIONS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"}
_SCHEMES = ("redis://", "rediss://", "unix://", redis_url.SCHEME)


class BadSetting(Exception):  # noqa: N818 - reads as what it is
    """A setting cannot be used; each line of the text has its name, its value and the remedy."""


def _redis_url(value: str) -> str:
    if not value.startswith(_SCHEMES):
        raise ValueError("not a Redis URL")
    if value.startswith(redis_url.SCHEME):
        redis_url.SentinelUrl.parse(value)
    elif not value.startswith("unix://"):
        _refuse_bad_address(value)
    if value.startswith("rediss://") and "ssl_cert_reqs=required" not in value:
        # Without it the broker's connection would accept any certificate.
        raise ValueError("no certificate check")
    return value


def _refuse_bad_address(value: str) -> None:
    parts = urlsplit(value)
    # `port` raises ValueError by itself for what is no port.
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host, or no port")
    if parts.path not in {"", "/"} and not parts.path[1:].isdecimal():
        raise ValueError("the database is a number")
    unknown = set(parse_qs(parts.query)) - _URL_OPTIONS
    if unknown:
        raise ValueError(f"unknown option {min(unknown)}")


def _api_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value().strip()
    if not key.isascii() or (key and not key.isprintable()):
        raise ValueError("a key has printable ASCII characters only")
    return SecretStr(key)


def _usd(value: str) -> str:
    if spend_cap.parse(value.encode("ascii", "replace")) is None:
        raise ValueError("no number of dollars")
    return value


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("not an HTTP URL")
    return value


def _name(env: str, remedy: str, default: Any = ..., **bounds: Any) -> Any:
    return Field(default, validation_alias=env, json_schema_extra={"remedy": remedy}, **bounds)


class Settings(BaseSettings):
    """The environment of one process. Field order is the order of the contract's section 11."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    redis_url: Annotated[str, AfterValidator(_redis_url)] = _name(
        "SLOTGEN_REDIS_URL",
        "set redis://HOST:6379/0, rediss://HOST:6379/0?ssl_cert_reqs=required, unix:///PATH "
        "or sentinel://HOST:26379,HOST:26379/SERVICE/0 (to try slotgen without a Redis: slotgen dev)",
        repr=False,  # it may carry a password
    )
    redis_password_file: Path | None = _name(
        "SLOTGEN_REDIS_PASSWORD_FILE", "name a readable file with nothing but the password", None
    )
    namespace: str = _name(
        "SLOTGEN_NAMESPACE", "use 1-64 letters, digits, - or _", "slotgen", pattern=r"^[A-Za-z0-9_-]{1,64}$"
    )
    openai_api_key: Annotated[SecretStr, AfterValidator(_api_key)] | None = _name(
        "OPENAI_API_KEY", "set the key of your OpenAI project", None
    )
    openai_api_key_file: Path | None = _name(
        "OPENAI_API_KEY_FILE", "name a readable file with nothing but the key", None
    )
    openai_base_url: Annotated[str, AfterValidator(_http_url)] | None = _name(
        "OPENAI_BASE_URL", "set an address such as https://HOST/v1, or unset it", None
    )
    allow_plain_http: bool = _name(
        "SLOTGEN_ALLOW_PLAIN_HTTP", "set true or false, or unset it", default=False
    )
    concurrency: int = _name(
        "SLOTGEN_CONCURRENCY", "set the calls at once of one process, 1-1000", 200, ge=1, le=1000
    )
    metrics_port: int = _name(
        "SLOTGEN_METRICS_PORT", "set a TCP port, 0-65535 (0: any free one)", 9464, ge=0, le=65535
    )
    metrics_host: str = _name(
        "SLOTGEN_METRICS_HOST",
        "set the address to listen on",
        "0.0.0.0",  # noqa: S104 - Prometheus comes from outside
    )
    visibility_timeout_seconds: int = _name(
        "SLOTGEN_VISIBILITY_TIMEOUT_SECONDS",
        "set 10-86400 seconds, longer than the longest spec takes",
        14_400,
        ge=10,
        le=86400,
    )
    worker_lost_seconds: int = _name(
        "SLOTGEN_WORKER_LOST_SECONDS",
        "set 3-600 seconds of silence after which a worker is lost",
        15,
        ge=3,
        le=600,
    )
    shutdown_grace_seconds: float = _name(
        "SLOTGEN_SHUTDOWN_GRACE_SECONDS",
        "set 0-3600 seconds, less than the deployment waits before SIGKILL",
        25.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
    )
    brake_grace_seconds: float = _name(
        "SLOTGEN_BRAKE_GRACE_SECONDS", "set 1-60 seconds", 5.0, ge=1, le=60, allow_inf_nan=False
    )
    control_read_timeout_ms: int = _name(
        "SLOTGEN_CONTROL_READ_TIMEOUT_MS", "set 10-5000 milliseconds", 250, ge=10, le=5000
    )
    max_message_bytes: int = _name(
        "SLOTGEN_MAX_MESSAGE_BYTES", "set 1024-16777216 bytes", 262_144, ge=1024, le=16_777_216
    )
    executor_config: Path | None = _name("SLOTGEN_EXECUTOR_CONFIG", "name a readable JSON file", None)
    budget_usd: Annotated[str, AfterValidator(_usd)] | None = _name(
        "SLOTGEN_BUDGET_USD", f"{spend_cap.DIAL.remedy}, or unset it for no cap", None
    )
    budget_window_seconds: int = _name(
        "SLOTGEN_BUDGET_WINDOW_SECONDS", "set 60-2678400 seconds", 86_400, ge=60, le=2_678_400
    )
    cache_answers: int = _name(
        "SLOTGEN_CACHE_ANSWERS",
        "set how many paid answers to keep at most, 1-10000000",
        100_000,
        ge=1,
        le=10_000_000,
    )
    history_outcomes: int = _name(
        "SLOTGEN_HISTORY_OUTCOMES",
        "set how many outcomes to keep for status, report and tail, 1000-10000000",
        50_000,
        ge=1000,
        le=10_000_000,
    )
    stream_results: int = _name(
        "SLOTGEN_STREAM_RESULTS",
        "set how many results the stream keeps, 0-10000000 (0: there is none)",
        0,
        ge=0,
        le=10_000_000,
    )
    observation_seconds: int = _name(
        "SLOTGEN_OBSERVATION_SECONDS",
        "set 0-86400 seconds to observe before another dimension may be widened",
        900,
        ge=0,
        le=86_400,
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _name(
        "SLOTGEN_LOG_LEVEL", "set DEBUG, INFO, WARNING or ERROR", "INFO"
    )

    @cached_property
    def ceilings(self) -> Ceilings:
        """What the environment restricts the dials to; each dial names its variable. Raises ValueError."""
        return Ceilings.parse(os.environ)

    @property
    def has_api_key(self) -> bool:
        """Whether there is a key; deployments pass an empty variable where there is none."""
        return self.openai_api_key is not None and bool(self.openai_api_key.get_secret_value().strip())

    @property
    def budget_nano_usd(self) -> int | None:
        """The spend cap in nano-dollars, None for none."""
        return None if self.budget_usd is None else spend_cap.parse(self.budget_usd.encode())


@dataclass(frozen=True, slots=True)
class _Named:
    env: str
    remedy: str


def load(**overrides: Any) -> Settings:
    """Return the settings: `overrides` (command-line flags, by field name) win over the environment.

    Raises:
        BadSetting: one line for each setting that cannot be used.

    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise BadSetting("\n".join(_line(each) for each in error.errors())) from None
    _refuse_bad_ceilings(settings)
    _refuse_early_loss(settings)
    _refuse_plain_http(settings)
    return _with_secrets(settings)


def _with_secrets(settings: Settings) -> Settings:
    """Return the settings with what the secret files hold in its place."""
    read: dict[str, Any] = {}
    if settings.openai_api_key_file:
        if settings.has_api_key:
            raise BadSetting("OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set; unset one of them")
        read["openai_api_key"] = _secret("openai_api_key_file", settings.openai_api_key_file, _api_key)
    if settings.redis_password_file:
        password = _secret("redis_password_file", settings.redis_password_file)
        try:
            read["redis_url"] = secret_files.with_password(settings.redis_url, password.get_secret_value())
        except ValueError:
            raise BadSetting(
                "SLOTGEN_REDIS_URL and SLOTGEN_REDIS_PASSWORD_FILE both hold a password; leave it to the file"
            ) from None
    return settings.model_copy(update=read)


def _secret(
    field: str, path: Path, check: Callable[[SecretStr], SecretStr] = lambda secret: secret
) -> SecretStr:
    try:
        return check(secret_files.read(path))
    except (OSError, ValueError) as error:
        named = _named(field)
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise BadSetting(f"{named.env} is {str(path)!r} ({why}); {named.remedy}") from None


def _refuse_plain_http(settings: Settings) -> None:
    url = settings.openai_base_url
    if settings.allow_plain_http or not url or url.startswith("https://") or _is_loopback(url):
        return
    named = _named("openai_base_url")
    raise BadSetting(
        f"{named.env} is {_shown(named, url)}, and the key would cross the network in clear; set https://…, "
        "or SLOTGEN_ALLOW_PLAIN_HTTP=true for a server on a network of your own"
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_early_loss(settings: Settings) -> None:
    # A worker that is cut off goes on with its calls for as long as the grace period.
    if settings.worker_lost_seconds <= settings.brake_grace_seconds:
        raise BadSetting(
            f"SLOTGEN_WORKER_LOST_SECONDS is {settings.worker_lost_seconds}; set more than the "
            f"{settings.brake_grace_seconds:g} of SLOTGEN_BRAKE_GRACE_SECONDS, in which its calls go on"
        )


def _refuse_bad_ceilings(settings: Settings) -> None:
    try:
        _ = settings.ceilings
    except ValueError as error:
        raise BadSetting(str(error)) from None


def _line(error: Any) -> str:
    named = _named(str(error["loc"][0]))
    if error["type"] == "missing":
        return f"{named.env} is not set; {named.remedy}"
    return f"{named.env} is {_shown(named, error['input'])}; {named.remedy}"


def _shown(named: _Named, value: object) -> str:
    # A Redis URL may carry a password, and a key is a key.
    secret = named.env == "OPENAI_API_KEY" or "@" in str(value)
    return "a value that cannot be used" if secret else repr(value)


def _named(location: str) -> _Named:
    for name, field in Settings.model_fields.items():
        if location in (name, field.validation_alias):
            extra = field.json_schema_extra
            remedy = extra["remedy"] if isinstance(extra, dict) else ""
            return _Named(str(field.validation_alias), str(remedy))
    return _Named(location, "see the settings table of the README")
