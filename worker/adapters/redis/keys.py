"""Every Redis key that slotgen or its Celery uses; keys are built, bounded and permitted only here.

Code that writes a key takes its limits from here. deploy/redis/generate.py makes docs/redis-keys.md and the
rights in deploy/redis/users.acl from this table and the gates' dials. Importing it costs nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# Forms of values.
JSON, COUNT, SECONDS = "JSON", r"\d{1,15}", r"\d{1,15}(\.\d+)?"
_PLACE = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure that is set elsewhere: `times` the value of `source`, plus `plus`.

    A source is a setting (SLOTGEN_…), a path in the executor config (executor.guard.sample), or `workers`.
    """

    source: str
    times: int = 1
    plus: int = 0

    def of(self, figures: Mapping[str, float]) -> float:
        """Return the figure, given the value of each source."""
        return self.times * figures[self.source] + self.plus

    def __str__(self) -> str:
        times = f"{self.times} x " if self.times > 1 else ""
        return f"{times}{self.source}" + (f" + {self.plus:,}" if self.plus else "")


@dataclass(frozen=True, slots=True)
class Key:
    """One key or channel, or a family of them; call it with the values for its braces to get the name.

    `{ns}` is the namespace, `{digit}` 1 to 9, `{start}` a number; other braces may be anything.

    One key holds at most `entries` (a string is one; a stream has up to 100 more, because Redis trims whole
    nodes), each of at most `entry_bytes` including its field names. None means that only Redis's maxmemory
    limits it, or that it is a channel. Its EXPIRE is at most `ttl_seconds`, or it has none.

    Where readers rely on it, the value of a string, and each value of a hash, matches `form` completely: a
    regular expression, or JSON.

    `may` has the only commands that each shipped role except the operator may give on the key: those its work
    needs. The operator may do everything with every key below the namespace, and with Celery's. The commands
    of a script are checked as if they were given one by one.
    """

    pattern: str
    type: str
    owner: str
    holds: str
    bound: str
    lifetime: str
    may: Mapping[str, str]
    entries: int | Limit | None = None
    entry_bytes: int | Limit | None = None
    ttl_seconds: int | Limit | None = None
    form: str = ""
    _template: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_template", _PLACE.sub("%s", self.pattern))

    def __call__(self, *parts: str | int) -> str:
        """Return the key for these parts, in the order of the braces."""
        return self._template % parts

    @property
    def kept(self) -> int:
        """How many entries are kept, if the table itself gives the number."""
        return _number(self.entries)

    @property
    def seconds(self) -> int:
        """How long it lives, if the table itself gives the number."""
        return _number(self.ttl_seconds)

    def glob(self, namespace: str) -> str:
        """Return the glob pattern for Redis, with `*` for what may be anything."""
        pattern = self.pattern.replace("{ns}", namespace).replace("{digit}", "[1-9]")
        return _PLACE.sub("*", pattern.replace("{start}", "[0-9]*"))


_WORD = 1024
DIAL_BYTES = 16 * 1024 * 1024  # a policy
# A base64 body with its headers, as taken off the queue. As a string in a JSON document it is longer.
_MESSAGE = Limit("SLOTGEN_MAX_MESSAGE_BYTES", times=2, plus=65_536)
_HELD = Limit("SLOTGEN_MAX_MESSAGE_BYTES", times=3, plus=65_536)
_ANSWER = 1024 * 1024


def _number(limit: int | Limit | None) -> int:
    if not isinstance(limit, int):
        raise TypeError(f"the table leaves this to {limit}")
    return limit


# One row is one line, as in docs/redis-keys.md.
# fmt: off

