"""kombu's Redis transport, with every message inspected before it can reach the worker.

One malformed message stops a stock worker, and with it every worker that picks the message up next: without
`headers.id` it reconnects for ever, with a body that is not a triple it exits and leaves the message at the
head of the queue. Here such a message goes to the dead-letter store, and the worker never sees it.
"""

# The stubs know kombu's virtual channel but not what its Redis channel adds to it.
# mypy: disable-error-code="attr-defined, override, union-attr, index, misc, no-any-return"

import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from tasks.generate.intake import Rejected
from worker.adapters.celery.message_validation import MessageValidation
from worker.adapters.celery.redelivery import TAKE, ConsumerQoS, new_tag
from worker.adapters.celery.refusals import Refusals
from worker.adapters.redis.keys import PROCESSING, TAKEN
from worker.adapters.redis.waiting import promote
from worker.settings.redis_url import SCHEME


class Channel(kombu_redis.Channel):
    """A channel whose messages have all been validated, and which never holds the only copy of one.

    Stock kombu pops a message and writes it to `unacked` afterwards: a worker that dies between the two
    takes it along. Here Redis moves it to a list of this worker's own, and it leaves that list in the
    same transaction that writes it to `unacked`.
    """

    QoS = ConsumerQoS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The process's name, not the connection's: it stays the same when Redis comes back.
        options = self.connection.client.transport_options
        self.worker_id: str = options["worker_id"]
        self.validator: MessageValidation = options["validator"]
        self._refusals: Refusals = options["refusals"]
        self._commands: Any = None
        # The message between Redis and `unacked`, as it lies in the processing list.
        self.taken: bytes = b""
        # Whether neither list had another message when they were last seen: then it is the priorities' turn,
        # and time to wait. The first taking finds out.
        self.queue_drained = False

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Lend `client`, or the one that this channel keeps for its commands.

        kombu makes a new one each time, twice for each message: 14 % of the worker's time. Ours keeps its
        connection, since taking one from the pool costs as much as the command; redis-py lets one thread use
        it at a time. After a disconnect the new pool gets a new one.
        """
        if client is None and (self._commands is None or self._commands.connection_pool is not self.pool):
            self._commands = self.Client(connection_pool=self.pool, single_connection_client=True)
        yield self._commands if client is None else client

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except ResponseError as error:
            self._refusals.refused(error)
            raise

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues or self._refusals.pause_seconds:
            return
        (queue,) = queues  # this app consumes one
        try:
            self.qos.register(queue)
            if self.queue_drained:
                with self.conn_or_acquire() as client:
                    promote(client, queue)
        except ResponseError as error:
            self._refusals.refused(error)
            return
        self._in_poll = connection = self.client.connection
        self._brpop_sent_at = time.monotonic()
        keys = [PROCESSING(queue, self.worker_id), queue]
        take = ("EVALSHA", TAKE.sha, *TAKE.words(keys, [self.qos.most_bytes]))
        # BLMOVE waits, from the end that BRPOP would take, so that the order is the same. Its reply would be
        # the message, however large, so that Redis is asked for none; the script's is that of all three.
        wait = ("BLMOVE", queue, keys[0], "RIGHT", "LEFT", timeout or self.brpop_timeout)
        waiting = (("CLIENT", "REPLY", "SKIP"), wait) if self.queue_drained else ()
        connection.send_packed_command(connection.pack_commands([*waiting, take]))
        self._polled_queue = queue

    def _brpop_read(self, **options: Any) -> bool:
        try:
            raw = self._moved(**options)
            if raw is None:
                self.queue_drained = True
                self._refusals.accepted()
                raise Empty
            self._queue_cycle.rotate(self._polled_queue)
            self.taken = raw
            message = self._inspected(self._polled_queue, raw)
            if message is not None:
                # kombu's own protocol between its channel and its transport.
                self.connection._deliver(message, self._polled_queue)  # noqa: SLF001 - see above
        except ResponseError as error:
            # What was moved already lies in the processing list, and comes back from there.
            self._refusals.refused(error)
            raise Empty from None
        else:
            self._refusals.accepted()
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _moved(self, **options: Any) -> bytes | None:
        try:
            return self.client.parse_response(self.client.connection, "EVALSHA", **options)
        except NoScriptError:
            with self.conn_or_acquire() as client:
                keys = [PROCESSING(self._polled_queue, self.worker_id), self._polled_queue]
                return TAKE.run(client, keys, self.qos.most_bytes)
        except (*self.connection_errors, NoPermissionError):
            # A broken connection is closed here, so that the next poll opens a new one; so is one whose user
            # may not do without a reply, for those of the other commands follow.
            self.client.connection.disconnect()
            raise

    def _poll_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu names it so
        self._moved(**options) if type == "BRPOP" else super()._poll_error(type, **options)

    def _get(self, queue: str) -> dict[str, Any]:
        raise NotImplementedError("slotgen consumes with basic_consume; basic_get is not offered")

    def _inspected(self, queue: str, raw: bytes) -> dict[str, Any] | None:
        try:
            return _readdressed(self.validator.inspect(raw), queue, self.worker_id)
        except Rejected as rejected:
            # When it cannot be kept (Redis full, or gone), this raises, and it stays in the processing list.
            self.validator.reject(queue, raw, rejected)
            with self.conn_or_acquire() as client:
                client.lrem(PROCESSING(queue, self.worker_id), 1, raw)
                client.incr(TAKEN(queue))
            self.queue_drained = True
            return None


def _readdressed(message: dict[str, Any], queue: str, worker_id: str) -> dict[str, Any]:
    """Return the message under a delivery tag of our own, and with this queue as the way back.

    Both come from the producer: a tag used twice would overwrite the copy that brings an unfinished message
    back, and a foreign routing key would bring it back elsewhere.
    """
    ours = {"delivery_tag": new_tag(worker_id), "delivery_info": {"exchange": "", "routing_key": queue}}
    return message | {"properties": message["properties"] | ours}


class Transport(kombu_redis.Transport):
    """Celery's `broker_transport`; `transport_name` names it."""

    Channel = Channel


class SocketTransport(Transport):
    """The same on a Unix socket, whose URL the channel reads by itself."""

    # Of a URL with a plus, which is Celery's own form, kombu takes the transport's name, in place of ours.
    can_parse_url = True


class SentinelChannel(Channel, kombu_redis.SentinelChannel):
    """The same behind Sentinel: kombu's own channel for it, with our way of taking messages."""


class SentinelTransport(kombu_redis.SentinelTransport):
    """The same behind Sentinel."""

    Channel = SentinelChannel


def transport_name(redis_url: str) -> str:
    """Return the transport for `redis_url`, as Celery wants it named."""
    kinds: dict[str, type] = {SCHEME: SentinelTransport, "unix://": SocketTransport}
    kind = next((kinds[each] for each in kinds if redis_url.startswith(each)), Transport)
    return f"{__name__}:{kind.__name__}"
