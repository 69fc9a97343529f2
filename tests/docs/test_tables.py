"""The tables of commands, settings and error codes are those of the code."""

from __future__ import annotations

import re

import schemas
from gates import DIALS
from tasks.errors import RETRYABLE, ErrorCode, Status
from tests.surroundings import ROOT
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
