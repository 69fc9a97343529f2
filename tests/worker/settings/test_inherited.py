"""What a dependency reads of the environment is dropped, checked as a setting, or known to be harmless."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from opentelemetry.sdk import environment_variables

from tests.surroundings import ROOT
from worker.settings.inherited import drop_inherited
from worker.settings.settings import Settings

# What a source file asks the environment for: by its name, by a constant of the same file, or by a function
# or an argument that is called after it.
_NAME = r"""["'](_?[A-Za-z][A-Za-z0-9_]+)["']"""
_READS = (
    re.compile(rf"environb?\s*(?:\.\w+\s*)?[\[(]\s*{_NAME}"),
    re.compile(rf"\w*env\w*\s*\(\s*{_NAME}"),
    re.compile(rf"env(?:var)?\w*\s*(?::\s*\w+\s*)?=\s*{_NAME}"),
    re.compile(rf"{_NAME}\s+(?:not\s+)?in\s+(?:os\.)?environ"),
)
_BY_CONSTANT = re.compile(r"(?:environ(?:\.\w+)?\s*[\[(]|getenv\()\s*([A-Z_]{3,})\b")
# Installed, and imported by no part of ours.
_NEVER_IMPORTED = {"setuptools"}
# Its tests, and Celery's own command line.
_ASIDE = {"tests", "test", "testing", "bin", "conftest.py"}
_SETTINGS = {str(each.validation_alias) for each in Settings.model_fields.values()}
_HARMLESS = {
    "the same answers without the compiled form": """
        FROZENLIST_NO_EXTENSIONS MULTIDICT_NO_EXTENSIONS PROPCACHE_NO_EXTENSIONS YARL_NO_EXTENSIONS
        WCWIDTH_PYTHON PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION""",
    "that the versions of generated code are not compared": "TEMPORARILY_DISABLE_PROTOBUF_VERSION_CHECK",
    "for sessions that trust the environment, and ours does not": "CURL_CA_BUNDLE REQUESTS_CA_BUNDLE",
    "how a command's output looks": """
        COLORTERM COLUMNS ConEmuANSI DATABRICKS_RUNTIME_VERSION FORCE_COLOR GITHUB_ACTIONS JUPYTER_COLUMNS
        JUPYTER_LINES LINES NO_COLOR PROMPT_TOOLKIT_BELL PROMPT_TOOLKIT_COLOR_DEPTH PROMPT_TOOLKIT_NO_CPR
        PY_COLORS TERM TERM_PROGRAM TTY_COMPATIBLE TTY_INTERACTIVE UNICODE_VERSION ITERM_PROFILE""",
    "completion of words, which a shell asks for": """
        COMP_CWORD COMP_WORDS SHELL XDG_CONFIG_HOME _TYPER_COMPLETE_ARGS _TYPER_COMPLETE_FISH_ACTION
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION _TYPER_COMPLETE_WORD_TO_COMPLETE
        _TYPER_FORCE_DISABLE_TERMINAL _TYPER_STANDARD_TRACEBACK""",
    "editors and pagers, which no command starts": "EDITOR LESS PAGER VISUAL",
    "where programs and a home are, and the time zone of the log's reader": "HOME PATH TZ",
    "a field of a WSGI request": """
        CONTENT_LENGTH HTTP_ACCEPT HTTP_ACCEPT_ENCODING PATH_INFO QUERY_STRING REQUEST_METHOD""",
    "clouds other than OpenAI's own API": """
        AWS_BEARER_TOKEN_BEDROCK AWS_BEDROCK_BASE_URL AWS_DEFAULT_REGION AWS_REGION
        AZURE_OPENAI_AD_TOKEN AZURE_OPENAI_API_KEY AZURE_OPENAI_ENDPOINT GOOGLE_CLOUD_LOCATION
        GOOGLE_CLOUD_PROJECT""",
    "brokers other than Redis": """
        PUBSUB_EMULATOR_HOST SLMQ_ACCOUNT SLMQ_HOST SLMQ_PORT SLMQ_SECURE SL_API_KEY SL_USERNAME""",
    "pools of processes, of which there is none": """
        MP_MAIN_FILE MULTIPROCESSING_FORKING_DISABLE NUMBER_OF_PROCESSORS _MP_FORK_LOGFILE_
        _MP_FORK_LOGFORMAT_ _MP_FORK_LOGLEVEL_""",
    "the library's own tests, examples and command line": """
        CLICK_PLUGINS_HONESTLY FOO ME NO_WORKER celery_dummy_proxy""",
    "a file that is not read: .netrc": "NETRC",
    "Python's own": "PYTHONASYNCIODEBUG",
}


def runtime() -> list[str]:
    locked = re.findall(
        r"^([a-z0-9][\w.-]*)==", (ROOT / "requirements/runtime.lock").read_text(), re.MULTILINE
    )
    return sorted({*locked, *_brought_by("opentelemetry-exporter-otlp-proto-http")} - _NEVER_IMPORTED)


def _brought_by(distribution: str) -> set[str]:
    """Return what an extra's distribution needs, which is locked for development alone."""
    needed = [each for each in metadata.requires(distribution) or () if "extra ==" not in each]
    names = {re.split(r"[^\w.-]", each)[0].lower() for each in needed}
    return {distribution}.union(*map(_brought_by, names))


def sources(distribution: str) -> Iterator[str]:
    try:
        files = metadata.distribution(distribution).files or ()
    except metadata.PackageNotFoundError:  # one for another platform
        return
    for each in files:
        if each.suffix == ".py" and not _ASIDE & set(each.parts):
            yield Path(str(each.locate())).read_text("utf-8", "replace")


def read_by(distribution: str) -> set[str]:
    """Return the names of the variables that its sources read."""
    found = set()
    for text in sources(distribution):
        if "env" in text:
            found |= {name for pattern in _READS for name in pattern.findall(text)}
            for constant in _BY_CONSTANT.findall(text):
                found |= set(re.findall(rf"^{constant}\b.*=\s*{_NAME}", text, re.MULTILINE))
    # A keyword argument such as `env="…"` may hold anything: a variable has a capital, and none but capitals.
    return {name for name in found if name.upper() == name or name in " ".join(_HARMLESS.values()).split()}


def left(names: set[str], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return those that a process still has once it has dropped what it inherited."""
    for each in names:
        monkeypatch.setenv(each, "1")
    drop_inherited()
    return names & os.environ.keys()


@pytest.mark.parametrize("distribution", runtime())
def test_nothing_else_that_a_dependency_reads_is_left_to_it(distribution, monkeypatch):
    harmless = {name for names in _HARMLESS.values() for name in names.split()}

    assert left(read_by(distribution), monkeypatch) - harmless - _SETTINGS == set()


def test_the_reading_finds_what_is_known_to_be_read():
    assert {"CELERY_BROKER_URL", "CELERY_CONFIG_MODULE", "DJANGO_SETTINGS_MODULE"} <= read_by("celery")
    assert {"OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_LOG"} <= read_by("openai")
    assert "PYDANTIC_DISABLE_PLUGINS" in read_by("pydantic")
    assert "SSL_CERT_FILE" in read_by("httpcore2")


def test_one_variable_of_opentelemetry_is_left(monkeypatch):
    names = {name for name in vars(environment_variables).values() if isinstance(name, str)}
    named = {name for name in names if name.startswith("OTEL_")}

    assert len(named) > 50
    assert left(named, monkeypatch) == {"OTEL_EXPORTER_OTLP_ENDPOINT"}


def test_no_name_is_excused_that_nothing_reads():
    read = set().union(*map(read_by, runtime()))

    assert {name for names in _HARMLESS.values() for name in names.split()} - read == set()


def test_no_number_is_longer_than_pythons_default_though_the_environment_lifts_that():
    ran = dropped("print(sys.get_int_max_str_digits())", PYTHONINTMAXSTRDIGITS="0")

    assert ran.stdout.strip() == b"4300"


def dropped(
    code: str, *options: str, stdin: bytes = b"", stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `code` in a Python of its own, which has dropped what it inherited."""
    code = f"import os, sys; from worker.settings.inherited import drop_inherited; drop_inherited(); {code}"
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, **environment},
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "cp037", "utf-8-sig", "ascii"])
def test_streams_are_utf_8_whatever_encoding_is_inherited(encoding):
    code = "text = sys.stdin.read(); sys.stdout.write(ascii(text)); sys.stderr.write(text)"

    ran = dropped(code, stdin="Größe 水".encode(), PYTHONIOENCODING=encoding)

    assert (ran.stdout, ran.stderr) == (ascii("Größe 水").encode(), "Größe 水".encode())


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"PYTHONUTF8": "1"}, "Größe"),
        ({"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}, r"Gr\xf6\xdfe"),
    ],
)
def test_a_terminal_gets_its_own_encoding_and_no_inherited_one(environment, shown):
    screen, terminal = os.openpty()
    with os.fdopen(screen, "rb", buffering=0) as reader, os.fdopen(terminal, "wb") as stdout:
        ran = dropped(
            "print('Gr\\xf6\\xdfe')", stdout=stdout.fileno(), PYTHONIOENCODING="utf-16", **environment
        )
        assert (ran.returncode, ran.stderr) == (0, b"")
        said = reader.read(100)

    assert said == f"{shown}\r\n".encode()


@pytest.mark.parametrize("code", [0, 1, 2])
def test_an_exit_code_is_not_lost_though_python_is_to_stay(code):
    ran = dropped(f"print(os.environ.get('PYTHONINSPECT')); sys.exit({code})", PYTHONINSPECT="1")

    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (code, b"None", b"")


def test_no_allocation_is_traced_though_the_environment_asks_for_it():
    ran = dropped("import tracemalloc; print(tracemalloc.is_tracing())", PYTHONTRACEMALLOC="25")

    assert ran.stdout.strip() == b"False"


def test_python_does_what_its_command_line_asks_for():
    stays = dropped("pass", "-i", stdin=b"print(6 * 7)", PYTHONINSPECT="1")
    traced = dropped("import tracemalloc; print(tracemalloc.is_tracing())", "-X", "tracemalloc")

    assert (stays.stdout.strip(), traced.stdout.strip()) == (b"42", b"True")
