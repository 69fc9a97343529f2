"""Keeps track of what each worker holds, and brings it back when the worker is gone."""

# The stubs know kombu's virtual channel but not what its Redis channel adds to it.
# mypy: disable-error-code="attr-defined, union-attr, index"

import contextlib
import json
import logging
import uuid
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import QoS as VirtualQoS
from redis.exceptions import ResponseError

from tasks.errors import StoreUnavailable
from tasks.generate.intake import CUT_BYTES, CUT_MARK, task_id_of
from telemetry import emit
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.jobs.liveness import beat, find_lost
from worker.adapters.redis.keys import PROCESSING, TAKEN, UNACKED, UNACKED_INDEX, WORKER_INFO, WORKERS
from worker.adapters.redis.message import DEATHS, DEFERRED_SINCE, marked
from worker.adapters.redis.scripts import LuaScript

TAG_SEPARATOR = ":"

# kombu's own two transactions, four commands each. As scripts they cost the worker a third of the time: most
# of a command's price is redis-py's.
_APPEND = LuaScript("""
local left = redis.call('LLEN', KEYS[5])
-- First, for a key of another type is refused here: the message must not have left the list by then.
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
if redis.call('LREM', KEYS[3], 1, ARGV[4]) == 1 then
  -- Whatever is in its place: no message waits for a figure.
  redis.pcall('INCR', KEYS[4])
else
  redis.call('ZREM', KEYS[1], ARGV[2])
  redis.call('HDEL', KEYS[2], ARGV[2])
end
return left + redis.call('LLEN', KEYS[3])
""")
# KEYS: a worker's processing list, and the queue, or none: then what lies on the list already is all. What is
# taken lies there until it is noted, and what an earlier taking has left there is the first to be taken.
# A message of more than ARGV[1] bytes never leaves Redis: its ends behind a mark take its place, and whoever
# takes them rejects them. MEMORY USAGE copies nothing, so that only large ones are read here.
TAKE = LuaScript(f"""
if redis.call('LLEN', KEYS[1]) == 0 then
  if not KEYS[2] or not redis.call('LMOVE', KEYS[2], KEYS[1], 'RIGHT', 'LEFT') then return false end
end
local most = tonumber(ARGV[1])
local message
if redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 0) > most then
  message = redis.call('LINDEX', KEYS[1], -1)
  if #message > most then
    local head, tail = string.sub(message, 1, {CUT_BYTES}), string.sub(message, -{CUT_BYTES})
    message = '{CUT_MARK}' .. #message .. ';' .. head .. tail
    redis.call('LSET', KEYS[1], -1, message)
  end
end
return message or redis.call('LINDEX', KEYS[1], -1)
""")
_ACK = LuaScript("""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
""")
# The one way back of what is held: whoever removes it puts it back, so that two who try do it once.
_PUT_BACK = LuaScript("""
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then redis.call(ARGV[2], KEYS[3], ARGV[3]) end
""")
_log = logging.getLogger("slotgen.delivery")


