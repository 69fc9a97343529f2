"""Tracks what each worker holds, and returns it to the queue when the worker is gone."""

# The stubs know kombu's virtual channel but not what its Redis channel adds to it.
# mypy: disable-error-code="attr-defined, union-attr, index"

import contextlib
import json
import logging
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
from worker.adapters.redis.keys import QUEUE, TAKEN, UNACKED, UNACKED_INDEX, WORKER_INFO, WORKERS
from worker.adapters.redis.message import DEATHS, DEFERRED_SINCE, deaths, marked
from worker.adapters.redis.scripts import LuaScript
from worker.adapters.redis.waiting import lists

# Keeps a reply below a few tens of MB, however large the messages are.
_MOST_AT_ONCE = 64

# KEYS: how many were ever taken, what is held, when it was taken, the workers, and the queue's lists in their
# order. The first two commands change nothing, but are refused whenever the later ones would be, which have
# messages in hand. Whoever holds a message is listed as a worker, even if it was silent and forgotten: the
# others look for what listed workers hold. Of a message of more than ARGV[4] bytes only the ends leave Redis,
# behind a mark: whoever takes them rejects them. No more are taken after ARGV[5] bytes.
_TAKE = LuaScript(f"""
redis.call('HLEN', KEYS[2])
redis.call('ZADD', KEYS[3], 'XX', 0, '')
local places, most, room = tonumber(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[5])
local held, times, reply = {{}}, {{}}, {{}}
local function cut(raw)
  if #raw <= most then return raw end
  return '{CUT_MARK}' .. #raw .. ';' .. string.sub(raw, 1, {CUT_BYTES}) .. string.sub(raw, -{CUT_BYTES})
end
for n = 5, #KEYS do
  local pop = n == 5 and redis.call or redis.pcall  -- what is in the way of a priority is in no other's way
  while places > 0 and room > 0 do
    local whole = pop('RPOP', KEYS[n])
    if type(whole) ~= 'string' then break end
    local tag, raw = ARGV[2] .. places, cut(whole)
    places, room = places - 1, room - #raw
    held[#held + 1], held[#held + 2] = tag, cjson.encode({{raw, '', KEYS[5]}})
    times[#times + 1], times[#times + 2] = ARGV[3], tag
    reply[#reply + 1], reply[#reply + 2] = tag, raw
  end
end
if #reply > 0 then
  redis.call('HSET', KEYS[2], unpack(held))
  redis.call('ZADD', KEYS[3], unpack(times))
  redis.pcall('ZADD', KEYS[4], 'NX', redis.call('TIME')[1], string.match(ARGV[2], '^[^:]*'))
  -- Whatever is in its place: no message waits for a figure.
  redis.pcall('INCRBY', KEYS[1], #reply / 2)
end
return reply
""")
_ACK = LuaScript("""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
""")
# The one way back to the queue: whoever removes a held message also puts it back, so two who try do it once.
_PUT_BACK = LuaScript("""
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then redis.call(ARGV[2], KEYS[3], ARGV[3]) end
""")
_log = logging.getLogger("slotgen.delivery")


def wait_words(queue: str, seconds: float) -> list[list[Any]]:
    """Return the commands that wait until `queue` has a message, and have no reply.

    A move to the very same place changes nothing, and the message is not sent, however large it is.
    """
    return [["CLIENT", "REPLY", "SKIP"], ["BLMOVE", queue, queue, "RIGHT", "RIGHT", seconds]]


