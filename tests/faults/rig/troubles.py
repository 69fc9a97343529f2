"""What can befall a Redis, each a context manager of a fleet: it holds inside `with`, and is over then."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import redis

from tests.faults.rig.fleet import Fleet
from tests.faults.rig.tcp_proxy import TcpProxy
from tests.waiting import eventually

Trouble = Callable[[Fleet], AbstractContextManager[object]]


@contextmanager
def full(hurt: Fleet) -> Iterator[None]:
    with _configured(hurt, "maxmemory", "1"):
        yield


@contextmanager
def without_replicas(hurt: Fleet) -> Iterator[None]:
    with _configured(hurt, "min-replicas-to-write", "1"):
        yield


@contextmanager
def after_a_failed_save(hurt: Fleet) -> Iterator[None]:
    client = hurt.client
    before = client.config_get("dir")["dir"]
    with tempfile.TemporaryDirectory() as gone:
        client.config_set("dir", gone)
        Path(gone).rmdir()
        client.config_set("save", "3600 1")
        # One that runs already will fail as well.
        with contextlib.suppress(redis.ResponseError):
            client.bgsave()
        try:
            eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
            yield
        finally:
            Path(gone).mkdir()
            client.config_set("dir", before)
            client.config_set("save", "")


@contextmanager
def demoted(hurt: Fleet) -> Iterator[None]:
    hurt.client.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        hurt.client.replicaof("NO", "ONE")


@contextmanager
def busy(hurt: Fleet) -> Iterator[None]:
    """Redis runs a script without an end, and says so to everybody after 10 ms."""
    hurt.client.config_set("lua-time-limit", "10")
    patient = redis.Redis(port=hurt.server.port, socket_timeout=60)

    def run() -> None:
        with contextlib.suppress(redis.RedisError):
            patient.eval("while true do end", 0)

    def killed() -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(hurt.client.script_kill())
        return False

    running = threading.Thread(target=run)
    running.start()
    try:
        yield
    finally:
        eventually(killed)
        running.join()
        patient.close()


@contextmanager
def loading(hurt: Fleet) -> Iterator[None]:
    """Redis reads its data anew, in two seconds; between two keys it lets clients in, and says so to them."""
    keys = [f"padding:{number}" for number in range(10)]
    # It looks up from its work after every 2 MB.
    hurt.client.config_set("rdbcompression", "no")
    hurt.client.mset(dict.fromkeys(keys, b"x" * 2_200_000))
    patient = redis.Redis(port=hurt.server.port, socket_timeout=60)
    # As after a restart: everybody has to connect again. Both together, or some would be back before.
    again = patient.pipeline(transaction=False)
    again.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    again.execute_command("DEBUG", "RELOAD")
    reading = threading.Thread(target=again.execute)
    # Microseconds for each key.
    with _configured(hurt, "key-load-delay", str(2_000_000 // hurt.client.dbsize())):
        reading.start()
        try:
            yield
        finally:
            reading.join()
            patient.close()
            hurt.client.delete(*keys)


@contextmanager
def password_changed(hurt: Fleet) -> Iterator[None]:
    """The user gets another password; Redis knows nobody any more who has not said it."""
    with _as_another(hurt) as other:
        other.execute_command("ACL", "SETUSER", "default", "resetpass", f">{secrets.token_hex()}")
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        try:
            yield
        finally:
            other.execute_command("ACL", "SETUSER", "default", "nopass")


@contextmanager
def rights_taken_away(hurt: Fleet) -> Iterator[None]:
    """The user may read, and no longer write."""
    with _as_another(hurt) as other:
        other.execute_command("ACL", "SETUSER", "default", "-@write", "-@scripting")
        try:
            yield
        finally:
            other.execute_command("ACL", "SETUSER", "default", "+@all")


def of_another_type(key: str) -> Trouble:
    return replaced(key, "SET", b"in the way")


def replaced(key: str | bytes, command: str, *words: bytes) -> Trouble:
    """What the command puts stands where `key` was; then what was there stands there again."""
    as_it_was = (key.encode() if isinstance(key, str) else key) + b"-as-it-was"

    @contextmanager
    def trouble(hurt: Fleet) -> Iterator[None]:
        # In one step: what a worker writes in between would be lost by the test.
        hurt.client.eval(
            "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end"
            " redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))",
            2,
            key,
            as_it_was,
            command,
            *words,
        )
        try:
            yield
        finally:
            hurt.client.eval(
                "redis.call('DEL', KEYS[1])"
                " if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[1]) end",
                2,
                key,
                as_it_was,
            )

    return trouble


@contextmanager
def frozen(hurt: Fleet) -> Iterator[None]:
    hurt.server.freeze()
    try:
        yield
    finally:
        hurt.server.thaw()


@contextmanager
def killed(hurt: Fleet) -> Iterator[None]:
    hurt.server.kill()
    try:
        yield
    finally:
        hurt.server.restart()


@contextmanager
def disconnecting(hurt: Fleet) -> Iterator[None]:
    """Somebody closes every connection, again and again."""
    over = threading.Event()

    def disconnect() -> None:
        with _as_another(hurt) as other:
            while not over.wait(0.05):
                other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    killing = threading.Thread(target=disconnect)
    killing.start()
    try:
        yield
    finally:
        over.set()
        killing.join()


@contextmanager
def crowded(hurt: Fleet) -> Iterator[None]:
    """Every connection is closed, and no new one is let in."""
    with _as_another(hurt) as other:
        before = other.config_get("maxclients")["maxclients"]
        other.config_set("maxclients", "1")
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        try:
            yield
        finally:
            other.config_set("maxclients", before)


@contextmanager
def without_room_for_replies(hurt: Fleet) -> Iterator[None]:
    """Redis closes each connection whose reply is longer than a kilobyte."""
    with _configured(hurt, "client-output-buffer-limit", "normal 1024 0 0", before="normal 0 0 0"):
        yield


@contextmanager
def impatient(hurt: Fleet) -> Iterator[None]:
    """Redis closes each connection that has said nothing for a second."""
    with _configured(hurt, "timeout", "1"):
        yield


@contextmanager
def _configured(hurt: Fleet, name: str, value: str, before: str = "0") -> Iterator[None]:
    hurt.client.config_set(name, value)
    try:
        yield
    finally:
        hurt.client.config_set(name, before)


@contextmanager
def _as_another(hurt: Fleet) -> Iterator[redis.Redis]:
    """Yield a client on one connection of a user of its own, whom no trouble touches."""
    hurt.client.execute_command("ACL", "SETUSER", "rig", "on", "nopass", "~*", "&*", "+@all")
    with redis.Redis(
        port=hurt.server.port, username="rig", password="any", single_connection_client=True
    ) as rig:
        yield rig


# Redis answers, and says no: to what is written, or to everything.
REFUSALS: dict[str, Trouble] = {
    "out of memory": full,
    "no replicas": without_replicas,
    "failed save": after_a_failed_save,
    "demoted to a replica": demoted,
    "busy with a script": busy,
    "loading its data": loading,
    "another password": password_changed,
    "rights taken away": rights_taken_away,
    "too many clients": crowded,
    "a queue of another type": of_another_type("slotgen"),
    "unacked of another type": of_another_type("slotgen:unacked"),
    "heartbeats of another type": of_another_type("slotgen:workers"),
}
# Redis, or the way to it, is not there.
ABSENCES: dict[str, Trouble] = {
    "frozen": frozen,
    "killed": killed,
    "connections killed": disconnecting,
    "output buffers limited": without_room_for_replies,
    "idle connections closed": impatient,
}


def in_the_way(proxy: TcpProxy) -> dict[str, Trouble]:
    """Return what can befall the way through `proxy`, which the worker takes and the test does not."""

    @contextmanager
    def black_hole(_: Fleet) -> Iterator[None]:
        proxy.black_hole()
        try:
            yield
        finally:
            proxy.heal()

    @contextmanager
    def cut(_: Fleet) -> Iterator[None]:
        proxy.cut()
        try:
            yield
        finally:
            proxy.heal()

    return {"partition": black_hole, "cut off": cut}
