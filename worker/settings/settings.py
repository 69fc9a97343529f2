"""The only reader of the environment: every setting, validated at start, with the remedy beside it."""

import os
import re
import ssl
from collections.abc import Callable, Collection
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from gates import Ceilings
from tasks.operations.changes import spend_cap
from worker.settings import secret_files
from worker.settings.redis_url import REDIS_URL_FORMS, check_url, with_password

COOLDOWN_SECONDS = 600
_HIDDEN = "a value that cannot be used"
# In the name of an option.
_SECRETS = re.compile(r"pass|secret|token|key=", re.IGNORECASE)

_NEEDED_TO_HALT = {"SLOTGEN_REDIS_URL", "SLOTGEN_REDIS_PASSWORD_FILE", "SLOTGEN_NAMESPACE"}


class BadSetting(Exception):  # noqa: N818 - reads as what it is
    """A setting cannot be used; each line of the text has a setting's name, value and remedy."""


def _api_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value().strip()
    if not key.isascii() or (key and not key.isprintable()):
        raise ValueError("a key has printable ASCII characters only")
    return SecretStr(key)


def _usd(value: str) -> str:
    if spend_cap.parse(value.encode("ascii", "replace")) is None:
        raise ValueError("not an amount in dollars")
    return value


def _secret_file(check: Callable[[SecretStr], SecretStr] = lambda secret: secret) -> BeforeValidator:
    def content(path: str) -> SecretStr:
        try:
            secret = secret_files.read(Path(path))
            check(secret)
        except (OSError, ValueError) as error:
            why = (isinstance(error, OSError) and error.strerror) or str(error)
            raise PydanticCustomError("secret_file", "{why}", {"why": why}) from None
        return secret

    return BeforeValidator(content)


def http_url(value: str) -> str:
    """Return `value` if it is a URL that every HTTP client of ours takes as it stands. Raises ValueError."""
    url = HttpUrl(value)
    if url.query is not None or url.fragment is not None:
        # The SDK would put its path behind them.
        raise ValueError("a query, or a fragment")
    if url.username is not None or url.password is not None:
        # The key is the one credential; the transport refuses a second one with each request.
        raise ValueError("a user")
    # It is used as it stands, and not as it was understood here.
    written = urlsplit(value)
    if not value.isprintable() or set(" \\") & set(value) or not written.hostname or written.port == 0:
        raise ValueError("no plain host")
    # As the resolver is asked: no label is empty or too long.
    written.hostname.rstrip(".").encode("idna")
    return value


def _collector(value: str) -> str:
    # As OpenTelemetry's specification has it, an empty one is as good as none.
    if not value:
        return value
    if urlsplit(value).path.rstrip("/").endswith("/v1/traces"):
        raise ValueError("the path is added")
    return http_url(value)


def _certificates(value: str) -> str:
    try:
        ssl.create_default_context(cafile=value)
    except OSError:
        raise ValueError("no certificates") from None
    return value


def _setting(env: str, remedy: str, default: Any = ..., **bounds: Any) -> Any:
    return Field(default, validation_alias=env, description=remedy, **bounds)


def _number(env: str, default: float, low: int, high: int, what: str) -> Any:
    finite = {"allow_inf_nan": False} if isinstance(default, float) else {}
    return _setting(env, f"set {low}-{high}{what}", default, ge=low, le=high, **finite)


