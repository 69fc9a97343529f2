"""The parts of Celery, kombu, redis-py, aiohttp and the OpenAI SDK that are no promise, and are used anyway.

An upgrade that changes one fails here, with the name of the file that has to follow. The signatures are shown
without their annotations, whose spelling differs between releases of Python.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import aiohttp
import kombu
import pytest
import redis
import redis.asyncio
from kombu.transport.virtual import Message

import gates
import schemas
import tasks
import telemetry
import worker
from worker.adapters.openai.model import open_client
from worker.adapters.redis.clients import open_async, open_sync

OURS = (gates, schemas, tasks, telemetry, worker)
THEIRS = {"aiohttp", "billiard", "celery", "kombu", "httpx2", "openai", "redis"}
ROOT = Path(worker.__file__).parents[1]

POOL = "worker/adapters/celery/pool.py"
RESULTS = "worker/adapters/celery/results.py"
DELIVERY = "worker/adapters/celery/redelivery.py"
TRANSPORT = "worker/adapters/celery/transport.py"
BATCHES = "worker/adapters/redis/batches.py"
CLIENTS = "worker/adapters/redis/clients.py"
CONTROLS = "worker/adapters/redis/jobs/controls.py"
WATCH = "worker/adapters/redis/jobs/kill_switch_watch.py"
MODEL = "worker/adapters/openai/model.py"
BODY = "worker/adapters/openai/body.py"
STAND_IN = "tests/fakes/openai/http.py"
CONSUMER = "worker/adapters/celery/consumer.py"

# Theirs, and replaced by a method or an attribute of ours; a test finds what is missing here.
OVERRIDDEN = [
    ("httpx2:AsyncByteStream.__aiter__", "(self)", BODY),
    ("httpx2:AsyncByteStream.aclose", "(self)", BODY),
    ("aiohttp:ClientResponse.reason", "None", MODEL),
    ("celery.concurrency.base:BasePool.body_can_be_buffer", "False", POOL),
    ("celery.concurrency.base:BasePool.on_apply", "(self, *args, **kwargs)", POOL),
    ("celery.concurrency.base:BasePool.on_stop", "(self)", POOL),
    ("celery.concurrency.base:BasePool.on_terminate", "(self)", POOL),
    ("celery.concurrency.base:BasePool.signal_safe", "True", POOL),
    ("celery.concurrency.base:BasePool.terminate_job", "(self, pid, signal=None)", POOL),
    (
        "celery.backends.redis:RedisBackend._get_result_meta",
        "(self, result, state, traceback, request, format_date=True, encode=False)",
        RESULTS,
    ),
    (
        "celery.backends.redis:RedisBackend._store_result",
        "(self, task_id, result, state, traceback=None, request=None, **kwargs)",
        RESULTS,
    ),
    ("celery.backends.redis:RedisBackend.exception_safe_to_retry", "(self, exc)", RESULTS),
    ("kombu.transport.redis:QoS.ack", "(self, delivery_tag)", DELIVERY),
    ("kombu.transport.redis:QoS.append", "(self, message, delivery_tag)", DELIVERY),
    ("kombu.transport.redis:QoS.can_consume", "(self)", DELIVERY),
    ("kombu.transport.redis:QoS.restore_by_tag", "(self, tag, client=None, leftmost=False)", DELIVERY),
    ("kombu.transport.redis:QoS.restore_visible", "(self, start=0, num=10, interval=10)", DELIVERY),
    ("kombu.transport.redis:Transport.can_parse_url", "False", TRANSPORT),
    ("kombu.transport.redis:Channel.QoS", "(*args, **kwargs)", TRANSPORT),
    ("kombu.transport.redis:Channel.__init__", "(self, *args, **kwargs)", TRANSPORT),
    ("kombu.transport.redis:Channel._brpop_read", "(self, **options)", TRANSPORT),
    ("celery.worker.consumer:Consumer.ensure_connected", "(self, conn)", CONSUMER),
    ("celery.apps.worker:Worker.install_platform_tweaks", "(self, worker)", CONSUMER),
    ("kombu.transport.redis:Channel._queue_bind", "(self, exchange, routing_key, pattern, queue)", TRANSPORT),
    ("kombu.transport.redis:Channel._brpop_start", "(self, timeout=None)", TRANSPORT),
    ("kombu.transport.redis:Channel._get", "(self, queue)", TRANSPORT),
    ("kombu.transport.redis:Channel._poll_error", "(self, type, **options)", TRANSPORT),
    ("kombu.transport.redis:Channel.conn_or_acquire", "(self, client=None)", TRANSPORT),
    ("kombu.transport.redis:SentinelTransport.Channel", "(*args, **kwargs)", TRANSPORT),
    ("kombu.transport.redis:Transport.Channel", "(*args, **kwargs)", TRANSPORT),
    (
        "aiohttp.web:Server.__init__",
        "(self, handler, *, request_factory=None, handler_cancellation=False, loop=None, **kwargs)",
        STAND_IN,
    ),
    ("aiohttp.web:Server.connection_lost", "(self, handler, exc=None)", STAND_IN),
    ("aiohttp.web:Server.connection_made", "(self, handler, transport)", STAND_IN),
]
POST = (
    "(self, path, *, cast_to, body=None, content=None, files=None, options={}, stream=False, stream_cls=None)"
)
# Theirs, and called or read by the file that is named.
REACHED = [
    ("celery.app.task:Context.__init__", "(self, *args, **kwargs)", POOL),
    ("billiard.einfo:ExceptionInfo.__init__", "(self, exc_info=None, internal=False)", POOL),
    ("celery.backends.redis:RedisBackend.client", "cached_property", RESULTS),
    ("celery.backends.redis:RedisBackend.encode", "(self, data)", RESULTS),
    ("celery.backends.redis:RedisBackend.encode_result", "(self, result, state)", RESULTS),
    ("celery.backends.redis:RedisBackend.get_key_for_task", "(self, task_id, key='')", RESULTS),
    ("celery.worker:WorkController.exitcode", "None", CONSUMER),
    ("kombu.transport.redis:QoS._remove_from_indices", "(self, delivery_tag, pipe=None)", DELIVERY),
    ("kombu.transport.redis:QoS.unacked_index_key", "cached_property", DELIVERY),
    ("kombu.transport.redis:QoS.unacked_key", "cached_property", DELIVERY),
    ("kombu.transport.redis:time", "builtin_function_or_method", DELIVERY),
    ("kombu.transport.virtual:QoS.ack", "(self, delivery_tag)", DELIVERY),
    ("kombu.transport.virtual:QoS.append", "(self, message, delivery_tag)", DELIVERY),
    ("kombu.transport.redis:Channel._brpop_sent_at", "None", TRANSPORT),
    ("kombu.transport.redis:Channel._flush_brpop_reauth", "(self)", TRANSPORT),
    ("kombu.transport.redis:Channel._in_poll", "False", TRANSPORT),
    ("kombu.transport.redis:Channel.active_queues", "property", TRANSPORT),
    ("kombu.transport.redis:Channel.client", "cached_property", TRANSPORT),
    ("kombu.transport.redis:Channel.pool", "property", TRANSPORT),
    ("kombu.transport.redis:Channel.qos", "property", TRANSPORT),
    ("kombu.transport.virtual:Transport._deliver", "(self, message, queue)", TRANSPORT),
    ("kombu.utils.scheduling:round_robin_cycle.consume", "(self, n)", TRANSPORT),
    ("kombu.utils.scheduling:round_robin_cycle.rotate", "(self, last_used)", TRANSPORT),
    ("redis:Redis.parse_response", "(self, connection, command_name, **options)", TRANSPORT),
    ("redis.connection:Connection.disconnect", "(self, *args, **kwargs)", TRANSPORT),
    ("redis.connection:Connection.pack_commands", "(self, commands)", TRANSPORT),
    ("redis.connection:Connection.send_packed_command", "(self, command, check_health=True)", TRANSPORT),
    ("redis.connection:Connection.can_read", "(self, timeout=0)", WATCH),
    ("redis.connection:Connection.connect", "(self)", WATCH),
    ("redis.connection:Connection.disconnect", "(self, *args, **kwargs)", WATCH),
    (
        "redis.connection:Connection.read_response",
        "(self, disable_decoding=False, *, timeout=…, disconnect_on_error=True, push_request=False)",
        WATCH,
    ),
    ("redis.connection:Connection.pack_commands", "(self, commands)", WATCH),
    ("redis.connection:Connection.send_command", "(self, *args, **kwargs)", WATCH),
    ("redis.connection:Connection.send_packed_command", "(self, command, check_health=True)", WATCH),
    ("redis.connection:ConnectionPool.make_connection", "(self)", CLIENTS),
    (
        "redis.sentinel:SentinelConnectionPool.__init__",
        "(self, service_name, sentinel_manager, **kwargs)",
        CLIENTS,
    ),
    (
        "redis.asyncio.sentinel:SentinelConnectionPool.__init__",
        "(self, service_name, sentinel_manager, **kwargs)",
        CLIENTS,
    ),
    (
        "redis.asyncio.connection:Connection.disconnect",
        "(self, nowait=False, error=None, failure_count=None, health_check_failed=False)",
        BATCHES,
    ),
    ("redis.asyncio.connection:Connection.pack_commands", "(self, commands)", BATCHES),
    (
        "redis.asyncio.connection:Connection.read_response",
        "(self, disable_decoding=False, timeout=None, *, disconnect_on_error=True, push_request=False)",
        BATCHES,
    ),
    (
        "redis.asyncio.connection:Connection.send_packed_command",
        "(self, command, check_health=True)",
        BATCHES,
    ),
    ("redis.asyncio.connection:ConnectionPool.ensure_connection", "(self, connection)", BATCHES),
    ("redis.asyncio.connection:ConnectionPool.get_available_connection", "(self)", BATCHES),
    (
        "redis.asyncio.connection:Connection.disconnect",
        "(self, nowait=False, error=None, failure_count=None, health_check_failed=False)",
        CONTROLS,
    ),
    ("redis.asyncio.connection:Connection.pack_commands", "(self, commands)", CONTROLS),
    (
        "redis.asyncio.connection:Connection.read_response",
        "(self, disable_decoding=False, timeout=None, *, disconnect_on_error=True, push_request=False)",
        CONTROLS,
    ),
    (
        "redis.asyncio.connection:Connection.send_packed_command",
        "(self, command, check_health=True)",
        CONTROLS,
    ),
    ("redis.asyncio.connection:Connection.is_connected", "property", CONTROLS),
    ("redis.asyncio.connection:ConnectionPool.ensure_connection", "(self, connection)", CONTROLS),
    ("redis.asyncio.connection:ConnectionPool.get_available_connection", "(self)", CONTROLS),
    ("openai:AsyncOpenAI.post", POST, MODEL),
    ("openai:DefaultAioHttpClient.__init__", "(self, **kwargs)", MODEL),
    ("aiohttp:ClientSession.connector", "property", MODEL),
    ("openai._vendor.httpx_aiohttp.transport:AiohttpTransport.get_client", "(self)", MODEL),
]
# Theirs, and calls ours, or makes what ours takes apart: the order of its arguments counts.
CALLERS = [
    (
        "celery.concurrency.base:BasePool.__init__",
        "(self, limit=None, putlocks=True, forking_enable=True, callbacks_propagate=(), app=None, **options)",
        POOL,
    ),
    (
        "celery.concurrency.base:BasePool.apply_async",
        "(self, target, args=None, kwargs=None, **options)",
        POOL,
    ),
    # The tracer in whose place the pool takes `args`: name, id, headers, body, content type, encoding.
    (
        "celery.app.trace:trace_task_ret",
        "(name, uuid, request, body, content_type, content_encoding, loads=…, app=None, **extra_request)",
        POOL,
    ),
    ("celery.worker.request:Request.on_accepted", "(self, pid, time_accepted)", POOL),
    ("celery.worker.request:Request.on_success", "(self, failed__retval__runtime, **kwargs)", POOL),
    (
        "celery.backends.redis:RedisBackend.store_result",
        "(self, task_id, result, state, traceback=None, request=None, **kwargs)",
        RESULTS,
    ),
    ("kombu.transport.redis:MultiChannelPoller._register_BRPOP", "(self, channel)", TRANSPORT),
    # The app's `Worker`.
    ("celery.worker:WorkController.__init__", "(self, app=None, hostname=None, **kwargs)", CONSUMER),
    # By these, `module:Class+url` and `module:Class` in the configuration become classes.
    ("celery.app.backends:by_url", "(backend=None, loader=None)", RESULTS),
    ("kombu.transport:resolve_transport", "(transport=None)", TRANSPORT),
]


def shown(hook: Any) -> str:
    """Return a signature without annotations, a plain value as it is, or else the kind of thing."""
    if hook is None or isinstance(hook, bool):
        return repr(hook)
    if not callable(hook) or inspect.isbuiltin(hook):
        return type(hook).__name__
    signature = inspect.signature(hook)
    parameters = [_plain(each) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty)).replace(
        "'…'", "…"
    )


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    default = parameter.default
    if default is not parameter.empty and type(default) not in {type(None), bool, int, str, tuple, dict}:
        # An object: what it is called differs from process to process.
        default = "…"
    return parameter.replace(annotation=parameter.empty, default=default)


@pytest.mark.parametrize(("hook", "signature", "used_in"), [*OVERRIDDEN, *REACHED, *CALLERS])
def test_a_private_hook_is_what_the_file_that_uses_it_was_written_for(hook, signature, used_in):
    assert shown(pkgutil.resolve_name(hook)) == signature, f"follow it in {used_in}"


@pytest.mark.parametrize(("hook", "used_in"), [(hook, used_in) for hook, _, used_in in OVERRIDDEN + REACHED])
def test_a_private_hook_in_the_tables_is_still_used(hook, used_in):
    *_, owner, name = hook.replace(":", ".").split(".")
    assert (owner if name == "__init__" else name) in (ROOT / used_in).read_text(encoding="utf-8")


def is_theirs(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in THEIRS


def our_classes() -> set[type]:
    """Return every class of ours, and of the stand-in for tests, that inherits from one of theirs."""
    names = [
        module.name
        for package in OURS
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.endswith("__main__")
    ] + [STAND_IN.removesuffix(".py").replace("/", ".")]
    classes = {
        each
        for name in names
        for each in vars(importlib.import_module(name)).values()
        if isinstance(each, type) and each.__module__ == name
    }
    return {each for each in classes if any(is_theirs(base) for base in each.__mro__)}


class AnyClass:
    """Has what Python gives a class that has a docstring and annotations; releases differ in it."""

    annotated: int


def overridden(ours: type) -> set[str]:
    """Return the names under which `ours` has something of its own in the place of theirs."""
    theirs = {name for base in ours.__mro__[1:] if is_theirs(base) for name in vars(base)}
    # Python's own: what every class has, and where an abstract one keeps its state.
    pythons = vars(AnyClass).keys() | {"__abstractmethods__", "_abc_impl"}
    return (vars(ours).keys() & theirs) - pythons


def test_the_table_has_all_that_classes_of_ours_override():
    listed = {(used_in, hook.rpartition(".")[2]) for hook, _, used_in in OVERRIDDEN}
    found = {
        (f"{ours.__module__.replace('.', '/')}.py", name)
        for ours in our_classes()
        for name in overridden(ours)
    }

    assert found == listed


def test_a_channel_of_kombus_has_what_ours_reads_and_no_name_that_ours_adds(redis_server):
    with kombu.Connection(redis_server.url) as connection:
        channel = connection.default_channel
        message = Message({"body": "", "properties": {"delivery_tag": "t", "delivery_info": {}}}, channel)

        for name in ("_queue_cycle", "brpop_timeout", "connection_errors", "Client", "connection"):
            assert hasattr(channel, name), name
        for name in ("_commands", "_polled_queue", "taken", "worker_id"):
            assert not hasattr(channel, name), name
        assert channel.qos.channel is channel
        assert channel.connection.client.transport_options == {}
        assert (message._raw["body"], message.delivery_info) == ("", {})


def test_a_client_of_one_connection_has_it_and_its_pool_by_name(redis_server):
    with open_sync(redis_server.url, timeout_seconds=5) as client:
        alone = redis.Redis(connection_pool=client.connection_pool, single_connection_client=True)

        assert alone.connection_pool is client.connection_pool
        assert isinstance(alone.connection, redis.Connection)


def test_a_client_for_a_loop_has_its_pool_by_name():
    client = open_async("redis://127.0.0.1:1/0", timeout_seconds=1)

    assert isinstance(client.connection_pool, redis.asyncio.ConnectionPool)


def test_a_session_has_the_class_of_its_responses_by_name():
    async def responses():
        async with aiohttp.ClientSession() as session:
            return session._response_class

    assert asyncio.run(responses()) is aiohttp.ClientResponse


def test_a_halt_finds_the_connections_of_the_sdk_by_their_names():
    client = open_client("key", None, 1)

    async def connections():
        async with aiohttp.TCPConnector() as connector:
            return connector._acquired, dict(connector._conns)

    assert hasattr(client._client._transport, "client")
    assert isinstance(client._client._mounts, dict)
    assert asyncio.run(connections()) == (set(), {})
