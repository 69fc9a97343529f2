"""What the pictures show, each with the place that makes it true; a test compares it with a real worker.

A place is `FILE:NAME`. Rooms and their arrows are not here: `draw.py` takes them from the import contracts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """One kind of connection of a worker process.

    `sends` is what it sends all the while, as Redis's MONITOR shows it, where no step of a job needs it.
    """

    name: str
    text: str
    place: str
    sends: str = ""
    redis: bool = True


@dataclass(frozen=True, slots=True)
class Thread:
    """A long-lived thread of a worker process, or a pool of them, by the name that Python shows; `loop` is what it runs.

    One that is there `only_with` a setting is drawn with a broken line.
    """

    name: str
    text: str
    place: str
    uses: tuple[str, ...] = ()
    loop: str = ""
    wakes: str = ""
    only_with: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job that is generated. `sends` is its exchange with Redis, as MONITOR shows it, with … for what follows.

    `otherwise` is how the job ends when the answer is no; `cancellable` whether the brake can end it there.
    """

    title: str
    text: str
    place: str
    client: str = ""
    sends: str = ""
    otherwise: str = ""
    cancellable: bool = False


CLIENTS = (
    Client(
        "consumer",
        "kombu's two connections: one waits for messages, one notes and acknowledges them",
        "worker/adapters/celery/transport.py:Channel",
    ),
    Client(
        "result backend",
        "for what Celery itself stores: a message that was rejected or revoked",
        "worker/adapters/celery/results.py:PatientBackend",
    ),
    Client(
        "job path",
        "one asyncio connection, in batches; while a job waits for another's claim, one that listens",
        "worker/adapters/redis/batches.py:RedisBatches",
    ),
    Client(
        "OpenAI",
        "HTTPS through the SDK; a halt closes every connection; once an hour, one of its own asks for the model",
        "worker/adapters/openai/model.py:OpenAIModel",
        redis=False,
    ),
    Client(
        "dials",
        "one connection, 250 ms for each read, no retries",
        "worker/adapters/redis/jobs/controls.py:RedisControls",
    ),
    Client(
        "kill switch",
        "RESP3: Redis reports each change of a dial, and messages that halt; asked every 250 ms",
        "worker/adapters/redis/jobs/kill_switch_watch.py:KillSwitchWatch",
        "MGET slotgen:kill",
    ),
    Client(
        "background",
        "a pool for records, which no job waits for; 5 s for each command",
        "worker/adapters/redis/clients.py:open_sync",
    ),
    Client(
        "HTTP pages",
        "/metrics, /healthz and /readyz; a scrape does no I/O",
        "telemetry/pages.py:application",
        redis=False,
    ),
    Client(
        "collector",
        "OTLP over HTTP, which no job waits for",
        "worker/adapters/otel/sending.py:SpanSender",
        redis=False,
    ),
)

THREADS = (
    Thread(
        "MainThread",
        "takes messages, refuses malformed ones",
        "worker/process/lifecycle.py:run",
        ("consumer", "result backend"),
        loop="kombu's hub",
        wakes="job-loop",
    ),
    Thread(
        "job-loop",
        "every job, as a task",
        "worker/adapters/celery/job_loop.py:JobLoop",
        ("job path", "dials", "OpenAI"),
        loop="asyncio",
    ),
    Thread(
        "kill_switch_watch",
        "follows the kill switch",
        "worker/adapters/redis/jobs/kill_switch_watch.py:KillSwitchWatch",
        ("kill switch",),
        wakes="job-loop",
    ),
    Thread(
        "heartbeat",
        "shows that this worker is alive",
        "worker/adapters/redis/jobs/heartbeat.py:Heartbeat",
        ("background",),
    ),
    Thread(
        "fleet",
        "records changes of dials, and by whom; reads the gauges",
        "worker/process/background.py:Background",
        ("dials", "background"),
    ),
    Thread("log", "writes the lines of the log", "telemetry/logs.py:JsonHandler"),
    Thread(
        "exporter",
        "serves metrics and health",
        "telemetry/exporter.py:Exporter",
        ("HTTP pages",),
        loop="HTTP server",
    ),
    Thread(
        "traces",
        "sends the spans",
        "worker/process/tracing.py:open_tracing",
        ("collector",),
        only_with="an OTLP endpoint",
    ),
)

STEPS = (
    Step(
        "Take",
        "One for each free place, in one script, which cuts what is too large.",
        "worker/adapters/celery/redelivery.py:ConsumerQoS.take_words",
        "consumer",
        "BLMOVE slotgen slotgen …",
    ),
    Step(
        "Check the message",
        "Size, form, job.v1. A bad one is kept, and its producer gets the reason.",
        "worker/adapters/celery/message_validation.py:MessageValidation",
        otherwise="dead letter",
    ),
    Step(
        "Decide",
        "All four, afresh, for this job alone. No answer in 250 ms is a no.",
        "tasks/generate/dial_reader.py:DialReader.read_exclusive",
        "dials",
        "MGET slotgen:kill slotgen:feature …",
    ),
    Step(
        "Pass the gates",
        "kill, feature, opt-in, allowlist, rollout; then mode, run limit, output type.",
        "tasks/generate/admission.py:Admission.admit",
        otherwise="STUB",
    ),
    Step(
        "Claim",
        "Or find its paid answer, in one script. A second copy waits for the first.",
        "worker/adapters/redis/jobs/steps.py:RedisSteps.claim",
        "job path",
        "SET slotgen:claim:…",
        otherwise="COMPLETED",
        cancellable=True,
    ),
    Step(
        "Depart",
        "Cooldown, breaker, spend cap, attempts: one script holds the worst case.",
        "worker/adapters/redis/jobs/steps.py:RedisSteps.depart",
        "job path",
        "HSET slotgen:budget:holds …",
        otherwise="STUB, FAILED or requeued",
        cancellable=True,
    ),
    Step(
        "Read the dials again",
        "At the same time: no request starts after a read that saw a no.",
        "tasks/generate/dial_reader.py:DialReader.read_shared",
        "dials",
        otherwise="STUB",
        cancellable=True,
    ),
    Step(
        "Ask the model",
        "Brake and deadline reach it until its response is there, no further.",
        "worker/adapters/openai/model.py:OpenAIModel",
        "OpenAI",
        otherwise="STUB or FAILED",
        cancellable=True,
    ),
    Step(
        "Judge the answer",
        "Full schema and plain text; else it is asked for once more.",
        "tasks/generate/acceptance.py:accept",
        otherwise="FAILED",
    ),
    Step(
        "Arrive",
        "Cost, answer, breaker, guard, claim: one script. It waits for Redis.",
        "worker/adapters/redis/jobs/steps.py:RedisSteps.arrive",
        "job path",
        "SET slotgen:answer:…",
    ),
    Step(
        "Record",
        "Once: event and metrics.",
        "tasks/generate/recording.py:OutcomeRecording",
    ),
    Step(
        "Finish",
        "Result, deliveries, history, acknowledgement: one script. It waits for Redis.",
        "worker/adapters/celery/results.py:ResultWriter.finish",
        "job path",
        "SETEX celery-task-meta-…",
    ),
)