class ConsumerQoS(kombu_redis.QoS):
    """kombu's unacknowledged messages, with the workers that hold them.

    Transport options: `worker_lost_seconds`, after which a silent worker counts as dead; `max_deaths`, after
    how many of them a message is dead, too.
    """

    _queue: str = ""
    _registered = False
    _restoring_overdue = False
    _unknown: frozenset[bytes] | set[bytes] = frozenset()
    _owed: frozenset[str] = frozenset()

    def register(self, queue: str) -> None:
        """Before the first message: send a heartbeat, and return what an earlier connection held.

        A connection that breaks between a command and its reply leaves messages that are ours and that no one
        works on, and acknowledgements never made. A message still being worked on gets its stored answer.
        """
        if not self._registered:
            self._queue = queue
            with self.channel.conn_or_acquire() as client:
                beat(client, queue, self.channel.in_hand.worker_id, self._option("worker_lost_seconds"))
                self._bring_back(self.channel.in_hand.worker_id, client, died=False)
            self._registered = True

    def can_consume(self) -> bool:
        """Return whether this worker has a place for a message, and memory."""
        return super().can_consume() and self.channel.in_hand.room_bytes > 0

    def places(self) -> int:
        """Return how many messages this worker may take now."""
        return min(self.can_consume_max_estimate() or _MOST_AT_ONCE, _MOST_AT_ONCE)

    def take_words(self, queue: str, places: int, *, by_digest: bool) -> list[Any]:
        """Return the command that gives this worker a message for each free place, as [tag, message, ...].

        What it takes is written to `unacked` by the same step.
        """
        most = self.channel.validator.limits.read_bytes
        keys = [TAKEN(queue), self.unacked_key, self.unacked_index_key, WORKERS(queue), *lists(queue)]
        in_hand = self.channel.in_hand
        arguments = [places, in_hand.next_tags(), kombu_redis.time(), most, in_hand.room_bytes]
        words = _TAKE.words(keys, arguments)
        return ["EVALSHA", _TAKE.sha, *words] if by_digest else ["EVAL", _TAKE.text, *words]

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note the message in this process; Redis noted it when it was taken."""
        VirtualQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message whose end Redis has not heard of; if Redis refuses now, this is repeated later."""
        try:
            if delivery_tag in self.channel.in_hand.specs:
                self.forget(delivery_tag)
        except REDIS_ERRORS as error:
            # The connection on which messages come may live on, and nothing else would repeat this.
            self._owed |= {delivery_tag}
            emit(_log, logging.WARNING, "acknowledgement_owed", error=type(error).__name__)
        VirtualQoS.ack(self, delivery_tag)

    def forget(self, delivery_tag: str) -> None:
        """Stop holding the message. Raises RedisError."""
        with self.channel.conn_or_acquire() as client:
            _ACK.run(client, [self.unacked_index_key, self.unacked_key], delivery_tag)
        self.channel.in_hand.forget(delivery_tag)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Put a message back as it came, because it was rejected or is overdue, or its connection broke."""
        self.channel.in_hand.forget(_text(tag))
        with self.channel.conn_or_acquire(client) as lent:
            if self._restoring_overdue:
                self._return(tag, lent, died=True)
            elif (held := self._held(tag, lent)) is not None:
                self._put_back(tag, held, lent, at_the_end=leftmost)

    def _held(self, tag: Any, client: Any) -> bytes | None:
        """Return the raw message under `tag`; None when it is not held any more."""
        kept = client.hget(self.unacked_key, tag)
        if kept is None:
            client.zrem(self.unacked_index_key, tag)
            return None
        try:
            return held_message(kept, self._queue)
        except StoreUnavailable as error:
            # Nobody knows whose it is. Among the dead letters it is in nobody's way.
            self.channel.validator.keep(self._queue, kept, str(error))
            self.forget(tag)
            return None

    def _put_back(self, tag: Any, raw: bytes, client: Any, *, at_the_end: bool = False) -> None:
        keys = [self.unacked_index_key, self.unacked_key, self._queue]
        _PUT_BACK.run(client, keys, tag, *_push(raw, at_the_end=at_the_end))

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Bring back what is overdue (kombu's part) or was held by the dead, forget what is owed (ours)."""
        if not self._registered:
            return
        # What Redis refuses now is done on the next visit.
        with contextlib.suppress(ResponseError):
            self._restoring_overdue = True
            try:
                super().restore_visible(start, num, interval)
            finally:
                self._restoring_overdue = False
            for tag in self._owed:
                self.forget(tag)
                self._owed -= {tag}
            with self.channel.conn_or_acquire() as client:
                self._bring_back_the_dead(client)
                self._bring_back_the_forgotten(client)

    def _bring_back_the_forgotten(self, client: Any) -> None:
        """Put back what is held for this worker but was never seen here.

        Redis may carry out a request of a connection that is already gone on our side: when a frozen Redis
        wakes up, it finds the old request first. Whatever does reach us is in hand within milliseconds, so
        what is held but not in hand at two looks, seconds apart, was never seen here.
        """
        if self.channel.in_hand.doubtful_looks == 0:
            return
        self.channel.in_hand.doubtful_looks -= 1
        held = set(self._tags_of(self.channel.in_hand.worker_id, client))
        unknown = {tag for tag in held if _text(tag) not in self.channel.in_hand.specs}
        forgotten, self._unknown = unknown & self._unknown, unknown
        for tag in forgotten:
            self.restore_by_tag(tag, client)
        if forgotten:
            emit(_log, logging.WARNING, "forgotten_messages_found", messages_returned=len(forgotten))

    def _tags_of(self, worker_id: str, client: Any) -> list[bytes]:
        prefix = f"{worker_id}:".encode()
        return [tag for tag in client.hkeys(self.unacked_key) if tag.startswith(prefix)]

    def _bring_back_the_dead(self, client: Any) -> None:
        queue, lost_seconds = self._queue, self._option("worker_lost_seconds")
        for worker_id in find_lost(client, queue, self.channel.in_hand.worker_id, lost_seconds):
            returned = self._bring_back(worker_id, client, died=True)
            if returned:
                emit(
                    _log,
                    logging.WARNING,
                    "lost_worker_found",
                    worker_id=worker_id,
                    messages_returned=returned,
                )
            # A worker that left in good order has removed its info. Any other is shown as silent for a while:
            # it may only be stopped, with calls in flight.
            if not client.exists(WORKER_INFO(queue, worker_id)):
                client.zrem(WORKERS(queue), worker_id)
                emit(_log, logging.DEBUG, "worker_forgotten", worker_id=worker_id)

    def _bring_back(self, worker_id: str, client: Any, *, died: bool) -> int:
        """Put back what `worker_id` held, each message once even if two workers do it; return how many."""
        tags = self._tags_of(worker_id, client)
        for tag in tags:
            self._return(tag, client, died=died)
        return len(tags)

    def _return(self, tag: bytes, client: Any, *, died: bool) -> None:
        """Put one message back on the queue, or dead-letter it if too many workers have died holding it."""
        raw = self._held(tag, client)
        if raw is None:
            return
        died_with = 0
        # Without a place for a mark it is not a message, and whoever takes it next rejects it.
        with contextlib.suppress(ValueError):
            if died:
                died_with = deaths(raw) + 1
                raw = marked(raw, **{DEATHS: died_with})
        if died_with < self._option("max_deaths"):
            self._put_back(tag, raw, client)
        else:
            self._dead_letter(tag, raw, died_with, client)

    def _dead_letter(self, tag: bytes, raw: bytes, deaths: int, client: Any) -> None:
        validator, task_id = self.channel.validator, task_id_of(raw)

        def transaction(pipe: Any) -> bool:
            held = bool(pipe.hexists(self.unacked_key, tag))
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            if held:
                validator.dead_letter(self._queue, raw, task_id, deaths, pipe)
            return held

        if client.transaction(transaction, self.unacked_key, value_from_callable=True):
            validator.report_dead_lettered(task_id)

    def _option(self, name: str) -> int:
        return int(self.channel.connection.client.transport_options[name])