# The dials that have rights or readers of their own; dial_keys.py adds those of the other gates.
# The guard, the webhook and the page may halt, by DEL, and never release.
KILL = Key("{ns}:kill", "string", "operator", "the kill switch: only `false` lets requests leave", "one word", "until it is set or deleted", {"worker": "mget del type getrange", "guard": "del", "web": "mget del type getrange"}, entries=1, entry_bytes=_WORD)
BUDGET_CAP = Key("{ns}:budget_usd", "string", "operator", "the spend cap of a window in US dollars; if absent, only the environment's cap applies", "one number", "until it is set or deleted", {"worker": "mget exists type getrange", "web": "mget exists type getrange"}, entries=1, entry_bytes=_WORD)
# A role can forge what it may write, so only the operator writes the record of commands. XADD can trim, too.
AUDIT = Key("{ns}:audit", "stream", "operator", "who changed which dial with a command, when and why", "about 10,000 changes; a reason of 1 KiB", "until newer ones push it out", {"worker": "xrevrange type xinfo|stream", "web": "xrevrange type"}, entries=10_000, entry_bytes=192 * 1024)
AUDIT_NOTICED = Key("{ns}:audit:noticed", "stream", "worker", "changes by raw commands, and halts by the guard, the webhook and `slotgen web`, as reported by workers, the webhook and the page", "about 10,000 changes; a reason of 1 KiB", "until newer ones push it out", {"worker": "xadd xrevrange type xinfo|stream", "guard": "xadd", "web": "xadd xrevrange type"}, entries=10_000, entry_bytes=192 * 1024)
AUDIT_SEEN = Key("{ns}:audit:seen", "hash", "operator", "the dials as last recorded; any difference was made by a raw command", "a field of 64 KiB for each dial", "as long as the dials", {"worker": "hget hset hdel type", "guard": "hdel", "web": "hdel type"}, entries=16, entry_bytes=65_536 + 64)
AUDIT_LIVE = Key("{ns}:audit:live", "hash", "operator", "the dials as they were when the fleet was last released", "a field for each dial", "as long as the dials", {"worker": "hget hset hdel hsetnx type"}, entries=16, entry_bytes=DIAL_BYTES)
DRILLS = Key("{ns}:drills:{target}", "stream", "operator", "the records of drills", "about 1,000 for each target", "until newer ones push it out", {}, entries=1_000, entry_bytes=16 * 1024)
REHEARSAL = Key("{ns}:rehearsal:{drill}", "namespace", "operator", "the namespace of one drill of the guard, with a kill switch of its own", "one drill", "until the drill ends", {})
KILL_MESSAGES = Key("{ns}:kill:{db}", "channel", "operator", "a halt while Redis refuses every write: any message but `false`; {db} is the database number, because channels span databases", "nothing is kept", "none", {"worker": "subscribe", "guard": "publish", "web": "publish"})
QUARANTINE = Key("{ns}:quarantine:{time}:{key}", "any", "operator", "what `slotgen repair` moved out of the key of that name, unchanged", "what was found", "30 days", {}, ttl_seconds=30 * 86_400)
HALTS_PROBE = Key("{ns}:halts:probe", "channel", "worker", "nobody listens: a worker whose message is not taken here cannot be reached by a halt either", "nothing is kept", "none", {"worker": "publish"})
HALTS = Key("{ns}:halts", "channel", "worker", "a worker's confirmation that it has halted; PUBLISH works even when Redis is out of memory", "nothing is kept", "none", {"worker": "publish", "web": "subscribe"})

