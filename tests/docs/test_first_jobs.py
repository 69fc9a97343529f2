"""The pages "your first job": every block runs, as it stands, against a real worker."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import schemas
from tests import node
from tests.builders import a_spec, new_job, open_dials
from tests.fakes.otlp import Collector
from worker.dev.redis_server.binary import find_redis_server
from worker.dev.stack import stack

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def system():
    with stack(settings={"SLOTGEN_STREAM_RESULTS": "1000"}) as started:
        started.client.mset(open_dials())
        yield started


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


def run(command, system, cwd, **more):
    return subprocess.run(
        command,
        env={**os.environ, "SLOTGEN_REDIS_URL": system.redis_url, "PYTHONPATH": str(ROOT), **more},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_every_block_of_every_page_is_in_a_language_that_a_test_runs():
    used = {
        each
        for page in DOCS.glob("*.md")
        for each in re.findall(r"^```(\w+)$", page.read_text(), re.MULTILINE)
    }

    assert used <= {"python", "js", "sh", "json", "text", "console"}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_python_page(system, tmp_path, number):
    if number == 2:
        # There is a result to consume by then.
        run([sys.executable, "-c", blocks("first-job-python.md", "python")[0]], system, tmp_path)

    done = run([sys.executable, "-c", blocks("first-job-python.md", "python")[number]], system, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    if number == 0:
        assert done.stdout == "COMPLETED\n"
    elif number == 1:
        assert done.stdout.startswith("not sent: appliesTo: is missing; add an object\n")
        assert re.search(r"^bio-\S+ COMPLETED None$", done.stdout, re.MULTILINE)
    else:
        assert "bio-cells-01 COMPLETED None True\n" in done.stdout


def node_program(system, tmp_path, source, **more):
    return run(["node", "-e", source], system, tmp_path, NODE_PATH=str(node.modules()), **more)


# What an application with OpenTelemetry has set up: a trace is active.
TRACED_NODE = """
const { ROOT_CONTEXT, trace } = require("@opentelemetry/api");
const { W3CTraceContextPropagator } = require("@opentelemetry/core");
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const span = { traceId: process.env.TRACE_ID, spanId: "b".repeat(16), traceFlags: 1 };
const active = () => trace.setSpanContext(ROOT_CONTEXT, span);
context.setGlobalContextManager({ active, enable() {}, disable() {} });
"""


@pytest.mark.thorough
def test_the_node_page_with_the_real_package(system, tmp_path):
    source, _ = blocks("first-job-node.md", "js")

    done = node_program(system, tmp_path, source)

    assert (done.stdout, done.stderr) == ("COMPLETED null\n", "")


@pytest.mark.thorough
def test_a_node_producer_has_its_trace_gone_on_with(tmp_path):
    source, traced = blocks("first-job-node.md", "js")
    plain = 'client.sendTask("slotgen.generate", [spec], {})'
    assert plain in source
    program = traced + TRACED_NODE + source.replace(plain, "sendTraced(spec)")
    with (
        Collector() as collector,
        stack(settings={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}) as system,
    ):
        system.client.mset(open_dials())

        done = node_program(system, tmp_path, program, TRACE_ID="a" * 32)

        assert (done.stdout, done.stderr) == ("COMPLETED null\n", "")
        process, chat = collector.trace("a" * 32, 2)
        assert (process.parent_id, chat.parent_id) == ("b" * 16, process.span_id)


@pytest.mark.thorough
def test_a_node_producer_hears_what_is_wrong_and_why_a_job_is_a_stub(system, tmp_path):
    source, _ = blocks("first-job-node.md", "js")

    broken = node_program(system, tmp_path, source.replace('version: "v1"', 'version: "v9"'))
    stub = node_program(system, tmp_path, source.replace("allowAI: true", "allowAI: false"))

    assert broken.stderr.startswith("FAILURE version: is not the expected value; use v1")
    assert (stub.stdout, stub.stderr) == ("STUB NOT_OPTED_IN\n", "")


def test_a_shell_with_redis_cli(system, tmp_path):
    (source,) = blocks("first-job-any-language.md", "sh")
    beside_the_server = find_redis_server().parent
    path = f"{beside_the_server}{os.pathsep}{os.environ['PATH']}"
    if not shutil.which("redis-cli", path=path):
        pytest.skip("redis-cli is neither beside the Redis server nor on the PATH")

    done = run(["bash", "-euc", source], system, tmp_path, PATH=path)

    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout.splitlines()[-1])
    assert schemas.violations("answer.v1", answer) == []
    assert answer["result"][0]["status"] == "COMPLETED"


class RawRedis:
    """Bytes to Redis and back, by its protocol alone."""

    def __init__(self, url):
        at = urlsplit(url)
        self.socket = socket.create_connection((at.hostname, at.port), timeout=10)
        self.lines = self.socket.makefile("rb")

    def __call__(self, *words):
        words = [each if isinstance(each, bytes) else each.encode() for each in words]
        parts = [f"*{len(words)}\r\n".encode()]
        parts += [b"$%d\r\n%b\r\n" % (len(each), each) for each in words]
        self.socket.sendall(b"".join(parts))
        return self.reply()

    def reply(self):
        kind, rest = (line := self.lines.readline())[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.lines.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        assert kind in b":+", line
        return rest

    def close(self):
        self.lines.close()
        self.socket.close()


def test_nothing_but_the_bytes_of_the_page(system):
    """The smallest message, by a socket: subscribe, push, and the answer comes by itself."""
    task_id, spec = str(uuid.uuid4()), a_spec(new_job())
    body = base64.b64encode(b"[[" + json.dumps(spec).encode() + b"],{},{}]").decode()
    fields = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "slotgen.generate", "id": task_id},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": task_id,
            "delivery_info": {"exchange": "", "routing_key": "slotgen"},
        },
    }
    listening, sending = RawRedis(system.redis_url), RawRedis(system.redis_url)
    listening("SUBSCRIBE", f"celery-task-meta-{task_id}")
    sending("LPUSH", "slotgen", json.dumps(fields))

    _, _, published = listening.reply()

    answer = json.loads(published)
    assert schemas.violations("answer.v1", answer) == []
    assert answer["result"][0]["status"] == "COMPLETED"
    assert sending("GET", f"celery-task-meta-{task_id}") == published
    listening.close()
    sending.close()


def test_the_page_names_every_field_that_the_schema_wants():
    page = (DOCS / "first-job-any-language.md").read_text("utf-8")
    schema = schemas.load("message.v2")
    wanted = [each for each in schema["required"] if each not in {"headers", "properties"}]
    for part in ("headers", "properties"):
        wanted += [f"{part}.{each}" for each in schema["properties"][part]["required"]]

    assert [each for each in wanted if f"| `{each}` |" not in page] == []


@pytest.mark.parametrize("page", sorted(each.name for each in DOCS.glob("*.md")))
def test_every_link_leads_somewhere(page):
    prose = re.sub(r"``.+?``|`[^`\n]+`", "", (DOCS / page).read_text("utf-8"))
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (DOCS / link).resolve().exists(), link
