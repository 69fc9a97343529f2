"""Makes messages of every shape that a producer can put on the queue: sound, odd, and broken at any level."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from celery import Celery, chain, chord, group
from kombu import compression
from kombu.exceptions import SerializerNotInstalled

from tests.builders import a_job, a_message, a_spec, new_job

_CAPTURED = "captured"
_TASK = "slotgen.generate"
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 5.5, 1e308, 10**30, "", "x", "5", "\0", "é😀", "a" * 300, "a" * 5000),
    *(
        "2020-01-01T00:00:00",
        "2999-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59.999999",
        "0001-01-01T00:00:00",
    ),
    *("2026-02-30T00:00:00Z", "tomorrow", "20260101T000000Z", 1_800_000_000, "\r\n", "../..", "\u202e"),
    *([], {}, [None, None], [1, 2], [0.001, 0.001], [None, 1], {"a": 1}, ["x"] * 50, {"task": "x"}),
]
_HEADERS = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "compression",
    "redelivered",
    "slotgen_deaths",
    "slotgen_deferred_since",
    "slotgen_reasons",
    "meth",
    "utc",
    "chord",
    "chain",
    "callbacks",
    "errbacks",
    "delivery_info",
    "hostname",
    "properties",
    "method_name",
    "args",
    "kwargs",
    "traceparent",
    "taskset",
    "headers",
    "reply_to",
    "correlation_id",
    "get",
    "children",
    "is_eager",
]
_PROPERTIES = [
    "correlation_id",
    "reply_to",
    "delivery_mode",
    "delivery_info",
    "priority",
    "body_encoding",
    "delivery_tag",
    "content_type",
    "expiration",
    "app_id",
    "timestamp",
    "type",
    "user_id",
    "message_id",
    "application_headers",
]
_DELIVERY_INFO = ["exchange", "routing_key", "priority", "redelivered", "consumer_tag"]
_PARTS = ["body", "content-type", "content-encoding", "headers", "properties", "x"]


@dataclass(frozen=True)
class Fuzzed:
    """One message: how it was made, and its bytes."""

    shape: str
    raw: bytes


@dataclass
class MessageFuzzer:
    """Messages by chance, of the templates that Celery itself made and of foreign clients'."""

    chance: random.Random
    templates: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def capture(self, client: redis.Redis, url: str) -> None:
        """Let Celery make a message of every kind that it has, and keep them as templates."""
        with Celery(broker=url, backend="cache+memory://", set_as_current=False) as app:
            for protocol in (1, 2):
                app.conf.task_protocol = protocol
                for shape, send in _sent_by_celery(app):
                    with contextlib.suppress(SerializerNotInstalled):
                        send()
                    while raw := client.rpop(_CAPTURED):
                        self.templates.append((f"protocol {protocol}, {shape}", json.loads(raw)))
        self.templates += _sent_by_others()

    def messages(self, number: int) -> Iterator[Fuzzed]:
        """Yield so many messages: a third as their producer made them, the others with something wrong."""
        for _ in range(number):
            shape, template = self.chance.choice(self.templates)
            message = _renamed(template, self._uuid())
            level = self.chance.choice(_LEVELS)
            if level is not None:
                message = level(self, message)
            raw = message if isinstance(message, bytes) else json.dumps(message).encode()
            yield Fuzzed(f"{shape}; {level.__name__.strip('_') if level else 'sound'}", raw)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128)))

    def _value(self) -> Any:
        return copy.deepcopy(self.chance.choice(VALUES))

    def _bytes(self, message: dict[str, Any]) -> bytes:
        raw = bytearray(json.dumps(message).encode())
        for _ in range(self.chance.choice([1, 1, 2, 5])):
            place = self.chance.randrange(len(raw))
            match self.chance.randrange(4):
                case 0:
                    raw[place] = self.chance.randrange(256)
                case 1:
                    del raw[place : place + self.chance.randrange(1, 40)]
                case 2:
                    raw[place:place] = self.chance.randbytes(self.chance.randrange(1, 5))
                case 3:
                    del raw[place:]
            if not raw:
                return b"{"
        return bytes(raw)

    def _noise(self, _: dict[str, Any]) -> bytes:
        # With a number of its own, so that no two are the same.
        return self._uuid().encode() + self.chance.randbytes(self.chance.randrange(200))

    def _json(self, message: dict[str, Any]) -> bytes:
        raw = json.dumps(message)
        return self.chance.choice(
            [
                raw[:-1] + ', "x": NaN}',
                raw[:-1] + ', "x": 1e999}',
                raw[:-1] + ', "headers": {}}',
                raw[:-1] + ', "x": "\\ud800"}',
                raw[:-1] + ', "x": ' + "[" * 5000 + "]" * 5000 + "}",
                raw[:-1] + ', "x": ' + "[" * 40 + "]" * 40 + "}",
                raw[:-1] + ', "x": ' + "9" * 5000 + "}",
                f"[{raw}]",
                f"\ufeff{raw}",
                json.dumps(raw),
            ]
        ).encode()

    def _parts(self, message: dict[str, Any]) -> dict[str, Any]:
        return self._changed(message, _PARTS)

    def _headers(self, message: dict[str, Any]) -> dict[str, Any]:
        return message | {"headers": self._changed(message.get("headers") or {}, _HEADERS)}

    def _properties(self, message: dict[str, Any]) -> dict[str, Any]:
        return message | {"properties": self._changed(message["properties"], _PROPERTIES)}

    def _delivery_info(self, message: dict[str, Any]) -> dict[str, Any]:
        info = self._changed(message["properties"].get("delivery_info") or {}, _DELIVERY_INFO)
        return message | {"properties": message["properties"] | {"delivery_info": info}}

    def _triple(self, message: dict[str, Any]) -> dict[str, Any]:
        """Change one place of the body, at any depth: arguments, canvas, spec, or the call of protocol 1."""
        try:
            body = json.loads(base64.b64decode(message["body"]))
        except ValueError:
            return self._parts(message)
        places = list(_places(body))
        holder, key = self.chance.choice(places)
        if self.chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = self._value()
        return message | {"body": base64.b64encode(json.dumps(body).encode()).decode()}

    def _size(self, message: dict[str, Any]) -> dict[str, Any]:
        filling = "A" * self.chance.choice([262_000, 350_000, 500_000, 600_000])
        return message | {"body": f"{message['body']}{filling}"}

    def _changed(self, fields: dict[str, Any], names: list[str]) -> dict[str, Any]:
        changed = dict(fields)
        for _ in range(self.chance.choice([1, 1, 1, 2, 3])):
            name = self.chance.choice(names)
            if self.chance.random() < 0.2:
                changed.pop(name, None)
            else:
                changed[name] = self._value()
        return changed