async def put_off(redis: RedisBatches, namespace: str, tag: str, since: int) -> None:
    """Put the message that is held under `tag` at the queue's end, marked as put off since `since`.

    Whatever follows, such as an acknowledgement, no longer finds it. Raises StoreUnavailable.
    """
    held = await redis.command("HGET", UNACKED(namespace), tag)
    if held is not None:
        raw = held_message(held, QUEUE(namespace))
        keys = [UNACKED_INDEX(namespace), UNACKED(namespace), QUEUE(namespace)]
        await redis.run(_PUT_BACK, keys, tag, *_push(marked(raw, **{DEFERRED_SINCE: since}), at_the_end=True))


def held_message(kept: bytes, queue: str) -> bytes:
    """Return the raw message of an entry of `unacked`, which is one of `queue`. Raises StoreUnavailable."""
    entry: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        entry = json.loads(kept.decode(errors="surrogateescape"))
    match entry:
        case [str() as message, _, str() as where] if where == queue:
            return message.encode(errors="surrogateescape")
        # Older versions, and kombu, store the message itself.
        case [dict() as message, _, str() as where] if where == queue:
            return json.dumps(message).encode()
    raise StoreUnavailable("what was held as unacknowledged is no message; see who writes to Redis")


def _push(raw: bytes, *, at_the_end: bool) -> tuple[str, bytes]:
    # Workers take from the right.
    return ("LPUSH" if at_the_end else "RPUSH"), raw


def _text(tag: bytes | str) -> str:
    # One that somebody else has put there need not be text, and is none of ours.
    return tag.decode(errors="replace") if isinstance(tag, bytes) else tag