class ConsumerQoS(kombu_redis.QoS):
    """kombu's unacked messages, with the workers that hold them.

    Transport options: `worker_id`, this process's name there; `worker_lost_seconds`, after which a silent
    worker counts as dead; `max_deaths`, after how many of them a message is dead, too.
    """

    _queue: str | None = None
    _restoring_overdue = False
    _owed: frozenset[str] = frozenset()

    def register(self, queue: str) -> None:
        """Before the first message: send a heartbeat, and return what an earlier connection held.

        A connection that breaks between a command and its reply leaves messages of ours that no one works
        on, and acknowledgements that were never made. What is still worked on gets its stored answer.
        """
        if self._queue is None:
            with self.channel.conn_or_acquire() as client:
                beat(client, queue, self.channel.worker_id, self._option("worker_lost_seconds"))
                self._bring_back(queue, self.channel.worker_id, client, died=False)
            self._queue = queue

    def append(self, message: Any, delivery_tag: str) -> None:
        """Write the message to `unacked` and take it off the processing list, both or neither."""
        queue = message.delivery_info["routing_key"]
        with self.channel.conn_or_acquire() as client:
            left = self._note(queue, self.channel.worker_id, delivery_tag, self.channel.taken, client)
        self.channel.queue_drained = left == 0
        VirtualQoS.append(self, message, delivery_tag)

    def _note(self, queue: str, worker_id: str, tag: str, raw: bytes, client: Any) -> int:
        """Move what `worker_id` has taken to `unacked`; return how many wait or are still to be noted."""
        # In kombu's form, but for the message: as it was taken, not as the worker was given it.
        kept = json.dumps([raw.decode(errors="surrogateescape"), "", queue])
        keys = [self.unacked_index_key, self.unacked_key, PROCESSING(queue, worker_id), TAKEN(queue), queue]
        return int(_APPEND.run(client, keys, kombu_redis.time(), tag, kept, raw))

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

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Put a message back as it came: what is rejected, overdue, or of a connection that broke."""
        with self.channel.conn_or_acquire(client) as lent:
            if self._restoring_overdue:
                self._return(tag, lent, died=True)
            elif (held := self._held(tag, lent)) is not None:
                self._put_back(tag, *held, lent, at_the_end=leftmost)

    def _held(self, tag: Any, client: Any) -> tuple[str, str] | None:
        """Return the raw message under `tag`, and its queue; None when it is not held any more."""
        kept = client.hget(self.unacked_key, tag)
        if kept is None:
            client.zrem(self.unacked_index_key, tag)
            return None
        try:
            return held_message(kept)
        except StoreUnavailable as error:
            # Nobody knows whose it is. Kept with the dead letters, it is in nobody's way.
            self.channel.validator.keep(self._queue, kept, str(error))
            self._forget(tag, client)
            return None

    def _put_back(self, tag: Any, raw: str, queue: str, client: Any, *, at_the_end: bool = False) -> None:
        keys = [self.unacked_index_key, self.unacked_key, queue]
        _PUT_BACK.run(client, keys, tag, *_push(raw, at_the_end=at_the_end))

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Bring back what is overdue (kombu's part) or was held by the dead, forget what is owed (ours)."""
        # What Redis refuses now is done at the next visit.
        with contextlib.suppress(ResponseError):
            self._restoring_overdue = True
            try:
                super().restore_visible(start, num, interval)
            finally:
                self._restoring_overdue = False
            if self._queue is not None:
                with self.channel.conn_or_acquire() as client:
                    for tag in self._owed:
                        self._forget(tag, client)
                        self._owed -= {tag}
                    self._bring_back_the_dead(self._queue, client)

    def _bring_back_the_dead(self, queue: str, client: Any) -> None:
        lost_seconds = self._option("worker_lost_seconds")
        for worker_id in find_lost(client, queue, self.channel.worker_id, lost_seconds):
            returned = self._bring_back(queue, worker_id, client, died=True)
            if returned:
                emit(
                    _log,
                    logging.WARNING,
                    "lost_worker_found",
                    worker_id=worker_id,
                    messages_returned=returned,
                )
            # One that left in order has taken its info away. Another is shown as silent for a while: it may
            # only be stopped, with calls in flight.
            if not client.exists(WORKER_INFO(queue, worker_id)):
                client.zrem(WORKERS(queue), worker_id)
                emit(_log, logging.DEBUG, "worker_forgotten", worker_id=worker_id)

    def _bring_back(self, queue: str, worker_id: str, client: Any, *, died: bool) -> int:
        """Return what `worker_id` held, and how many messages. Two workers may do this at once: each step
        happens once.
        """
        # What this worker itself was taking is the first that it takes again.
        while died and (raw := TAKE.run(client, [PROCESSING(queue, worker_id)], self.most_bytes)):
            self._note(queue, worker_id, new_tag(worker_id), raw, client)
        prefix = f"{worker_id}{TAG_SEPARATOR}".encode()
        tags = [tag for tag in client.hkeys(self.unacked_key) if tag.startswith(prefix)]
        for tag in tags:
            self._return(tag, client, died=died)
        return len(tags)

    def _return(self, tag: bytes, client: Any, *, died: bool) -> None:
        """Put one message back on the queue, or dead-letter it when too many workers have died with it."""
        held = self._held(tag, client)
        if held is None:
            return
        raw, queue = held
        deaths = _deaths(raw) + 1 if died else 0
        # Without a place for a mark it is no message, which whoever takes it next rejects.
        if deaths:
            raw = marked(raw, **{DEATHS: deaths})
        if deaths < self._option("max_deaths"):
            self._put_back(tag, raw, queue, client)
        else:
            self._dead_letter(tag, _as_bytes(raw), queue, deaths, client)

    def _dead_letter(self, tag: bytes, raw: bytes, queue: str, deaths: int, client: Any) -> None:
        validator, task_id = self.channel.validator, task_id_of(raw)

        def transaction(pipe: Any) -> bool:
            held = bool(pipe.hexists(self.unacked_key, tag))
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            if held:
                validator.dead_letter(queue, raw, task_id, deaths, pipe)
            return held

        if client.transaction(transaction, self.unacked_key, value_from_callable=True):
            validator.report_dead_lettered(task_id)

    @property
    def most_bytes(self) -> int:
        """The size of a message beyond which no worker reads it."""
        return int(self.channel.validator.limits.read_bytes)

    def _option(self, name: str) -> int:
        return int(self.channel.connection.client.transport_options[name])


