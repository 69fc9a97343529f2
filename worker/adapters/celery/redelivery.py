"""Keeps track of what each worker holds, and brings it back when the worker is gone."""

# The stubs know kombu's virtual channel but not what its Redis channel adds to it.
# mypy: disable-error-code="attr-defined, union-attr, index"

import contextlib
import json
import logging
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import QoS as VirtualQoS
from redis.exceptions import ResponseError

from telemetry import emit
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.keys import PROCESSING, TAKEN, WORKERS
from worker.adapters.redis.scripts import LuaScript

TAG_SEPARATOR = ":"

# kombu's own two transactions, four commands each. As scripts they cost the worker a third of the time: most
# of a command's price is redis-py's.
_APPEND = LuaScript("""
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('LREM', KEYS[3], 1, ARGV[4])
redis.call('INCR', KEYS[4])
""")
_REQUEUE = LuaScript("""
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[1]) end
""")
_ACK = LuaScript("""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
""")
_DEATHS = "slotgen_deaths"
_log = logging.getLogger("slotgen.delivery")


class ConsumerQoS(kombu_redis.QoS):
    """kombu's unacked messages, with the workers that hold them.

    Transport options: `worker_id`, this process's name there; `worker_lost_seconds`, after which a silent
    worker counts as dead; `max_deaths`, after how many of them a message is dead, too.
    """

    _queue: str | None = None
    _lying: frozenset[bytes] | set[bytes] = frozenset()
    _owed: frozenset[str] = frozenset()

    def register(self, queue: str) -> None:
        """Before the first message: send a heartbeat, and return what an earlier connection held.

        A connection that breaks between a command and its reply leaves messages of ours that no one works
        on, and acknowledgements that were never made. What is still worked on gets its stored answer.
        """
        if self._queue is None:
            with self.channel.conn_or_acquire() as client:
                client.zadd(WORKERS(queue), {self.channel.worker_id: int(client.time()[0])})
                self._bring_back(queue, self.channel.worker_id, client, died=False)
            self._queue = queue

    def append(self, message: Any, delivery_tag: str) -> None:
        """Write the message to `unacked` and take it off the processing list, both or neither."""
        info = message.delivery_info
        queue = info["routing_key"]
        kept = json.dumps([message._raw, info["exchange"], queue])  # noqa: SLF001 - as kombu does
        keys = [self.unacked_index_key, self.unacked_key, PROCESSING(queue, self.channel.worker_id)]
        with self.channel.conn_or_acquire() as client:
            arguments = (kombu_redis.time(), delivery_tag, kept, self.channel.taken)
            _APPEND.run(client, [*keys, TAKEN(queue)], *arguments)
        VirtualQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget the message: its results are stored. What Redis does not take now is said again."""
        try:
            with self.channel.conn_or_acquire() as client:
                self._forget(delivery_tag, client)
        except REDIS_ERRORS as error:
            # The connection on which messages come may live on, and nothing else would bring it up again.
            self._owed |= {delivery_tag}
            emit(_log, logging.WARNING, "acknowledgement_owed", error=type(error).__name__)
        VirtualQoS.ack(self, delivery_tag)

    def _forget(self, delivery_tag: str, client: Any) -> None:
        _ACK.run(client, [self.unacked_index_key, self.unacked_key], delivery_tag)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Bring back what is overdue (kombu's part) or was held by the dead, forget what is owed (ours)."""
        # What Redis refuses now is done at the next visit.
        with contextlib.suppress(ResponseError):
            super().restore_visible(start, num, interval)
            if self._queue is not None:
                with self.channel.conn_or_acquire() as client:
                    for tag in self._owed:
                        self._forget(tag, client)
                        self._owed -= {tag}
                    self._bring_back_the_dead(self._queue, client)
                    self._bring_back_the_forgotten(self._queue, client)

    def _bring_back_the_forgotten(self, queue: str, client: Any) -> None:
        """Return what lies in this worker's own processing list although it was never noted.

        Redis may hand a message to a connection that is gone already on our side: a frozen one that wakes up
        finds the old request first. What we do take leaves the list within milliseconds, so that what lies
        there at two looks, seconds apart, was never seen here.
        """
        taking = PROCESSING(queue, self.channel.worker_id)
        lying = set(client.lrange(taking, 0, -1))
        forgotten, self._lying = lying & self._lying, lying
        for raw in forgotten:
            _REQUEUE.run(client, [taking, queue], raw)
        if forgotten:
            emit(_log, logging.WARNING, "forgotten_messages_found", messages_returned=len(forgotten))

    def _bring_back_the_dead(self, queue: str, client: Any) -> None:
        silent_since = int(client.time()[0]) - self._option("worker_lost_seconds")
        own = client.zscore(WORKERS(queue), self.channel.worker_id)
        # Right after a Redis that was frozen or away everybody looks silent, this worker to itself as well:
        # the others get the time in which it gives its own sign.
        if own is None or own < silent_since:
            return
        for each in client.zrangebyscore(WORKERS(queue), "-inf", f"({silent_since}"):
            worker_id = each.decode()
            returned = self._bring_back(queue, worker_id, client, died=True)
            client.zrem(WORKERS(queue), worker_id)
            # A worker that left in order holds nothing, and is only forgotten.
            level, event = (
                (logging.WARNING, "lost_worker_found") if returned else (logging.DEBUG, "worker_forgotten")
            )
            emit(_log, level, event, worker_id=worker_id, messages_returned=returned)

    def _bring_back(self, queue: str, worker_id: str, client: Any, *, died: bool) -> int:
        """Return what `worker_id` held, and how many messages. Two workers may do this at once: each step
        happens once.
        """
        returned = 0
        while client.lmove(PROCESSING(queue, worker_id), queue, "LEFT", "RIGHT") is not None:
            returned += 1
        prefix = f"{worker_id}{TAG_SEPARATOR}".encode()
        tags = [tag for tag in client.hkeys(self.unacked_key) if tag.startswith(prefix)]
        for tag in tags:
            self._return(queue, tag, client, died=died)
        return returned + len(tags)

    def _return(self, queue: str, tag: bytes, client: Any, *, died: bool) -> None:
        """Put one message back on the queue, or dead-letter it when too many workers have died with it."""
        validator = self.channel.validator
        dead_lettered: list[str] = []

        def transaction(pipe: Any) -> None:
            kept = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            dead_lettered.clear()
            if not kept:
                return
            message = json.loads(kept)[0]
            deaths = _count_death(message["headers"]) if died else 0
            if deaths < self._option("max_deaths"):
                pipe.rpush(queue, json.dumps(message))
            else:
                task_id = message["headers"]["id"]
                validator.dead_letter(queue, json.dumps(message).encode(), task_id, deaths, pipe)
                dead_lettered.append(task_id)

        client.transaction(transaction, self.unacked_key)
        for task_id in dead_lettered:
            validator.report_dead_lettered(task_id)

    def _option(self, name: str) -> int:
        return int(self.channel.connection.client.transport_options[name])


def _count_death(headers: dict[str, Any]) -> int:
    """Put one more death on a message's account; return the account."""
    known = headers.get(_DEATHS)
    # The message schema has it as a count; what is in `unacked` may be from an older version.
    deaths = (known if isinstance(known, int) and known > 0 else 0) + 1
    headers |= {_DEATHS: deaths, "redelivered": True}
    return deaths
