"""Keeps track of what each consumer holds, and brings it back when the consumer is gone."""

# The stubs know kombu's virtual channel but not what its Redis channel adds to it.
# mypy: disable-error-code="attr-defined, union-attr, index"

from __future__ import annotations

import json
import logging
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import QoS as VirtualQoS

from telemetry import emit

TAG_SEPARATOR = ":"
_DEATHS = "slotgen_deaths"
_log = logging.getLogger("slotgen.delivery")


def taking_key(queue: str, consumer_id: str) -> str:
    """Return the list that holds the message which `consumer_id` is about to take note of."""
    return f"{queue}:taking:{consumer_id}"


class ConsumerQoS(kombu_redis.QoS):
    """kombu's unacked messages, with the consumers that hold them and a sign of life of each.

    The sorted set `<queue>:consumers` has each consumer's last sign of life, by Redis's clock (seconds).
    Transport options: `worker_lost_seconds`, after which a silent consumer counts as dead, and
    `max_deaths`, after how many of them a message is dead, too.
    """

    _queue: str | None = None

    def register(self, queue: str) -> None:
        """Give the first sign of life, before the first message is taken."""
        if self._queue is None:
            with self.channel.conn_or_acquire() as client:
                self._sign_of_life(queue, client)
            self._queue = queue

    def append(self, message: Any, delivery_tag: str) -> None:
        """Write the message to `unacked` and take it off the taking list, both or neither."""
        info = message.delivery_info
        kept = json.dumps([message._raw, info["exchange"], info["routing_key"]])  # noqa: SLF001 - as kombu does
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: kombu_redis.time()})
            pipe.hset(self.unacked_key, delivery_tag, kept)
            pipe.delete(taking_key(info["routing_key"], self.channel.consumer_id))
            pipe.execute()
        VirtualQoS.append(self, message, delivery_tag)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Bring back what is overdue (kombu's part), and what dead consumers held (ours)."""
        super().restore_visible(start, num, interval)
        if self._queue is not None:
            with self.channel.conn_or_acquire() as client:
                now = self._sign_of_life(self._queue, client)
                self._bring_back_the_dead(self._queue, now, client)

    def _sign_of_life(self, queue: str, client: Any) -> int:
        options = self.channel.connection.client.transport_options
        now = int(client.time()[0])
        client.zadd(_consumers_key(queue), {self.channel.consumer_id: now})
        client.zadd(workers_key(queue), {options["worker_id"]: now})
        return now

    def _bring_back_the_dead(self, queue: str, now: int, client: Any) -> None:
        silent_since = now - self._option("worker_lost_seconds")
        client.zremrangebyscore(workers_key(queue), "-inf", f"({silent_since}")
        for consumer_id in client.zrangebyscore(_consumers_key(queue), "-inf", f"({silent_since}"):
            self._bring_back(queue, consumer_id.decode(), client)

    def _bring_back(self, queue: str, consumer_id: str, client: Any) -> None:
        """Return what `consumer_id` held. Two workers may do this at once: each step happens once."""
        returned = 0
        while client.lmove(taking_key(queue, consumer_id), queue, "LEFT", "RIGHT") is not None:
            returned += 1
        for tag in client.hkeys(self.unacked_key):
            if tag.startswith(f"{consumer_id}{TAG_SEPARATOR}".encode()):
                returned += self._return(queue, tag, client)
        client.zrem(_consumers_key(queue), consumer_id)
        # A consumer that left in order holds nothing, and is only forgotten.
        level, event = (
            (logging.WARNING, "lost_worker_found") if returned else (logging.DEBUG, "consumer_forgotten")
        )
        emit(_log, level, event, consumer_id=consumer_id, messages_returned=returned)

    def _return(self, queue: str, tag: bytes, client: Any) -> int:
        """Put one message back on the queue, or bury it when too many workers have died with it."""
        gatekeeper = self.channel.connection.client.transport_options["gatekeeper"]
        buried: list[str] = []

        def transaction(pipe: Any) -> None:
            kept = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            buried.clear()
            if not kept:
                return
            raw, task_id, deaths = _after_a_death(json.loads(kept)[0])
            if deaths < self._option("max_deaths"):
                pipe.rpush(queue, raw)
            else:
                gatekeeper.bury(queue, raw, task_id, deaths, pipe)
                buried.append(task_id)

        client.transaction(transaction, self.unacked_key)
        for task_id in buried:
            gatekeeper.tell_buried(task_id)
        return 1

    def _option(self, name: str) -> int:
        return int(self.channel.connection.client.transport_options[name])


def workers_key(queue: str) -> str:
    """Return the sorted set of each worker process's last sign of life; it outlives its connections."""
    return f"{queue}:workers"


def _after_a_death(message: dict[str, Any]) -> tuple[bytes, str, int]:
    """Return the message with one more death on its account, its task id, and the account."""
    headers = message["headers"]
    deaths = int(headers.get(_DEATHS) or 0) + 1
    headers |= {_DEATHS: deaths, "redelivered": True}
    return json.dumps(message).encode(), headers["id"], deaths


def _consumers_key(queue: str) -> str:
    return f"{queue}:consumers"
