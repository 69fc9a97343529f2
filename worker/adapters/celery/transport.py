"""kombu's Redis transport, with every message inspected before it can reach the worker.

One malformed message stops a stock worker, and then every worker that picks the message up: without
`headers.id` it reconnects for ever; with a body that is not a triple it exits and leaves the message at the
head of the queue. Here such a message goes to the dead-letter store, and the worker never sees it.
"""

# The stubs know kombu's virtual channel but not what its Redis channel adds to it.
# mypy: disable-error-code="attr-defined, override, union-attr, index, misc, no-any-return"

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from tasks.generate.intake import Rejected
from worker.adapters.celery.in_hand import InHand
from worker.adapters.celery.message_validation import MessageValidation
from worker.adapters.celery.redelivery import ConsumerQoS, wait_words
from worker.adapters.celery.refusals import Refusals
from worker.settings.redis_url import SCHEME

_NO_ARGUMENTS = base64.b64encode(b"[[], {}, {}]").decode()


class Channel(kombu_redis.Channel):
    """A channel whose messages have all been validated, and which never holds the only copy of one.

    Stock kombu pops a message and writes it to `unacked` afterwards: a worker that dies in between takes it
    along. Here one script does both, for as many messages as there are places.
    """

    QoS = ConsumerQoS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = self.connection.client.transport_options
        self.validator: MessageValidation = options["validator"]
        self.in_hand: InHand = options["in_hand"]
        self._refusals: Refusals = options["refusals"]
        self._commands: Any = None
        # How many messages were asked for, and whether the queue had fewer; whether Redis knows the script.
        self._places, self._drained, self._known = 0, True, False

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Lend `client`, or else the one that this channel keeps for its commands.

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
        (self._polled_queue,) = queues  # this app consumes one
        try:
            self.qos.register(self._polled_queue)
        except ResponseError as error:
            self._refusals.refused(error)
            return
        connection = self.client.connection
        wait = wait_words(self._polled_queue, timeout or self.brpop_timeout) if self._drained else []
        self._places = self.qos.places()
        take = self.qos.take_words(self._polled_queue, self._places, by_digest=self._known)
        self._in_poll = connection
        self._brpop_sent_at = time.monotonic()
        connection.send_packed_command(connection.pack_commands([*wait, take]))

    def _brpop_read(self, **options: Any) -> bool:
        try:
            held = self._replied(**options)
        except NoScriptError:
            self._known = False
            raise Empty from None
        except ResponseError as error:
            self._refusals.refused(error)
            raise Empty from None
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        self._refusals.accepted()
        # A tag and a message each.
        self._known, self._drained = True, len(held) < 2 * self._places
        if not held:
            raise Empty
        self._queue_cycle.rotate(self._polled_queue)
        for tag, raw in zip(held[::2], held[1::2], strict=True):
            self._deliver(self._polled_queue, tag.decode(), raw)
        return True

    def _replied(self, **options: Any) -> list[bytes]:
        try:
            return self.client.parse_response(self.client.connection, "EVAL", **options)
        except (*self.connection_errors, NoPermissionError):
            # What was sent may still be run, and give this worker messages that it never hears of.
            self.in_hand.doubt()
            # A broken connection is closed here, so that the next poll opens a new one. So is one whose user
            # may not suppress replies, since replies to the other commands would follow.
            self.client.connection.disconnect()
            raise

    def _poll_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu names it so
        self._replied(**options) if type == "BRPOP" else super()._poll_error(type, **options)

    def _get(self, queue: str) -> dict[str, Any]:
        raise NotImplementedError("slotgen consumes with basic_consume; basic_get is not offered")

    def _deliver(self, queue: str, tag: str, raw: bytes) -> None:
        """Hand the message held under `tag` to the worker, or to the dead letters."""
        try:
            message, spec, body = self.validator.inspect(raw)
        except Rejected as rejected:
            try:
                self.validator.reject(queue, raw, rejected)
                self.qos.forget(tag)
            except ResponseError as error:
                # It is held but belongs to no job, so it comes back.
                self._refusals.refused(error)
                self.in_hand.doubt()
            return
        self.in_hand.take(tag, spec, body)
        # kombu's own protocol between its channel and its transport.
        self.connection._deliver(_readdressed(message, queue, tag), queue)  # noqa: SLF001 - see above


def _readdressed(message: dict[str, Any], queue: str, tag: str) -> dict[str, Any]:
    """Return the message under our own delivery tag, with this queue as the way back, and without arguments.

    The first two come from the producer: a tag used twice would overwrite the copy that brings an unfinished
    message back, and a foreign routing key would bring it back elsewhere. The spec has been parsed already;
    Celery would parse it again, and keep its text until the job ends.
    """
    ours = {"delivery_tag": tag, "delivery_info": {"exchange": "", "routing_key": queue}}
    return message | {"properties": message["properties"] | ours, "body": _NO_ARGUMENTS}


class Transport(kombu_redis.Transport):
    """Celery's `broker_transport`; `transport_name` names it."""

    Channel = Channel


class SocketTransport(Transport):
    """The same on a Unix socket, whose URL the channel reads itself."""

    # From a URL with a plus, Celery's own form, kombu would take the name of its own transport instead of
    # ours.
    can_parse_url = True


class SentinelChannel(Channel, kombu_redis.SentinelChannel):
    """The same behind Sentinel: kombu's own Sentinel channel, with our way of taking messages."""


class SentinelTransport(kombu_redis.SentinelTransport):
    """The same behind Sentinel."""

    Channel = SentinelChannel


def transport_name(redis_url: str) -> str:
    """Return the transport for `redis_url`, as Celery wants it named."""
    kinds: dict[str, type] = {SCHEME: SentinelTransport, "unix://": SocketTransport}
    kind = next((kinds[each] for each in kinds if redis_url.startswith(each)), Transport)
    return f"{__name__}:{kind.__name__}"
