"""Holds the keys of a Redis against the table: each has one row, and that row's type, bound and lifetime."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.keys import Key, Limit
from worker.settings.settings import Settings

# Redis trims whole nodes of a stream.
NODE = 100


def figures(workers: int, **settings: str) -> dict[str, float]:
    """What the limits of the table may name: settings, the shipped executor config, the number of workers."""
    found: dict[str, float] = {"workers": workers}
    for field in Settings.model_fields.values():
        if isinstance(field.default, int):
            found[str(field.validation_alias)] = field.default
    config = json.loads((resources.files("tasks") / "executor.v1.json").read_text("utf-8"))
    return found | dict(_flat("executor", config)) | {name: float(value) for name, value in settings.items()}


def _flat(path: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(f"{path}.{name}", each)
    elif isinstance(value, int | float):
        yield path, value


def figure(limit: int | Limit | None, given: Mapping[str, float]) -> float:
    if limit is None:
        return float("inf")
    return limit.of(given) if isinstance(limit, Limit) else limit


def rows_of(name: str, namespace: str) -> list[Key]:
    """The rows that a key may be of; `budget:holds` is of its own, and none of the accounts `budget:*`."""
    rows = [key for key in TABLE if key.type != "channel" and _form(key, namespace).fullmatch(name)]
    return [key for key in rows if key.glob(namespace) == name] or rows


def _form(key: Key, namespace: str) -> re.Pattern[str]:
    # What is in braces stands between what is not.
    parts = re.split(r"(\{\w+\})", key.pattern.replace("{ns}", namespace))
    places = {"{digit}": "[1-9]"}
    return re.compile(
        "".join(places.get(each, ".*") if each[:1] == "{" else re.escape(each) for each in parts)
    )


def problems(client, namespace: str, given: Mapping[str, float]) -> tuple[list[str], set[str]]:
    """What is not as the table says of each key in `client`, and the patterns that were seen."""
    found, seen = [], set()
    for raw in client.scan_iter(count=1000):
        name = raw.decode()
        kind, left_seconds = client.type(raw).decode(), client.ttl(raw)
        if kind == "none" or left_seconds == -2:
            continue  # gone since it was listed
        rows = rows_of(name, namespace)
        if len(rows) != 1:
            found.append(f"{name}: is of {len(rows)} rows")
            continue
        (row,) = rows
        seen.add(row.pattern)
        found += [f"{name}: {what}" for what in _broken(client, raw, kind, left_seconds, row, given)]
    return found, seen


def _broken(client, raw, kind, left_seconds, row, given) -> Iterator[str]:
    if kind != row.type:
        yield f"is a {kind}, not a {row.type}"
        return
    if (left_seconds >= 0) != (row.ttl_seconds is not None):
        yield f"has a TTL of {left_seconds}, and the table says {row.ttl_seconds}"
    if left_seconds > figure(row.ttl_seconds, given):
        yield f"has a TTL of {left_seconds}, at most {row.ttl_seconds}"
    sizes = _sizes(client, raw, kind)
    entries = figure(row.entries, given) + (NODE if kind == "stream" else 0)
    if len(sizes) > entries:
        yield f"has {len(sizes)} entries, at most {row.entries}"
    if sizes and max(sizes) > figure(row.entry_bytes, given):
        yield f"has an entry of {max(sizes)} bytes, at most {row.entry_bytes}"


def _sizes(client, raw, kind) -> list[int]:
    if kind == "string":
        return [client.strlen(raw)]
    if kind == "list":
        return [len(each) for each in client.lrange(raw, 0, -1)]
    if kind == "hash":
        return [len(name) + len(value) for name, value in client.hgetall(raw).items()]
    if kind == "stream":
        entries = client.xrange(raw)
        return [sum(len(name) + len(value) for name, value in each.items()) for _, each in entries]
    return [len(each) for each in (client.zrange(raw, 0, -1) if kind == "zset" else client.smembers(raw))]
