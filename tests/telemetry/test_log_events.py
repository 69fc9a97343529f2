"""One list of log events: every place that logs one is held to it."""

import ast
from pathlib import Path

from telemetry.log_events import LOG_EVENTS

ROOT = Path(__file__).parents[2]
ERROR = {"error_type", "error_at"}
# Where the name of the event comes from elsewhere: the names that may come.
HANDED_ON = {
    "telemetry/logs.py": {"process_crashed", "thread_crashed", "finalizer_crashed"},
    "telemetry/recorder.py": {"job_completed", "job_stubbed", "job_failed"},
    "worker/adapters/celery/redelivery.py": {"lost_worker_found", "worker_forgotten"},
    "worker/adapters/redis/batches.py": {"result_refused"},
}


def emitted():
    """Yield each call of `emit` as its file, its level, and the names and the fields that it may have."""
    packages = ("gates", "tasks", "telemetry", "schemas", "worker")
    for path in sorted(path for package in packages for path in (ROOT / package).rglob("*.py")):
        where = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "emit":
                yield where, level(node.args[1]), names(node.args[2], where), fields(node)


def names(event, where):
    if isinstance(event, ast.IfExp):
        return names(event.body, where) | names(event.orelse, where)
    return {event.value} if isinstance(event, ast.Constant) else HANDED_ON[where]


def level(argument):
    """Return the level's name, None where it is decided with the event's name."""
    return argument.attr if isinstance(argument, ast.Attribute) else None


def fields(call):
    found = set()
    for keyword in call.keywords:
        # What is spread is an error's type and place, and nothing else.
        assert keyword.arg or ast.unparse(keyword.value).startswith("error_location(")
        found |= {keyword.arg} if keyword.arg else ERROR
    return found


def test_every_event_that_is_logged_is_in_the_table_with_its_level_and_fields():
    rows = {row.name: row for row in LOG_EVENTS}

    for where, said, events, found in emitted():
        for name in events:
            assert name in rows, f"{where} logs {name}"
            assert (said or rows[name].level, found) == (rows[name].level, set(rows[name].fields)), name


def test_every_event_of_the_table_is_logged_somewhere():
    assert sorted(row.name for row in LOG_EVENTS) == sorted(
        {each for _, _, names, _ in emitted() for each in names}
    )