# The queue, and who works on it.
QUEUE = Key("{ns}", "list", "Celery", "the waiting messages", "none: producers see its length", "until a worker takes it", {"producer": "lpush llen lrem", "worker": "blmove lmove rpop llen lpush rpush type", "keda": "type llen", "monitor": "type llen", "web": "llen type"})
PRIORITY_QUEUE = Key("{ns}\x06\x16{digit}", "list", "Celery", "the waiting messages with a priority of 1-9 (0 is taken first)", "none: producers see its length", "until the queue is empty and a worker takes it", {"producer": "lpush llen lrem", "worker": "rpop llen type", "keda": "type llen", "monitor": "type llen", "web": "llen type"})
PRIORITY_QUEUE_COLON = Key("{ns}:{digit}", "list", "Celery", "the same, from producers that use the `sep` in Celery's documentation", "none: producers see its length", "until the queue is empty and a worker takes it", {"producer": "lpush llen lrem", "worker": "rpop llen type", "keda": "type llen", "monitor": "type llen", "web": "llen type"})
DEFAULT_QUEUE = Key("celery", "list", "Celery", "messages sent without a queue name, by mistake if they are for slotgen; no slotgen worker takes them", "none", "until someone moves it", {})
DEFAULT_PRIORITY_QUEUE = Key("celery\x06\x16{digit}", "list", "Celery", "the same, with a priority", "none", "until someone moves it", {})
UNACKED = Key("{ns}:unacked", "hash", "Celery", "the messages that workers hold", "the concurrency of all workers", "until it is acknowledged, or its worker is lost", {"worker": "hset hget hdel hkeys hexists hlen watch type", "keda": "type hlen llen", "monitor": "type hlen"}, entries=Limit("workers", times=1000), entry_bytes=_HELD)
UNACKED_INDEX = Key("{ns}:unacked_index", "zset", "Celery", "when each of those was taken", "as unacked", "as unacked", {"worker": "zadd zrem zrange type"}, entries=Limit("workers", times=1000), entry_bytes=_WORD)
UNACKED_MUTEX = Key("{ns}:unacked_mutex", "string", "Celery", "which worker is looking for overdue messages", "one", "5 minutes", {"worker": "set get del type ttl"}, entries=1, entry_bytes=_WORD, ttl_seconds=300)
WORKERS = Key("{ns}:workers", "zset", "worker", "each worker's last heartbeat, by Redis's clock; it outlives the worker's connections", "one member for each worker", "until a lost worker's messages are back on the queue, and it is no longer shown", {"worker": "zadd zrange zrem zscore zrangebyscore zrevrangebyscore type", "web": "zrange type"}, entries=Limit("workers"), entry_bytes=_WORD)
WORKERS_RESUMED = Key("{ns}:workers:resumed", "string", "worker", "when heartbeats resumed after none had been heard at all; silence before that proves nothing", "one number", "as long as there are workers", {"worker": "mget set type getrange"}, entries=1, entry_bytes=_WORD, form=SECONDS)
WORKER_INFO = Key("{ns}:worker:{worker}", "string", "worker", "a worker's description of itself, JSON", "1 KiB", "10 minutes after its last heartbeat", {"worker": "set exists del type ttl getrange", "web": "mget type ttl getrange"}, entries=1, entry_bytes=_WORD, ttl_seconds=600, form=JSON)
TAKEN = Key("{ns}:taken", "string", "worker", "how many messages have ever been taken off the queue", "one number", "as long as the queue", {"worker": "get incrby type getrange"}, entries=1, entry_bytes=_WORD, form=COUNT)
ARRIVED = Key("{ns}:arrived", "zset", "worker", "at what time the total of arrived messages reached which number; gives the age of the oldest", "10,000 moments", "until the messages are taken", {"worker": "zadd zrangebyscore zrevrange zremrangebyscore zremrangebyrank del type"}, entries=10_000, entry_bytes=_WORD)
DEAD = Key("{ns}:dead", "stream", "worker", "the messages that no worker could take, byte for byte; of one that is too large, the beginning and a SHA-256: of the whole, or from 1 MiB on of its first 64 KiB", "SLOTGEN_DEAD_LETTER_BYTES in all; slotgen_dead_letters counts them", "SLOTGEN_DEAD_LETTER_SECONDS, until newer ones push it out, or an operator replays or drops it", {"worker": "xadd xlen xrange xdel memory|usage type xinfo|stream", "web": "xlen memory|usage type"}, entries=Limit("SLOTGEN_DEAD_LETTERS"), entry_bytes=Limit("SLOTGEN_MAX_MESSAGE_BYTES", times=2, plus=131_072))
TASK_META = Key("celery-task-meta-{task}", "string", "Celery", "a task's state and results", "one for each task", "SLOTGEN_RESULT_TTL_SECONDS", {"producer": "get mget", "worker": "get mget setex"}, entries=1, entry_bytes=100 * _ANSWER, ttl_seconds=Limit("SLOTGEN_RESULT_TTL_SECONDS"), form=JSON)
TASK_META_CHANNEL = Key("celery-task-meta-{task}", "channel", "Celery", "the same, for waiting producers", "nothing is kept", "none", {"producer": "subscribe", "worker": "publish"})
BINDING = Key("_kombu.binding{exchange}.{ns}", "set", "Celery", "which queue an exchange sends to", "one member", "for ever", {"producer": "sadd smembers", "worker": "sadd smembers"}, entries=100, entry_bytes=_WORD)

