"""kombu's Redis transport, with every message inspected before it can reach the worker.

One malformed message stops a stock worker, and with it every worker that picks the message up next: without
`headers.id` it reconnects for ever, with a body that is not a triple it exits and leaves the message at the
head of the queue. Here such a message goes to the dead-letter store, and the worker never sees it.
"""

# The stubs know kombu's virtual channel but not what its Redis channel adds to it.
# mypy: disable-error-code="attr-defined, override, union-attr, index"

from __future__ import annotations

import uuid
from queue import Empty
from typing import Any, Protocol

from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str

from tasks.intake import Rejected


class Gatekeeper(Protocol):
    """Stands at the queue's exit; the transport option `gatekeeper`."""

    def inspect(self, raw: bytes) -> dict[str, Any]:
        """Return the message in `raw`. Raises Rejected."""
        ...

    def reject(self, queue: str, raw: bytes, rejected: Rejected) -> None:
        """Keep the rejected message and tell its producer. Raises when it could not be kept."""
        ...


class Channel(kombu_redis.Channel):
    """A channel whose messages have all passed the gatekeeper."""

    def _brpop_read(self, **options: Any) -> bool:
        # kombu 5.7's own method, but for the middle: there the item is parsed and delivered unseen.
        try:
            item = self._popped(**options)
            if item is None:
                raise Empty
            queue, raw = item
            self._queue_cycle.rotate(queue)
            message = self._inspected(queue, raw)
            if message is not None:
                self.connection._deliver(message, queue)  # noqa: SLF001 - kombu's own protocol between the two
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _popped(self, **options: Any) -> tuple[str, bytes] | None:
        try:
            popped = self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            # A broken connection is closed here, so that the next poll opens a new one.
            self.client.connection.disconnect()
            raise
        if not popped:
            return None
        key, raw = popped
        return bytes_to_str(key).rsplit(self.sep, 1)[0], raw

    def _get(self, queue: str) -> dict[str, Any]:
        with self.conn_or_acquire() as client:
            while (raw := client.rpop(queue)) is not None:
                message = self._inspected(queue, raw)
                if message is not None:
                    return message
        raise Empty

    def _inspected(self, queue: str, raw: bytes) -> dict[str, Any] | None:
        gatekeeper: Gatekeeper = self.connection.client.transport_options["gatekeeper"]
        try:
            return _readdressed(gatekeeper.inspect(raw), queue)
        except Rejected as rejected:
            try:
                gatekeeper.reject(queue, raw, rejected)
            except Exception:
                # It could not be kept (Redis full, or gone): it must not leave the queue.
                with self.conn_or_acquire() as client:
                    client.rpush(queue, raw)
                raise
            return None


def _readdressed(message: dict[str, Any], queue: str) -> dict[str, Any]:
    """Return the message under a delivery tag of our own, and with this queue as the way back.

    Both come from the producer: a tag used twice would overwrite the copy that brings an unfinished message
    back, and a foreign routing key would bring it back elsewhere.
    """
    ours = {"delivery_tag": str(uuid.uuid4()), "delivery_info": {"exchange": "", "routing_key": queue}}
    return message | {"properties": message["properties"] | ours}


class Transport(kombu_redis.Transport):
    """Celery's broker setting: `broker_transport = "worker.adapters.celery_transport:Transport"`."""

    Channel = Channel
