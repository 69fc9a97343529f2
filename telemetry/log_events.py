"""Every event of the log but those of libraries (`log`), in one table; docs/log-events.md is made of it."""

from dataclasses import dataclass

_ERROR = ("error_type", "error_at")


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One row: its name, its level, what it has beside time, level, logger and event, and its meaning."""

    name: str
    level: str
    fields: tuple[str, ...]
    meaning: str


# fmt: off
LOG_EVENTS = (
    LogEvent("job_completed", "INFO", ("telemetry", "details"), "a job has its content; `telemetry` is the event v1"),
    LogEvent("job_stubbed", "INFO", ("telemetry", "details"), "a dial, a limit or the mode said no"),
    LogEvent("job_failed", "INFO", ("telemetry", "details"), "something broke; `errorCode` says what"),
    LogEvent("job_broke", "ERROR", ("job_id", *_ERROR), "a bug: the job is FAILED with INTERNAL_ERROR"),
    LogEvent("job_lost", "ERROR", _ERROR, "a bug: a job ended without an answer; its message comes back"),
    LogEvent("task_broke", "ERROR", ("task_id", *_ERROR), "a bug: a message ended without results"),
    LogEvent("telemetry_invalid", "ERROR", ("violations", "sound_fields", "details"), "an event broke its schema, and did not leave"),
    LogEvent("telemetry_broke", "ERROR", _ERROR, "a part of an outcome could not be recorded"),
    LogEvent("calls_halted", "WARNING", ("calls", "seconds"), "the brake cancelled calls, and the last has closed"),
    LogEvent("halted_by_message", "WARNING", (), "Redis took no write, so a message halted this worker; it stays halted until the kill key is set or deleted"),
    LogEvent("kill_messages_forbidden", "ERROR", (), "Redis forbids this worker to hear messages that halt; take deploy/redis/users.acl"),
    LogEvent("key_wrong", "ERROR", ("key", "found", "wanted", "remedy"), "a key in Redis holds what does not belong there; logged once for each, and `slotgen repair` lists more"),
    LogEvent("guard_halted", "ERROR", ("reason",), "the fleet's outcomes broke a rule, and this worker halted it"),
    LogEvent("guard_warned", "ERROR", ("reason",), "the fleet's outcomes broke a rule, and the guard only warns or has halted before"),
    LogEvent("answer_not_stored", "ERROR", (), "a paid answer could not be kept"),
    LogEvent("service_tier_unexpected", "WARNING", ("asked", "served"), "a request was served by another tier than the one asked for, and is charged at its worst case; logged once a minute at most"),
    LogEvent("price_doubtful", "WARNING", ("setting", "value", "remedy"), "the prices of the executor config may not be those of this server"),
    LogEvent("model_not_opened", "ERROR", _ERROR, "the model's client could not be made; the next job tries again"),
    LogEvent("message_rejected", "WARNING", ("reason", "problem", "dead_id", "task_id"), "a message is no job spec, and is kept among the dead letters"),
    LogEvent("message_dead_lettered", "ERROR", ("task_id",), "too many workers ended while they held this message"),
    LogEvent("dead_letters_dropped", "ERROR", ("number",), "the oldest dead letters went for good: the store was full, or they were too old"),
    LogEvent("lost_worker_found", "WARNING", ("worker_id", "messages_returned"), "a worker is gone; its messages are back on the queue"),
    LogEvent("worker_forgotten", "DEBUG", ("worker_id",), "a worker has left in order, or was lost long ago"),
    LogEvent("forgotten_messages_found", "WARNING", ("messages_returned",), "messages that no worker held are back on the queue"),
    LogEvent("acknowledgement_owed", "WARNING", ("error",), "Redis did not take an acknowledgement; it is made later"),
    LogEvent("result_refused", "WARNING", ("error", "cause"), "Redis does not take the end of a job; the worker waits for it"),
    LogEvent("arrival_refused", "ERROR", ("parts",), "Redis refuses for good to book some of how a job ended; slotgen repair shows which key is wrong"),
    LogEvent("worker_ready", "INFO", ("concurrency", "metrics_port", "namespace", "pid"), "the worker takes messages"),
    LogEvent("worker_stopping", "INFO", ("grace_seconds",), "it takes no more; what does not end in time goes back to the queue"),
    LogEvent("worker_stopped", "INFO", (), "it has ended in order"),
    LogEvent("background_broke", "ERROR", ("name", *_ERROR), "a thread's work raised an error; it is tried again, and logged again once it has succeeded between"),
    LogEvent("redis_refused", "ERROR", ("address", "cause", "remedy", "error"), "Redis is away, or refuses what the consumer asks; the worker waits, and asks again"),
    LogEvent("redis_accepted", "INFO", (), "Redis does again what the consumer asks"),
    LogEvent("redis_unsafe", "WARNING", ("setting", "value", "remedy"), "this Redis could lose the queue or the dials"),
    LogEvent("redis_not_examined", "WARNING", _ERROR, "whether this Redis could lose the queue or the dials is not known"),
    LogEvent("page_broke", "ERROR", ("page", *_ERROR), "/metrics, /healthz or /readyz could not be answered"),
    LogEvent("webhook_halted", "WARNING", ("by", "reason"), "an alert halted the fleet"),
    LogEvent("webhook_refused", "WARNING", ("unlogged_before",), "a request to the webhook without its token; after ten, one a minute is logged"),
    LogEvent("webhook_halt_failed", "ERROR", (), "an alert could not halt, since Redis did not answer"),
    LogEvent("secret_file_exposed", "WARNING", ("problem",), "others can read or change the file of a key, a password or a token"),
    LogEvent("process_crashed", "CRITICAL", ("thread", *_ERROR), "the process ended by an error"),
    LogEvent("thread_crashed", "CRITICAL", ("thread", *_ERROR), "a thread ended by an error"),
    LogEvent("finalizer_crashed", "CRITICAL", ("thread", *_ERROR), "an object could not be cleaned up"),
)
# fmt: on