_LEVELS = [
    *[None] * 9,
    *[MessageFuzzer._bytes, MessageFuzzer._json, MessageFuzzer._parts, MessageFuzzer._headers] * 3,
    *[MessageFuzzer._properties, MessageFuzzer._delivery_info, MessageFuzzer._triple, MessageFuzzer._triple]
    * 2,
    MessageFuzzer._noise,
]
# Seldom: Redis has to carry them.
_LEVELS += [level for level in _LEVELS for _ in range(9)] + [MessageFuzzer._size]


def _spec() -> dict[str, Any]:
    # Verbatim text never reaches a model.
    return a_spec(new_job(mode="verbatim"))


def _sent_by_celery(app: Celery) -> Iterator[tuple[str, Any]]:
    def send(**options: Any) -> Any:
        return lambda: app.send_task(_TASK, args=[_spec()], queue=_CAPTURED, **options)

    def signature(**options: Any) -> Any:
        return app.signature(_TASK, args=[_spec()], queue=_CAPTURED, app=app, **options)

    soon = datetime.now(UTC) + timedelta(days=1)
    yield "plain", send()
    yield "unicode", lambda: app.send_task(_TASK, [a_spec(a_job("é😀", mode="verbatim"))], queue=_CAPTURED)
    for name in sorted(set(compression.encoders())):
        yield f"compression {name}", send(compression=name)
    for name in ("json", "yaml", "pickle", "msgpack"):
        yield f"serializer {name}", send(serializer=name)
    yield "expires", send(expires=3600)
    yield "expires at a local time", send(expires=soon.replace(tzinfo=None))
    yield "expired", send(expires=datetime.now(UTC) - timedelta(days=1))
    yield "countdown", send(countdown=3600)
    yield "eta", send(eta=soon)
    yield "time limits", send(time_limit=30, soft_time_limit=20.5)
    yield "no result", send(ignore_result=True)
    yield "retried", send(retries=3)
    yield "shadow", send(shadow="another name")
    yield "headers", send(headers={"tenant": {"id": 7}, "traceparent": "00-1-2-01"})
    yield "reply to", send(reply_to="somewhere")
    yield "ids", send(root_id="root", parent_id="parent", group_id="group", group_index=2)
    yield "long id", send(task_id=f"{uuid.uuid4()}-{'x' * 300}")
    yield "odd id", send(task_id=f"{uuid.uuid4()}-\n\0é😀 {{}}")
    yield "replaced", send(replaced_task_nesting=3)
    yield "link", send(link=signature())
    yield "link error", send(link_error=signature())
    yield "chain", lambda: chain(signature(), signature()).apply_async()
    yield "group", lambda: group(signature(), signature()).apply_async()
    yield "chord", lambda: chord([signature(), signature()], signature()).apply_async()
    yield "stamps", lambda: _stamped(signature()).apply_async()
    yield "no arguments", lambda: app.send_task(_TASK, queue=_CAPTURED)
    yield "keyword", lambda: app.send_task(_TASK, kwargs={"spec": _spec()}, queue=_CAPTURED)
    yield "another task", lambda: app.send_task("celery.ping", queue=_CAPTURED)


