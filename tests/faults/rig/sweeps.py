"""Follows a worker that looks for lost workers: Redis's MONITOR shows every command that it is asked."""

from __future__ import annotations

from redis.client import Monitor

from tests.faults.rig.fleet import Fleet
from worker.adapters.redis.jobs.liveness import _BEAT, _FIND_LOST
from worker.adapters.redis.scripts import LuaScript

_WORKERS = "slotgen:workers"


def await_sweeps(hurt: Fleet, worker_id: str, number: int) -> None:
    """Return once that worker has looked for lost ones `number` times from now on."""
    with hurt.client.monitor() as monitor:
        for _ in range(number):
            while not _is_of(worker_id, _FIND_LOST, _next_command(monitor)):
                pass


def hide_signs_of_life(hurt: Fleet, worker_id: str, *, until_sweeps: int) -> None:
    """Make each sign of that worker an old one, until it has found its own to be old so many times."""
    old = f"ZADD {_WORKERS} 1 {worker_id}"
    sweeps, hidden = 0, False
    with hurt.client.monitor() as monitor:
        hurt.client.execute_command(*old.split())
        while sweeps < until_sweeps:
            command = _next_command(monitor)
            if _is_of(worker_id, _FIND_LOST, command):
                sweeps += hidden
            elif command == old:
                hidden = True
            elif _is_of(worker_id, _BEAT, command):
                hidden = False
                hurt.client.execute_command(*old.split())


def _is_of(worker_id: str, script: LuaScript, command: str) -> bool:
    """Whether this is how that worker runs the script, once Redis knows it."""
    return command.startswith(f"EVALSHA {script.sha} ") and command.endswith(f" {worker_id}")


def _next_command(monitor: Monitor) -> str:
    """Return the next one that a client has sent; scripts send theirs from inside of Redis."""
    while (seen := monitor.next_command())["client_type"] == "lua":
        pass
    return str(seen["command"])