async def put_off(redis: RedisBatches, namespace: str, tag: str, since: int) -> None:
    """Put the message that is held under `tag` at the queue's end, marked as put off since `since`.

    What follows it, as an acknowledgement does, finds nothing of it. Raises StoreUnavailable.
    """
    held = await redis.command("HGET", UNACKED(namespace), tag)
    if held is not None:
        raw, queue = held_message(held)
        keys = [UNACKED_INDEX(namespace), UNACKED(namespace), queue]
        await redis.run(_PUT_BACK, keys, tag, *_push(marked(raw, **{DEFERRED_SINCE: since}), at_the_end=True))


def held_message(kept: bytes) -> tuple[str, str]:
    """Return the raw message of an entry of `unacked`, and its queue. Raises StoreUnavailable."""
    try:
        message, _, queue = json.loads(kept)
    except (TypeError, ValueError, RecursionError):
        message = queue = None
    # Older versions, and kombu, keep the message itself.
    raw = json.dumps(message) if isinstance(message, dict) else message
    if not isinstance(raw, str) or not isinstance(queue, str):
        raise StoreUnavailable("what was held as unacknowledged is no message; see who writes to Redis")
    return raw, queue


def new_tag(worker_id: str) -> str:
    """Return a delivery tag that names the worker, so that the others know what it held when it dies."""
    return f"{worker_id}{TAG_SEPARATOR}{uuid.uuid4().hex}"


def _push(raw: str, *, at_the_end: bool) -> tuple[str, bytes]:
    # Workers take from the right.
    return ("LPUSH" if at_the_end else "RPUSH"), _as_bytes(raw)


def _as_bytes(raw: str) -> bytes:
    # What lay in a processing list may be no text at all.
    return raw.encode(errors="surrogateescape")


def _deaths(raw: str) -> int:
    """Return how many workers have died with a message; -1 where it has no headers to count that in."""
    try:
        known = (json.loads(raw).get("headers") or {}).get(DEATHS)
    except (ValueError, AttributeError, RecursionError):
        return -1
    # The message schema has it as a count; what is in `unacked` may be from an older version.
    return known if isinstance(known, int) and known > 0 else 0
