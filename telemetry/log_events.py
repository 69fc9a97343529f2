"""Every log event except those of libraries (`log`), in one table, from which docs/log-events.md is generated."""

from dataclasses import dataclass

_ERROR = ("error_type", "error_at")


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One row: name, level, the fields besides time, level, logger and event, and meaning."""

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
    LogEvent("job_lost", "ERROR", _ERROR, "a bug: a job ended without an answer; its message goes back to the queue"),
    LogEvent("task_broke", "ERROR", ("task_id", *_ERROR), "a bug: a message ended without results"),
    LogEvent("telemetry_invalid", "ERROR", ("violations", "sound_fields", "details"), "an event broke its schema and was not sent"),
    LogEvent("telemetry_broke", "ERROR", _ERROR, "part of an outcome could not be recorded"),
    LogEvent("calls_halted", "WARNING", ("calls", "seconds"), "the brake cancelled calls, and the last one is closed"),
    LogEvent("halted_by_message", "WARNING", (), "Redis refused writes, so a message halted this worker; it stays halted until the kill switch is set or deleted"),
    LogEvent("kill_messages_forbidden", "ERROR", (), "Redis does not let this worker hear halt messages, or publish any; use deploy/redis/users.acl"),
    LogEvent("key_wrong", "ERROR", ("key", "found", "wanted", "remedy"), "a Redis key holds something slotgen cannot read; logged once per key; `slotgen repair` lists more"),
    LogEvent("guard_halted", "ERROR", ("reason",), "the fleet's outcomes broke a rule, and this worker halted the fleet"),
    LogEvent("guard_warned", "ERROR", ("reason",), "the fleet's outcomes broke a rule, and the guard only warns or has already halted"),
    LogEvent("answer_not_stored", "ERROR", (), "a paid answer could not be stored"),
    LogEvent("service_tier_unexpected", "WARNING", ("asked", "served"), "a request was served by a tier other than the one asked for, and is charged at its worst case; logged at most once a minute"),
    LogEvent("price_doubtful", "WARNING", ("setting", "value", "remedy"), "the executor config's prices may not be this server's"),
    LogEvent("model_at_risk", "WARNING", ("model", "problem"), "the key cannot use the model, or the model will soon be shut down; logged when that changes"),
    LogEvent("model_unknown", "INFO", ("model", "problem"), "the server does not say whether the key can use the model, nor when it will be shut down; logged when that changes"),
    LogEvent("model_not_opened", "ERROR", _ERROR, "the model's client could not be made; the next job tries again"),
    LogEvent("message_rejected", "WARNING", ("reason", "problem", "dead_id", "task_id"), "a message is not a valid job spec; it is kept as a dead letter"),
    LogEvent("message_dead_lettered", "ERROR", ("task_id",), "too many workers ended while they held this message"),
    LogEvent("dead_letters_dropped", "ERROR", ("number",), "the oldest dead letters were dropped for good: the store was full, or they were too old"),
    LogEvent("lost_worker_found", "WARNING", ("worker_id", "messages_returned"), "a worker is gone; its messages are back on the queue"),
    LogEvent("worker_forgotten", "DEBUG", ("worker_id",), "a worker has shut down cleanly, or was lost long ago"),
    LogEvent("forgotten_messages_found", "WARNING", ("messages_returned",), "messages that no worker was holding are back on the queue"),
    LogEvent("acknowledgement_owed", "WARNING", ("error",), "Redis did not accept an acknowledgement; it is sent again later"),
    LogEvent("result_refused", "WARNING", ("error", "cause"), "Redis is away, or does not accept what a job came to; that is kept, and booked as soon as it does"),
    LogEvent("arrival_refused", "ERROR", ("parts",), "part of how a job ended can never be booked in Redis; `slotgen repair` shows which key is wrong"),
    LogEvent("worker_ready", "INFO", ("concurrency", "metrics_port", "namespace", "pid"), "the worker is taking messages"),
    LogEvent("worker_stopping", "INFO", ("grace_seconds",), "the worker takes no more messages; jobs that do not end in time go back to the queue"),
    LogEvent("worker_stopped", "INFO", (), "the worker has shut down cleanly"),
    LogEvent("background_broke", "ERROR", ("name", *_ERROR), "a background thread's work raised an error and is retried; logged again only after it has succeeded in between"),
    LogEvent("redis_refused", "ERROR", ("address", "cause", "remedy", "error"), "Redis is away, or refuses the consumer's commands; the worker waits and retries"),
    LogEvent("redis_accepted", "INFO", (), "Redis accepts the consumer's commands again"),
    LogEvent("redis_unsafe", "WARNING", ("setting", "value", "remedy"), "this Redis could lose the queue or the dials"),
    LogEvent("redis_not_examined", "WARNING", _ERROR, "could not find out whether this Redis could lose the queue or the dials"),
    LogEvent("spans_not_sent", "WARNING", ("address", "answer"), "the collector of traces did not take spans, which are dropped and counted; logged again only after it has taken some in between"),
    LogEvent("page_broke", "ERROR", ("page", *_ERROR), "/metrics, /healthz or /readyz could not be answered"),
    LogEvent("webhook_halted", "WARNING", ("by", "reason"), "an alert halted the fleet"),
    LogEvent("webhook_refused", "WARNING", ("unlogged_before",), "a request to the webhook without its token; after the first ten, one a minute is logged"),
    LogEvent("webhook_halt_failed", "ERROR", (), "an alert could not halt the fleet, because Redis did not answer"),
    LogEvent("web_halted", "WARNING", ("by",), "somebody pressed the halt button of `slotgen web`; the audit has who"),
    LogEvent("web_halt_failed", "ERROR", (), "the halt button could not halt the fleet, because Redis did not answer; it keeps trying"),
    LogEvent("web_login_refused", "WARNING", ("unlogged_before",), "a login to `slotgen web` with a wrong token; after the first ten, one a minute is logged"),
    LogEvent("web_page_broke", "ERROR", _ERROR, "the page of `slotgen web` was shown without the status, because of a bug"),
    LogEvent("secret_file_exposed", "WARNING", ("problem",), "others can read or change the file of a key, a password or a token"),
    LogEvent("process_crashed", "CRITICAL", ("thread", *_ERROR), "the process ended with an error"),
    LogEvent("thread_crashed", "CRITICAL", ("thread", *_ERROR), "a thread ended with an error"),
    LogEvent("finalizer_crashed", "CRITICAL", ("thread", *_ERROR), "an object could not be cleaned up"),
)
# fmt: on