# The life of a job.
CLAIM = Key("{ns}:claim:{job}", "string", "worker", "who works on a job", "one for each job in hand", "until the job ends; if its worker is killed, 1 day or until another worker asks", {"worker": "get set del"}, entries=1, entry_bytes=_WORD, ttl_seconds=86_400)
RELEASED = Key("{ns}:released", "channel", "worker", "the job whose claim was released, for workers waiting for it", "nothing is kept", "none", {"worker": "publish subscribe"})
LEDGER = Key("{ns}:ledger:{job}", "string", "worker", "how many requests for a job have no outcome yet", "one for each job in flight", "7 days after the last request, if nothing concludes it", {"worker": "get incr expire decr del"}, entries=1, entry_bytes=_WORD, ttl_seconds=7 * 86_400, form=COUNT)
ANSWER = Key("{ns}:answer:{job}", "string", "worker", "a completed answer, JSON, so that it is paid for once", "the newest 100,000", "answerTtlSeconds of the executor config", {"worker": "get set del"}, entries=1, entry_bytes=_ANSWER, ttl_seconds=Limit("executor.answerTtlSeconds"), form=JSON)
ANSWERS = Key("{ns}:answers", "zset", "worker", "the jobs whose answers are kept, by the time they were stored", "as the answers", "as the answers", {"worker": "zadd zcard zpopmin zremrangebyscore type"}, entries=Limit("SLOTGEN_CACHE_ANSWERS"), entry_bytes=_WORD)
BUDGET = Key("{ns}:budget:{start}", "hash", "worker", "the account of the window that began then: spent, held and written off, in all and by model, and what was settled by allowlist rule", "200 fields: three, three for each model, and one for each rule while there is room", "two windows and a day", {"worker": "hincrby hmget hgetall hlen hdel ttl expire", "web": "hgetall"}, entries=200, entry_bytes=_WORD, ttl_seconds=Limit("SLOTGEN_BUDGET_WINDOW_SECONDS", times=2, plus=86_400), form=r"-?\d{1,17}")
BUDGET_HOLDS = Key("{ns}:budget:holds", "hash", "worker", "the open reservations", "the requests in flight", "until settled or expired", {"worker": "hget hexists hset hdel type hscan"}, entries=Limit("workers", times=1000), entry_bytes=_WORD, form=r"\d{1,15} \d{1,17} .*")
BUDGET_EXPIRY = Key("{ns}:budget:expiry", "zset", "worker", "when each reservation expires", "as the holds", "as the holds", {"worker": "zadd zrem zrangebyscore zrevrangebyscore type"}, entries=Limit("workers", times=1000), entry_bytes=_WORD)
COOLDOWN = Key("{ns}:cooldown:{model}", "string", "worker", "set while no request to this model may leave; since when (epoch seconds)", "one for each model", "as long as the server asked, at most SLOTGEN_LONGEST_COOLDOWN_SECONDS", {"worker": "pttl pexpire set"}, entries=1, entry_bytes=_WORD, ttl_seconds=Limit("SLOTGEN_LONGEST_COOLDOWN_SECONDS"))
BREAKER = Key("{ns}:breaker", "string", "worker", "the errorCode because of which no request leaves", "one word", "1 day, or until a probe succeeds", {"worker": "get set del type ttl getrange"}, entries=1, entry_bytes=_WORD, ttl_seconds=86_400, form=r"OPENAI_[A-Z_]+")
BREAKER_PROBE = Key("{ns}:breaker:probe", "string", "worker", "set while a probe is under way", "one", "probeSeconds of the executor config", {"worker": "set exists del type ttl"}, entries=1, entry_bytes=_WORD, ttl_seconds=Limit("executor.traffic.probeSeconds"))
GUARD = Key("{ns}:guard", "list", "worker", "the fleet's latest outcomes, which the guard judges", "guard.sample of the executor config", "guard.windowSeconds after the last outcome", {"worker": "lpush ltrim lrange pexpire del type ttl"}, entries=Limit("executor.guard.sample"), entry_bytes=_WORD, ttl_seconds=Limit("executor.guard.windowSeconds"))
GUARD_SPENT = Key("{ns}:guard:spent:{minute}", "string", "worker", "what was spent in a minute, nano-dollars", "one for each minute", "3 minutes", {"worker": "incrby expire del"}, entries=1, entry_bytes=_WORD, ttl_seconds=180, form=COUNT)
HISTORY = Key("{ns}:history", "stream", "worker", "the latest outcomes, without content", "about SLOTGEN_HISTORY_OUTCOMES", "until newer ones push it out", {"worker": "xadd type xinfo|stream", "web": "xrevrange type"}, entries=Limit("SLOTGEN_HISTORY_OUTCOMES"), entry_bytes=4096)
RESULTS = Key("{ns}:results", "stream", "worker", "deliveries, for consumers that do not wait for a task id", "about SLOTGEN_STREAM_RESULTS", "until newer ones push it out, which slotgen_results_trimmed_total counts", {"consumer": "xgroup|create xgroup|createconsumer xreadgroup xack xautoclaim xpending xlen xinfo|groups", "worker": "type xadd xlen xinfo|stream"}, entries=Limit("SLOTGEN_STREAM_RESULTS"), entry_bytes=_ANSWER + 65_536)
# fmt: on

# Not a second list to maintain: the table is every Key of this module.
TABLE = tuple(each for each in dict(globals()).values() if isinstance(each, Key))
