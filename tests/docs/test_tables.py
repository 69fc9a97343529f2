"""The tables of commands, settings and error codes are those of the code."""

from __future__ import annotations

import inspect
import re

import aiohttp

import schemas
from gates import DIALS
from tasks.errors import RETRYABLE, ErrorCode, Status
from tasks.generate.intake import _ENVELOPE_BYTES, MessageLimits
from telemetry.exporter import BOUNDS
from telemetry.metrics import METRICS
from tests.surroundings import ROOT
from worker.adapters.celery.in_hand import MOST_MEMORY_BYTES
from worker.adapters.openai.body import MAX_BODIES_BYTES, MAX_BODY_BYTES
from worker.adapters.openai.model import _TOKEN_CHARACTERS
from worker.adapters.redis.console.kill_switch_lever import WORDS_BYTES
from worker.adapters.redis.jobs.dead_letters import _WORDS_BYTES
from worker.adapters.redis.jobs.history import _NAME_BYTES
from worker.adapters.redis.keys import AUDIT
from worker.settings.settings import Settings


def table(name: str, page: str) -> list[list[str]]:
    text = (
        (ROOT / "docs" / page)
        .read_text("utf-8")
        .split(f"<!-- {name}:", 1)[1]
        .split("-->", 1)[1]
        .lstrip("\n")
        .split("\n\n", 1)[0]
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return rows[2:]


def test_the_error_code_table_is_the_closed_vocabulary_with_its_statuses():
    rows = {row[0].strip("`"): row[1] for row in table("errorCodes", "error-codes.md")}

    assert set(rows) == {code.value for code in ErrorCode}
    for code, status in rows.items():
        event = {
            "version": "v1",
            "executorVersion": "x",
            "jobId": "j",
            "path": "stub",
            "latencyMs": 1,
            "errorCode": code,
        }
        assert schemas.is_valid("telemetry.v1", event | {"status": status}), code
        assert status in set(Status)


def test_what_failed_is_worth_sending_again_where_enqueue_again_sends_it():
    failed = [row for row in table("errorCodes", "error-codes.md") if row[1] == Status.FAILED]

    assert {row[4].partition(",")[0] for row in failed} == {"yes", "no"}
    assert {row[0].strip("`") for row in failed if row[4].startswith("yes")} == RETRYABLE


def test_the_settings_table_is_the_settings():
    names = [row[0].strip("`") for row in table("settings", "settings.md")]

    variables = [dial.variable for dial in DIALS if dial.variable]
    assert names == [*(str(field.validation_alias) for field in Settings.model_fields.values()), *variables]


def test_the_settings_table_has_the_real_defaults():
    defaults = {str(field.validation_alias): field.default for field in Settings.model_fields.values()}
    for name, default, _ in table("settings", "settings.md"):
        actual = defaults.get(name.strip("`"))
        if re.fullmatch(r"`?[\w.]+`?", default) and default not in {"none", "unset", "shipped"}:
            shown = f"{actual:g}" if isinstance(actual, float) else str(actual)
            assert shown == default.strip("`"), name


def test_the_commands_table_is_the_command_line():
    from typer.main import get_command

    from worker.cli import build

    known = []
    group = get_command(build())
    for name in group.list_commands(None):
        _, command, _ = group.resolve_command(None, [name])
        subcommands = list(getattr(command, "commands", []))
        known += [f"{name} {each}" for each in subcommands]
        known += [name] if not subcommands or command.invoke_without_command else []
    told = []
    for row in table("commands", "commands.md"):
        first, *others = re.findall(r"`([^`]+)`", row[0])
        words = [word for word in first.split()[1:] if word.islower() and not word.startswith("[")]
        name = words[0] if not others or words[0] == "feature" else " ".join(words)
        told += [name] + [f"{words[0]} {each}" for each in others if words[0] != "feature"]

    assert sorted(told) == sorted(known)


def test_the_table_of_sizes_has_the_figures_and_names_of_the_code():
    page = (ROOT / "docs" / "guarantees.md").read_text("utf-8").split("## How large things may be", 1)[1]
    defaults = {field.validation_alias: field.default for field in Settings.model_fields.values()}
    bounds = {
        "the body of a message": [defaults["SLOTGEN_MAX_MESSAGE_BYTES"]],
        "a message as a whole": [_ENVELOPE_BYTES, MessageLimits(1024).read_bytes],
        "the specs": [MOST_MEMORY_BYTES],
        "a server's response": [MAX_BODY_BYTES, MAX_BODIES_BYTES],
        "the text of an answer": [_TOKEN_CHARACTERS],
        "a header": [_limit_of(aiohttp.ClientSession, "max_field_size")],
        "stored answers": [defaults["SLOTGEN_CACHE_ANSWERS"]],
        "a name in the history": [_NAME_BYTES],
        "the history": [defaults["SLOTGEN_HISTORY_OUTCOMES"]],
        "an actor": [WORDS_BYTES],
        "the audit": [AUDIT.kept],
        "the error": [_WORDS_BYTES],
        "the dead letters": [defaults[f"SLOTGEN_DEAD_LETTER{each}"] for each in ("S", "_BYTES", "_SECONDS")],
        "the results stream": [],
        "a request": [BOUNDS.request_bytes],
    }
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]

    assert len(rows) == len(bounds)
    for (what, bound, *_), (name, figures) in zip(rows, bounds.items(), strict=True):
        assert what.startswith(name)
        assert [int(each.replace(",", "")) for each in re.findall(r"[0-9][0-9,]*", bound)] == figures, what
    assert set(re.findall(r"SLOTGEN_[A-Z_]+", page)) <= set(defaults)
    assert set(re.findall(r"slotgen_[a-z_]+", page)) <= {row.name for row in METRICS}


def _limit_of(kind: type, parameter: str) -> int:
    return inspect.signature(kind).parameters[parameter].default
