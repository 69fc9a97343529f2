"""One room overrides Celery, kombu and billiard; its page says of each override why, and what holds it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from celery import Celery

import worker
from tests.worker.test_private_hooks import CALLERS, OVERRIDDEN, REACHED
from worker.adapters.celery.in_hand import InHand
from worker.adapters.celery.transport import transport_name

ROOT = Path(worker.__file__).parents[1]
ROOM = "worker/adapters/celery/"
PAGE = (ROOT / ROOM / "README.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in row.split(" | ")] for row in re.findall(r"^\| (`.*) \|$", PAGE, re.MULTILINE)
]
CELERYS = {"billiard", "celery", "kombu"}
# What the rest of slotgen may import of them: nothing that an upgrade may change without a word.
PUBLIC = {
    ("celery", "Celery"),
    ("celery", "signals"),
    ("celery.exceptions", "Ignore"),
    ("celery.exceptions", "Reject"),
}


def test_the_page_has_every_override_of_the_room():
    said = [name for row in ROWS for name in re.findall(r"`([\w.]+)`", row[0])]

    assert sorted(said) == sorted(
        hook.partition(":")[2] for hook, _, used_in in OVERRIDDEN if ROOM in used_in
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_holds_an_override_is_there(row):
    path, _, test = row[3].strip("`").partition("::")

    assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8")


def test_every_hook_of_theirs_is_used_in_the_room():
    outside = {hook for hook, _, used_in in [*OVERRIDDEN, *REACHED, *CALLERS] if ROOM not in used_in}

    assert {hook for hook in outside if re.split(r"[.:]", hook)[0] in CELERYS} == set()


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", each.name) for each in node.names)
        elif isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names)


def test_the_rest_of_slotgen_imports_what_is_public_of_them():
    found = {
        (str(path.relative_to(ROOT)), *each)
        for package in ("gates", "schemas", "tasks", "telemetry", "worker")
        for path in (ROOT / package).rglob("*.py")
        if not path.is_relative_to(ROOT / ROOM)
        for each in imported(path)
        if each[0].partition(".")[0] in CELERYS and each not in PUBLIC
    }

    assert found == set()


def test_a_message_cannot_be_had_past_the_validation(redis_server):
    options = {
        "in_hand": InHand("w"),
        "validator": None,
        "refusals": None,
        "unacked_key": "u",
        "unacked_index_key": "i",
        "unacked_mutex_key": "m",
    }
    with Celery(broker=redis_server.url, set_as_current=False) as app:
        app.conf.broker_transport = transport_name(redis_server.url)
        app.conf.broker_transport_options = options
        with app.connection_for_read() as connection, pytest.raises(NotImplementedError, match="basic_get"):
            connection.default_channel.basic_get("queue")
