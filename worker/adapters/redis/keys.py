"""The names of our Redis keys that more than one adapter speaks of; importing this costs nothing."""


def dial_keys(namespace: str) -> list[str]:
    """Return the four dials' keys, in the order in which they are read."""
    return [f"{namespace}:{dial}" for dial in ("kill", "feature", "rollout_percent", "allowlist")]


def budget_cap_key(namespace: str) -> str:
    """Return the dial of the spend cap: US dollars as decimal text; absent, only the environment's holds."""
    return f"{namespace}:budget_usd"


def answer_key(namespace: str, job_key: str) -> str:
    """Return where the answer of a job is kept."""
    return f"{namespace}:answer:{job_key}"


def answers_key(namespace: str) -> str:
    """Return the sorted set of the jobs whose answers are kept, by the time of storing (seconds)."""
    return f"{namespace}:answers"


def workers_key(queue: str) -> str:
    """Return the sorted set of each worker process's last sign of life; it outlives its connections."""
    return f"{queue}:workers"


def taken_key(queue: str) -> str:
    """Return the counter of the messages that workers have taken from `queue`."""
    return f"{queue}:taken"


def worker_info_key(namespace: str, worker_id: str) -> str:
    """Return the key of one worker's card."""
    return f"{namespace}:worker:{worker_id}"


def halts_channel(namespace: str) -> str:
    """Return the channel on which workers confirm a halt; PUBLISH works even when Redis is out of memory."""
    return f"{namespace}:halts"