def _stamped(signature: Any) -> Any:
    signature.stamp(tenant=["a", "b"])
    return signature


def _sent_by_others() -> list[tuple[str, dict[str, Any]]]:
    spec, task_id = _spec(), str(uuid.uuid4())
    call = {
        "id": task_id,
        "task": _TASK,
        "args": [spec],
        "kwargs": {},
        "retries": 0,
        "eta": None,
        "expires": None,
    }
    body = json.dumps(call).encode()
    go = a_message(body=body, task_id=task_id) | {"headers": {}}
    go["properties"] |= {"correlation_id": task_id, "reply_to": str(uuid.uuid4())}
    celery_3 = copy.deepcopy(go) | {"headers": None}
    local = copy.deepcopy(go)
    times = {"utc": False, "expires": "2999-01-01T00:00:00"}
    local["body"] = base64.b64encode(json.dumps(call | times).encode()).decode()
    least = a_message(spec, task_id=task_id)
    least["headers"] = {"task": _TASK, "id": task_id}
    least["properties"] = {
        name: least["properties"][name] for name in ("body_encoding", "delivery_tag", "delivery_info")
    }
    plain = a_message(spec, task_id=task_id) | {"body": json.dumps([[spec], {}, {}])}
    plain["properties"] |= {"body_encoding": "utf-8"}
    return [
        ("gocelery", go),
        ("headers null", celery_3),
        ("local time", local),
        ("by hand", least),
        ("body not encoded", plain),
    ]


def _renamed(template: dict[str, Any], task_id: str) -> dict[str, Any]:
    """Return the message of a template under a task id of its own."""
    message = copy.deepcopy(template)
    headers, properties = message.get("headers") or {}, message["properties"]
    old = headers.get("id") or properties["correlation_id"]
    new = f"{task_id}{old[36:]}"
    if "id" in headers:
        headers["id"] = new
    if "correlation_id" in properties:
        properties["correlation_id"] = new
    properties["delivery_tag"] = f"tag-{task_id}"
    if "task" not in headers and properties.get("body_encoding") == "base64":
        body = base64.b64decode(message["body"])
        quoted = (json.dumps(old).encode(), json.dumps(new).encode())
        message["body"] = base64.b64encode(body.replace(*quoted)).decode()
    return message


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        yield node, key
        yield from _places(value)
