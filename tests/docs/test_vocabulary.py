"""What docs/vocabulary.py writes is written, and a word that is missing or too many is put right."""

from __future__ import annotations

import runpy

import pytest

from gates import REASONS
from tests.surroundings import ROOT

SCRIPT = runpy.run_path(str(ROOT / "docs" / "vocabulary.py"))
PAGE = (ROOT / "gates" / "CONTRACT.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS, CODES, METRICS, SETTINGS = (
    (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    for name in ("commands", "error-codes", "metrics", "settings")
)
EVENTS = (ROOT / "docs" / "log-events.md").read_text("utf-8")
SCHEMA = (ROOT / "schemas" / "telemetry.v1.json").read_text("utf-8")


@pytest.mark.parametrize("text", [PAGE, README, COMMANDS, CODES, METRICS, SETTINGS, EVENTS])
def test_nothing_is_left_to_write_in_a_page(text):
    assert SCRIPT["_page"](text) == text


def test_nothing_is_left_to_write_in_the_schema():
    assert SCRIPT["_schema"](SCHEMA) == SCHEMA


@pytest.mark.parametrize(
    ("write", "text", "old", "new"),
    [
        ("_schema", SCHEMA, '        "FEATURE_DISABLED",\n', ""),
        ("_schema", SCHEMA, '"FEATURE_DISABLED",', '"FEATURE_DISABLED", "GONE",'),
        ("_page", PAGE, "| feature | opt_in |", "| opt_in |"),
        ("_page", PAGE, "the feature flag is not exactly", "the flag is not exactly"),
        ("_page", PAGE, "| 2 | `feature` |", "| 7 | `feature` |"),
        ("_page", README, "exactly `true`", "roughly `true`"),
        ("_page", SETTINGS, "| `FEATURE_SLOTGEN_AI` | unset |", "| `FEATURE_GONE` | unset |"),
        ("_page", CODES, "| `NOT_OPTED_IN` | STUB |", "| `GONE` | STUB |"),
        ("_page", METRICS, "| `slotgen_halt_seconds` | histogram |", "| `slotgen_halt_seconds` | gauge |"),
        ("_page", EVENTS, "| `calls_halted` | WARNING |", "| `calls_halted` | INFO |"),
    ],
)
def test_what_differs_is_put_right(write, text, old, new):
    assert old in text

    assert SCRIPT[write](text.replace(old, new)) == text


def test_a_command_that_has_no_row_gets_one_and_one_that_is_gone_loses_it():
    text = COMMANDS.replace("| `slotgen tail` |", "| `slotgen gone` |")

    written = SCRIPT["_page"](text)

    assert "slotgen gone" not in written
    assert "| `slotgen tail` | Show the last ten job outcomes" in written


def test_the_words_of_ours_in_the_schema_stay_where_they_are():
    assert SCRIPT["_schema"](SCHEMA).count('"VERBATIM_MODE"') == SCHEMA.count('"VERBATIM_MODE"') == 2
    assert all(SCHEMA.count(f'"{reason}"') >= 2 for reason in REASONS)
