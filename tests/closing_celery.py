"""A producer's Celery whose listening for results ends with it."""

import celery
from celery.backends.redis import RedisBackend


class Celery(celery.Celery):
    """Celery's own goes on: a result that is collected after `close` connects anew, only to unsubscribe.

    The connection is then the garbage collector's, which complains of it in whichever test runs.
    """

    def close(self) -> None:
        backend = self.backend
        if isinstance(backend, RedisBackend):
            backend.result_consumer.stop()
            backend.result_consumer._pubsub = None
        super().close()
