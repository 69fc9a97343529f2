"""Where the messages of one queue wait: on its own list, and on one for each lower priority in Celery.

On Redis, priority 0, the default, is taken first, and 9 last. kombu puts a message with a priority on one
of the lists 3, 6 and 9, or on others where its producer sets `priority_steps` and `sep`.
"""

from functools import cache
from itertools import chain

import redis

from worker.adapters.redis.keys import PRIORITY_QUEUE, PRIORITY_QUEUE_COLON, QUEUE

PRIORITIES = range(1, 10)


@cache
def lists(queue: str) -> tuple[str, ...]:
    """Return the names of the queue's lists, in the order in which they are taken from."""
    by_priority = ((PRIORITY_QUEUE(queue, each), PRIORITY_QUEUE_COLON(queue, each)) for each in PRIORITIES)
    return QUEUE(queue), *chain.from_iterable(by_priority)


def depth(client: redis.Redis, queue: str) -> int:
    """Return how many messages wait on the queue. Raises RedisError."""
    with client.pipeline(transaction=False) as asked:
        for each in lists(queue):
            asked.llen(each)
        return sum(asked.execute())