class Settings(BaseModel):
    """The environment of one process. Field order is the order of the contract's section 11.

    The two secret files are read with the rest: what they hold stands in `redis_url` and `openai_api_key`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    redis_url: Annotated[str, AfterValidator(check_url)] = _setting(
        "SLOTGEN_REDIS_URL",
        f"{REDIS_URL_FORMS} (to try slotgen without a Redis: slotgen dev)",
        repr=False,  # it may carry a password
    )
    redis_password_file: Annotated[SecretStr, _secret_file()] | None = _setting(
        "SLOTGEN_REDIS_PASSWORD_FILE", "name a readable file with nothing but the password", None
    )
    namespace: str = _setting(
        "SLOTGEN_NAMESPACE", "use 1-64 letters, digits, - or _", "slotgen", pattern=r"^[A-Za-z0-9_-]{1,64}$"
    )
    openai_api_key: Annotated[SecretStr, AfterValidator(_api_key)] | None = _setting(
        "OPENAI_API_KEY", "set the key of your OpenAI project", None
    )
    openai_api_key_file: Annotated[SecretStr, _secret_file(_api_key)] | None = _setting(
        "OPENAI_API_KEY_FILE", "name a readable file with nothing but the key", None
    )
    openai_base_url: Annotated[str, AfterValidator(http_url)] | None = _setting(
        "OPENAI_BASE_URL", "set an address such as https://HOST/v1, or unset it", None
    )
    ssl_cert_file: Annotated[str, AfterValidator(_certificates)] | None = _setting(
        "SSL_CERT_FILE", "name a readable file of certificates (PEM), or unset it", None
    )
    allow_plain_http: bool = _setting(
        "SLOTGEN_ALLOW_PLAIN_HTTP", "set true or false, or unset it", default=False
    )
    concurrency: int = _number("SLOTGEN_CONCURRENCY", 200, 1, 1000, " calls at once of one process")
    metrics_port: int = _number(
        "SLOTGEN_METRICS_PORT", 9464, 0, 65535, ", the number of a TCP port (0: any free one)"
    )
    metrics_host: str = _setting(
        "SLOTGEN_METRICS_HOST",
        "set the address to listen on",
        "0.0.0.0",  # noqa: S104 - Prometheus comes from outside
    )
    visibility_timeout_seconds: int = _number(
        "SLOTGEN_VISIBILITY_TIMEOUT_SECONDS",
        14_400,
        10,
        86_400,
        " seconds, longer than the longest spec takes",
    )
    worker_lost_seconds: int = _number(
        "SLOTGEN_WORKER_LOST_SECONDS", 15, 3, 600, " seconds of silence after which a worker is lost"
    )
    shutdown_grace_seconds: float = _number(
        "SLOTGEN_SHUTDOWN_GRACE_SECONDS",
        25.0,
        0,
        3600,
        " seconds, less than the deployment waits before SIGKILL",
    )
    brake_grace_seconds: float = _number("SLOTGEN_BRAKE_GRACE_SECONDS", 5.0, 1, 60, " seconds")
    control_read_timeout_ms: int = _number("SLOTGEN_CONTROL_READ_TIMEOUT_MS", 250, 10, 5000, " milliseconds")
    max_message_bytes: int = _number("SLOTGEN_MAX_MESSAGE_BYTES", 262_144, 1024, 16_777_216, " bytes")
    executor_config: Path | None = _setting("SLOTGEN_EXECUTOR_CONFIG", "name a readable JSON file", None)
    budget_usd: Annotated[str, AfterValidator(_usd)] | None = _setting(
        "SLOTGEN_BUDGET_USD", f"{spend_cap.DIAL.remedy}, or unset it for no cap", None
    )
    budget_window_seconds: int = _number("SLOTGEN_BUDGET_WINDOW_SECONDS", 86_400, 60, 2_678_400, " seconds")
    cache_answers: int = _number(
        "SLOTGEN_CACHE_ANSWERS", 100_000, 1, 10_000_000, " paid answers to keep at most"
    )
    history_outcomes: int = _number(
        "SLOTGEN_HISTORY_OUTCOMES", 50_000, 1000, 10_000_000, " outcomes to keep for status, report and tail"
    )
    stream_results: int = _number(
        "SLOTGEN_STREAM_RESULTS", 0, 0, 10_000_000, " results to keep in the stream (0: there is none)"
    )
    result_ttl_seconds: int = _number(
        "SLOTGEN_RESULT_TTL_SECONDS", 86_400, 60, 2_678_400, " seconds for which producers find their results"
    )
    dead_letters: int = _number(
        "SLOTGEN_DEAD_LETTERS", 10_000, 10, 1_000_000, " rejected messages to keep at most"
    )
    dead_letter_bytes: int = _number(
        "SLOTGEN_DEAD_LETTER_BYTES", 134_217_728, 1_048_576, 17_179_869_184, " bytes of them in all"
    )
    dead_letter_seconds: int = _number(
        "SLOTGEN_DEAD_LETTER_SECONDS", 2_592_000, 3600, 31_536_000, " seconds to keep each of them"
    )
    longest_cooldown_seconds: int = _number(
        "SLOTGEN_LONGEST_COOLDOWN_SECONDS",
        COOLDOWN_SECONDS,
        1,
        86_400,
        " seconds for which requests wait at most because the server asked for it",
    )
    observation_seconds: int = _number(
        "SLOTGEN_OBSERVATION_SECONDS",
        900,
        # What an operator's shell has inherited may make the window longer, and no shorter.
        900,
        86_400,
        " seconds to observe before another dimension may be widened",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting(
        "SLOTGEN_LOG_LEVEL", "set DEBUG, INFO, WARNING or ERROR", "INFO"
    )
    otlp_endpoint: Annotated[str, AfterValidator(_collector)] = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "set where a collector takes OTLP over HTTP, as http://HOST:4318 without /v1/traces, or unset it",
        "",
    )

    @cached_property
    def ceilings(self) -> Ceilings:
        """The limits that the environment sets on the dials; each dial names its variable."""
        return Ceilings.parse(os.environ)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        Ceilings.parse(os.environ)
        # A worker that is cut off goes on with its calls for as long as the grace period.
        if self.worker_lost_seconds <= self.brake_grace_seconds:
            raise ValueError(
                f"SLOTGEN_WORKER_LOST_SECONDS is {self.worker_lost_seconds}; set more than the "
                f"{self.brake_grace_seconds:g} of SLOTGEN_BRAKE_GRACE_SECONDS, in which its calls go on"
            )
        url = self.openai_base_url
        if url and not (self.allow_plain_http or url.startswith("https://") or is_loopback(url)):
            raise ValueError(
                f"OPENAI_BASE_URL is {_shown('OPENAI_BASE_URL', url)}, and the key would cross the network "
                "in clear; set https://…, or SLOTGEN_ALLOW_PLAIN_HTTP=true for a server on your own network"
            )
        if self.openai_api_key_file and self.has_api_key:
            raise ValueError("OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set; unset one of them")
        return self

    @property
    def has_api_key(self) -> bool:
        """Whether there is a key; deployments without one pass an empty variable."""
        return self.openai_api_key is not None and bool(self.openai_api_key.get_secret_value().strip())

    @property
    def exposed_files(self) -> list[str]:
        """The secret files that others can read or change, each with its mode and the remedy."""
        files = (self.redis_password_file, self.openai_api_key_file)
        return [each.exposed for each in files if isinstance(each, secret_files.FileSecret) and each.exposed]

    @property
    def budget_nano_usd(self) -> int | None:
        """The spend cap in nano-dollars, None for none."""
        return None if self.budget_usd is None else spend_cap.parse(self.budget_usd.encode())


def load(**overrides: Any) -> Settings:
    """Return the settings: `overrides` (command-line flags, by field name) win over the environment.

    Raises:
        BadSetting: one line for each setting that cannot be used.

    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**_environment(without=given.keys()), **given)
    except ValidationError as error:
        raise BadSetting("\n".join(_line(each) for each in error.errors())) from None
    read: dict[str, Any] = {}
    if settings.openai_api_key_file:
        read["openai_api_key"] = settings.openai_api_key_file
    if settings.redis_password_file:
        password = settings.redis_password_file.get_secret_value()
        try:
            read["redis_url"] = with_password(settings.redis_url, password)
        except ValueError:
            raise BadSetting(
                "SLOTGEN_REDIS_URL and SLOTGEN_REDIS_PASSWORD_FILE both hold a password; leave it to the file"
            ) from None
    return settings.model_copy(update=read)


