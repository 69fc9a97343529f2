"""`kill`, `resume` and `status` with `--each FILE`: several Redis, here databases of one, as one fleet."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.builders import OPEN, a_rule, an_allowlist
from tests.ports import free_port
from tests.redis_server.server import EmbeddedRedis
from tests.worker.cli.conftest import A_MOMENT_AGO
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.dials import RedisDials

NAMES = ["eu-1", "eu-2", "eu-3"]


@pytest.fixture
def clients(redis_server, slotgen):
    """A client for each of three databases, in which everything is open."""
    opened = [open_sync(redis_server.url[:-1] + str(number), timeout_seconds=5) for number in range(3)]
    values = OPEN | {"allowlist": an_allowlist()}
    for each in opened:
        each.mset({f"{slotgen.namespace}:{dial}": value for dial, value in values.items()})
        RedisDials(each, slotgen.namespace).read()
    yield opened
    for each in opened:
        each.close()


@pytest.fixture
def urls(redis_server):
    return [redis_server.url[:-1] + str(number) for number in range(3)]


@pytest.fixture
def named(slotgen, monkeypatch):
    # The file names them: nothing else has to.
    monkeypatch.delenv("SLOTGEN_REDIS_URL")

    def write(urls, *more):
        lines = [f"{name} {url}" for name, url in zip(NAMES, urls, strict=True)]
        path = slotgen.file("redis.txt", "\n".join([*lines, *more]))
        (slotgen.folder / "redis.txt").chmod(0o600)
        return path

    return write


def kills(clients, namespace):
    return [each.get(f"{namespace}:kill") for each in clients]


def last_of(client, namespace):
    (newest,) = RedisDials(client, namespace).audit(1)
    return newest.actor, newest.command, newest.reason


class TestKill:
    @pytest.mark.parametrize("word", ["kill", "halt"])
    def test_halts_each_and_leaves_a_record_in_each(self, slotgen, clients, urls, named, word):
        each = named(urls)

        code, said = slotgen(word, "--each", each, "--reason", "smoke", "--actor", "ann")

        assert (code, kills(clients, slotgen.namespace)) == (0, [b"true"] * 3)
        assert [last_of(one, slotgen.namespace) for one in clients] == [("ann", "slotgen kill", "smoke")] * 3
        for name in NAMES:
            assert f"{name}: HALTED: {slotgen.namespace}:kill is true\n  no worker is running" in said
        assert said.endswith(f'3 of 3 confirmed\nundo: slotgen resume --each {each} --reason "…"\n')

    def test_says_everything_as_json_in_the_order_of_the_file(self, slotgen, clients, urls, named):
        document = slotgen.json("kill", "--each", named(urls))

        assert document["halted"] is True
        assert [(each["name"], each["by"], each["workers"]) for each in document["redis"]] == [
            (name, "SET", 0) for name in NAMES
        ]

    def test_halts_the_others_where_one_cannot_be_reached(self, slotgen, clients, urls, named):
        each = named([*urls[:2], f"redis://:s3cret@127.0.0.1:{free_port()}/0"])

        code, said = slotgen("kill", "--each", each)

        assert (code, kills(clients, slotgen.namespace)) == (1, [b"true", b"true", b"false"])
        assert "eu-3: NOT HALTED BY THIS COMMAND: Redis at redis://127.0.0.1:" in said
        assert "2 of 3 confirmed; NOT CONFIRMED: eu-3" in said
        assert f"slotgen kill --each {each} --keep-trying 1h" in said
        assert "s3cret" not in said
        document = slotgen.json("kill", "--each", each, code=1)
        assert [each["halted"] for each in document["redis"]] == [True, True, False]
        assert document["redis"][2]["error"].startswith("NOT HALTED BY THIS COMMAND")

    def test_halts_the_others_where_a_line_is_wrong(self, slotgen, clients, urls, named):
        each = named(urls, "eu-4 http://four")

        code, said = slotgen("kill", "--each", each, "--keep-trying", "1h")

        assert (code, kills(clients, slotgen.namespace)) == (1, [b"true"] * 3)
        assert f"line 4: {each}:4: eu-4 has not a Redis URL; set redis://HOST:6379/0" in said
        assert "3 of 4 confirmed; NOT CONFIRMED: line 4" in said

    def test_one_that_is_a_bug_of_ours_hides_no_other(self, slotgen, clients, urls, named, monkeypatch):
        def breaks(settings):
            if settings.redis_url == urls[1]:
                raise LookupError("s3cret")
            return open_sync(settings.redis_url)

        monkeypatch.setattr("worker.cli.support.halt.open_redis", breaks)

        code, said = slotgen("kill", "--each", named(urls))

        assert (code, kills(clients, slotgen.namespace)) == (1, [b"true", b"false", b"true"])
        assert re.search(r"eu-2: slotgen broke: LookupError at \S+; this is a bug", said)
        assert "s3cret" not in said

    @pytest.mark.parametrize("alone", [True, False])
    def test_keeps_trying_until_a_redis_that_was_away_is_halted(self, slotgen, clients, urls, named, alone):
        with EmbeddedRedis() as away:
            each = named([*urls[:2], away.url])
            away.kill()
            which = [] if alone else ["--each", each]
            command = subprocess.Popen(
                [sys.executable, "-m", "worker.cli", "kill", *which, "--keep-trying", "10m"],
                env=os.environ | {"SLOTGEN_REDIS_URL": away.url, "COLUMNS": "200"},
                stdout=subprocess.PIPE,
                text=True,
            )
            with command:
                heard = [next(line for line in command.stdout if "trying to set the key for 10m" in line)]
                away.restart()
                heard += command.stdout

        assert command.returncode == 0
        assert f"{'' if alone else 'eu-3: '}HALTED: {slotgen.namespace}:kill is true\n" in heard
        assert heard[-1].startswith("undo: slotgen resume")
        if not alone:
            assert "3 of 3 confirmed\n" in heard
            entries = [each.xlen(f"{slotgen.namespace}:audit") for each in clients[:2]]
            assert entries == [1, 1]

    def test_says_which_is_missing_when_the_time_is_up(self, slotgen, clients, urls, named):
        each = named([*urls[:2], f"redis://127.0.0.1:{free_port()}/0"])

        code, said = slotgen("kill", "--each", each, "--keep-trying", "1s")

        assert code == 1
        assert f"eu-3: {slotgen.namespace}:kill is still NOT set" in said

    @pytest.mark.parametrize(
        ("text", "why"), [("# none\n", "no Redis in it; write a line for each"), (None, "No such file")]
    )
    def test_a_file_of_no_use_is_refused(self, slotgen, text, why):
        path = str(slotgen.folder / "redis.txt") if text is None else slotgen.file("redis.txt", text)

        code, said = slotgen("kill", "--each", path)

        assert (code, f"--each {path}: {why}" in said) == (1, True)

    def test_a_file_that_others_can_read_is_named_with_its_mode_and_used(self, slotgen, clients, urls, named):
        each = named([urls[0].replace("//", "//:x@"), *urls[1:]])
        (slotgen.folder / "redis.txt").chmod(0o644)

        _, said = slotgen("kill", "--each", each)

        assert f"{each} has mode 0644, so others can read it" in said
        assert kills(clients, slotgen.namespace)[1:] == [b"true", b"true"]

    def test_the_password_may_come_from_its_own_file(self, slotgen, clients, urls, named, monkeypatch):
        clients[0].execute_command("ACL", "SETUSER", "ann", "reset", "on", ">pass/word", "~*", "&*", "+@all")
        (slotgen.folder / "password").write_text("pass/word")
        monkeypatch.setenv("SLOTGEN_REDIS_PASSWORD_FILE", str(slotgen.folder / "password"))

        code, said = slotgen("kill", "--each", named([each.replace("//", "//ann@") for each in urls]))

        clients[0].execute_command("ACL", "DELUSER", "ann")
        assert (code, kills(clients, slotgen.namespace)) == (0, [b"true"] * 3), said


class TestResume:
    @pytest.fixture
    def each(self, slotgen, clients, urls, named):
        each = named(urls)
        assert slotgen("kill", "--each", each)[0] == 0
        return each

    def test_releases_all_and_leaves_a_record_in_each(self, slotgen, clients, each):
        code, said = slotgen("resume", "--each", each, "--reason", "all is well", "--actor", "ann")

        assert (code, kills(clients, slotgen.namespace)) == (0, [b"false"] * 3)
        recorded = [last_of(one, slotgen.namespace) for one in clients]
        assert recorded == [("ann", "slotgen resume", "all is well")] * 3
        assert "eu-2: 'true' -> 'false'\n  admitted from now on: feature on, 1 of 1 rule enabled" in said
        assert said.endswith(f"all 3 are released\nundo: slotgen kill --each {each}\n")

    def test_says_everything_as_json(self, slotgen, clients, each):
        document = slotgen.json("resume", "--each", each, "--reason", "x")

        assert document["released"] is True
        assert [(one["name"], one["before"], one["after"]) for one in document["redis"]] == [
            (name, "'true'", "'false'") for name in NAMES
        ]

    def test_needs_a_reason(self, slotgen, clients, each):
        assert slotgen("resume", "--each", each, "--reason", " ")[0] == 1

    @pytest.mark.parametrize(
        ("lines", "problem"),
        [
            (
                lambda urls: [[urls[0], f"redis://127.0.0.1:{free_port()}/0", urls[2]]],
                "eu-2: Redis at redis://",
            ),
            (lambda urls: [urls, "nonsense"], "line 4: "),
        ],
    )
    def test_releases_none_where_one_cannot_be_reached(
        self, slotgen, clients, urls, named, each, lines, problem
    ):
        each = named(*lines(urls))

        code, said = slotgen("resume", "--each", each, "--reason", "x")

        assert (code, kills(clients, slotgen.namespace)) == (1, [b"true"] * 3)
        assert problem in said
        assert said.endswith("none was released\n")

    def test_releases_none_where_the_one_dimension_rule_forbids_one(self, slotgen, clients, urls, named):
        each, wide = named(urls), {"rollout_percent": "100", "allowlist": an_allowlist()}
        narrow = {"rollout_percent": "1", "allowlist": an_allowlist(a_rule(kinds=["explanatory"]))}
        for dials in (narrow, wide):
            clients[1].mset({f"{slotgen.namespace}:{dial}": value for dial, value in dials.items()})
            if dials is narrow:
                # The record knows what is there, and has nothing recent.
                RedisDials(clients[1], slotgen.namespace).read()
                clients[1].delete(f"{slotgen.namespace}:audit", f"{slotgen.namespace}:audit:noticed")
                assert slotgen("kill", "--each", each)[0] == 0

        code, said = slotgen("resume", "--each", each, "--reason", "x")

        assert (code, kills(clients, slotgen.namespace)) == (1, [b"true"] * 3), said
        assert "eu-2: this widens allowlist and rollout at once; change only one of them" in said
        assert slotgen("resume", "--each", each, "--reason", "x", "--override", "told to")[0] == 0

    def test_halts_again_those_that_were_released_where_one_fails_midway(
        self, slotgen, clients, urls, named, each
    ):
        clients[0].execute_command(
            "ACL", "SETUSER", "reader", "reset", "on", ">x", "~*", "&*", "+@all", "-xadd"
        )
        each = named([*urls[:2], urls[2].replace("//", "//reader:x@")])

        code, said = slotgen("resume", "--each", each, "--reason", "x", "--actor", "ann")

        clients[0].execute_command("ACL", "DELUSER", "reader")
        assert (code, kills(clients, slotgen.namespace)) == (1, [b"true"] * 3), said
        assert "eu-3: the change could not be recorded, so it was not made" in said
        for name in NAMES:
            assert f"{name}: halted again; 0 of 0 workers confirmed" in said
        why = "eu-3 could not be released"
        assert last_of(clients[0], slotgen.namespace) == ("ann", "slotgen resume", why)

    def test_names_those_whose_key_could_not_be_set_again(self, slotgen, clients, urls, named, each):
        may_only_say = ("reset", "on", ">x", "~*", "&*", "+@all", "-xadd", "-set", "-del")
        clients[0].execute_command("ACL", "SETUSER", "reader", *may_only_say)
        each = named([*urls[:2], urls[2].replace("//", "//reader:x@")])

        code, said = slotgen("resume", "--each", each, "--reason", "x")

        clients[0].execute_command("ACL", "DELUSER", "reader")
        assert code == 1
        assert "eu-1: halted again; 0 of 0 workers confirmed" in said
        assert "eu-3: halted by a message alone, its key is NOT SET; 0 of 0 workers confirmed" in said
        assert "NOT SURE TO BE HALTED: eu-3; halt all until each is confirmed: slotgen kill --each" in said
        assert "none is released" not in said

    def test_leaves_one_alone_that_was_not_halted_where_another_fails(
        self, slotgen, clients, urls, named, each
    ):
        clients[0].set(f"{slotgen.namespace}:kill", "false")
        clients[0].execute_command(
            "ACL", "SETUSER", "reader", "reset", "on", ">x", "~*", "&*", "+@all", "-xadd"
        )
        each = named([*urls[:2], urls[2].replace("//", "//reader:x@")])

        code, said = slotgen("resume", "--each", each, "--reason", "x")

        clients[0].execute_command("ACL", "DELUSER", "reader")
        assert (code, kills(clients, slotgen.namespace)) == (1, [b"false", b"true", b"true"]), said
        assert "eu-1: halted" not in said


class TestStatus:
    def test_shows_each_and_what_differs_within_80_columns(self, slotgen, clients, urls, named, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        each = named(urls)
        clients[1].set(f"{slotgen.namespace}:kill", "true")
        clients[1].set(f"{slotgen.namespace}:rollout_percent", "12.345")

        code, said = slotgen("status", "--each", each)

        assert code == 0
        assert max(map(len, said.splitlines())) <= 80
        assert re.search(r"^eu-1 +RELEASED +on +[0-9a-f]{8} +100 % +0 +0 +0 *$", said, re.MULTILINE)
        assert re.search(r"^eu-2 +HALTED +on +[0-9a-f]{8} +12\.345 % +0 +0 +0 *$", said, re.MULTILINE)
        assert "eu-2: the kill dial is on" in said
        assert "rollout_percent differs: 100 % in eu-1, eu-3; 12.345 % in eu-2" in said
        blocked = rf"eu-1: the kill dial is false; a raw Redis command, {A_MOMENT_AGO}; 1 thing in the way of"
        assert re.search(blocked, " ".join(said.split()))

    def test_shows_the_others_where_one_cannot_be_read(self, slotgen, clients, urls, named):
        each = named([urls[0], f"redis://127.0.0.1:{free_port()}/0", urls[2]])

        code, said = slotgen("status", "--each", each)
        document = slotgen.json("status", "--each", each, code=1)

        assert code == 1
        assert re.search(r"^eu-2 +UNREADABLE", said, re.MULTILINE)
        assert "eu-2: Redis at redis://127.0.0.1:" in said
        assert re.search(r"^eu-3 +RELEASED", said, re.MULTILINE)
        states = [one.get("brake", {}).get("state") for one in document["redis"]]
        assert states == ["released", None, "released"]
        assert document["redis"][1]["error"].startswith("Redis at redis://127.0.0.1:")
        assert document["differences"] == []
