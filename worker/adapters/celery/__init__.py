"""Everything that overrides Celery, kombu or billiard: the transport, delivery, the pool and results."""