def _environment(*, without: Collection[str]) -> dict[str, Any]:
    """Return the variables of all fields but those, whatever the case of their names."""
    found = {name.upper(): value for name, value in os.environ.items()}
    named = {each.validation_alias for own, each in Settings.model_fields.items() if own not in without}
    return {name: value for name, value in found.items() if name in named}


def load_to_halt(**overrides: Any) -> tuple[Settings, list[str]]:
    """Return the settings under `overrides`, and a line for each bad variable that a halt does not need.

    Those variables are left out.

    Raises:
        BadSetting: one that says which Redis it is, and which of its keys.

    """
    ignored: list[str] = []
    while True:
        try:
            return load(**overrides), ignored
        except BadSetting as bad:
            lines = str(bad).splitlines()
            names = {line.split()[0] for line in lines}
            left_out = [each for each in os.environ if each.upper() in names - _NEEDED_TO_HALT]
            if names & _NEEDED_TO_HALT or not left_out:
                raise
            ignored += lines
            for each in left_out:
                del os.environ[each]


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _line(error: ErrorDetails) -> str:
    if not error["loc"]:
        # One of several settings that do not agree: its text is whole.
        return str(error["ctx"]["error"])
    # The variable's name or, for a flag, its field's.
    name = error["loc"][0]
    fields = Settings.model_fields.items()
    field = next(each for own, each in fields if name in {own, each.validation_alias})
    env, remedy = field.validation_alias, field.description
    if error["type"] == "missing":
        return f"{env} is not set; {remedy}"
    why = f" ({error['msg']})" if error["type"] == "secret_file" else ""
    return f"{env} is {_shown(str(env), error['input'])}{why}; {remedy}"


def _shown(env: str, value: object) -> str:
    """Return `value` as it may be said: no key that stands where its file's name should, no URL's secrets."""
    text = str(value)
    key = env == "OPENAI_API_KEY" or (env.endswith("_FILE") and not set("/.") & set(text))
    secret = "@" in text or (env.endswith(("_URL", "_ENDPOINT")) and _SECRETS.search(text))
    return _HIDDEN if key or secret else repr(value)
