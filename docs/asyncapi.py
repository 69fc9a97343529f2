"""`python docs/asyncapi.py`: writes docs/asyncapi.json from the schemas; with `--check` only compares it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import schemas

FILE = Path(__file__).with_name("asyncapi.json")
_FORMAT = "application/schema+json;version=draft-2020-12"

# Of each message: its schema, where it is found, and what slotgen does with it.
_MESSAGES = {
    "taskMessage": ("message.v2", "A job spec in Celery's message, protocol 2", "application/json"),
    "answer": ("answer.v1", "The results of one task, with their reasons", "application/json"),
    "delivery": ("delivery.v1", "One job's result, in the stream's field `delivery`", "application/json"),
    "outcome": ("telemetry.v1", "One job's outcome, as the log line's `telemetry`", "application/json"),
}
_CHANNELS = {
    "queue": (
        "slotgen",
        "taskMessage",
        "The queue: a Redis list. Producers LPUSH, workers take from the other end. SLOTGEN_NAMESPACE names it.",
    ),
    "results": (
        "celery-task-meta-{taskId}",
        "answer",
        "Celery's result backend: GET the key, or subscribe to the channel of the same name. Kept for SLOTGEN_RESULT_TTL_SECONDS, a day by default.",
    ),
    "stream": (
        "slotgen:results",
        "delivery",
        "The results stream, with SLOTGEN_STREAM_RESULTS: XREADGROUP, then XACK. At least once, bounded.",
    ),
    "events": (
        "stdout",
        "outcome",
        "The worker's log, JSON lines: job_completed, job_stubbed and job_failed carry the event.",
    ),
}
_OPERATIONS = {
    "answerSpec": ("receive", "queue", "Takes a spec, and answers each of its jobs."),
    "storeResults": (
        "send",
        "results",
        "Stores the results, and progress of a spec with several jobs before.",
    ),
    "streamResult": ("send", "stream", "Adds each result before its message is acknowledged."),
    "recordOutcome": ("send", "events", "Writes exactly one event for each outcome."),
}


def document() -> dict[str, Any]:
    """Return the AsyncAPI 3 document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "slotgen",
            "version": "1.0.0",
            "description": "Fills content slots with OpenAI, and can be stopped: what goes in and what comes out.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "redis": {
                "host": "redis.example.org:6379",
                "protocol": "redis",
                "description": "SLOTGEN_REDIS_URL: queue and results in one Redis.",
            }
        },
        "channels": {name: _channel(*each) for name, each in _CHANNELS.items()},
        "operations": {name: _operation(*each) for name, each in _OPERATIONS.items()},
        "components": {
            "messages": {name: _message(name, *each) for name, each in _MESSAGES.items()},
            "schemas": {_key(name): _schema(name) for name in sorted(_shown())},
        },
    }


def _shown() -> set[str]:
    outputs = {each for each in schemas.names() if each.startswith("outputs/")}
    return outputs | {schema for schema, _, _ in _MESSAGES.values()} | {"job.v1", "result.v1"}


def _channel(address: str, message: str, description: str) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }
    if "{taskId}" in address:
        channel["parameters"] = {"taskId": {"description": "The id of the message that carried the spec."}}
    return channel


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    message = _CHANNELS[channel][1]
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _message(name: str, schema: str, title: str, content_type: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "contentType": content_type,
        "payload": {"$ref": f"#/components/schemas/{_key(schema)}"},
        "examples": [{"payload": each} for each in schemas.load(schema)["examples"]],
    }


def _schema(name: str) -> dict[str, Any]:
    schema = schemas.load(name)
    if name == "message.v2":
        # What is inside the base64 is the contract that a producer has to know.
        schema["properties"]["body"]["contentSchema"] = {
            "description": "The arguments: the spec alone, no keyword arguments, nothing that follows the task.",
            "type": "array",
            "prefixItems": [
                {"type": "array", "prefixItems": [schemas.load("job.v1")], "minItems": 1, "maxItems": 1},
                {"type": "object", "maxProperties": 0},
                {"type": ["object", "null"]},
            ],
            "minItems": 3,
            "maxItems": 3,
        }
    return {"schemaFormat": _FORMAT, "schema": schema}


def _key(name: str) -> str:
    return name.replace("/", ".")


def main() -> int:
    """Write the file, or with `--check` compare it; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if the file is out of date"
    )
    text = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    if not parser.parse_args().check:
        FILE.write_text(text, "utf-8")
    elif not FILE.exists() or FILE.read_text("utf-8") != text:
        sys.stderr.write("docs/asyncapi.json is not what the schemas say; run `python docs/asyncapi.py`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
