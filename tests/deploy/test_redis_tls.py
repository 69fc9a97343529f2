"""A worker speaks TLS to a real Redis, with a client certificate of its own, and trusts no stranger."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import redis
from redis.exceptions import ConnectionError as Unconnected

from tests.builders import a_spec, new_job, open_dials
from tests.closing_celery import Celery
from tests.deploy.redis7 import redis_server
from tests.fakes.openai.server import FakeOpenAI
from tests.ports import free_port
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import WorkerProcess, worker_environment

pytestmark = pytest.mark.thorough

WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Two authorities, one for the server and its clients, one a stranger's."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not here, and with it no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-noenc", "-days", "2")
    for authority in ("ca", "stranger"):
        openssl(
            "req",
            "-x509",
            *key,
            "-keyout",
            f"{authority}.key",
            "-out",
            f"{authority}.crt",
            "-subj",
            f"/CN={authority}",
        )
    openssl("req", *key[:3], "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl(
        "x509", "-req", "-in", "redis.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "2", "-out", "redis.crt", "-extfile", "names",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def server(certificates):
    port = free_port()
    options = [
        "--port", "0", "--tls-port", str(port), "--tls-cert-file", certificates / "redis.crt",
        "--tls-key-file", certificates / "redis.key", "--tls-ca-cert-file", certificates / "ca.crt",
    ]  # fmt: skip
    url = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificates / 'ca.crt'}"
    url += f"&ssl_certfile={certificates / 'redis.crt'}&ssl_keyfile={certificates / 'redis.key'}"
    with open_sync(url, timeout_seconds=5) as probe, redis_server(certificates, options, probe):
        yield url


def test_a_worker_generates_and_halts_over_tls_with_a_client_certificate(server, tmp_path):
    lines = []
    with FakeOpenAI() as fake_openai, open_sync(server, timeout_seconds=5) as client:
        client.mset(open_dials())
        worker = WorkerProcess(
            environment=worker_environment(server, fake_openai.base_url),
            log_path=tmp_path / "worker.log",
            on_line=lines.append,
        )
        worker.start(["--metrics-port", "0"])
        try:
            app = Celery(broker=server, backend=server, set_as_current=False)
            answered = []
            for kill in ("false", "true"):
                client.set("slotgen:kill", kill)
                spec = a_spec(new_job())
                sent = app.send_task("slotgen.generate", args=[spec], queue="slotgen")
                answered.append(sent.get(timeout=WAIT_SECONDS)[0]["status"])
            app.close()
        finally:
            worker.stop()

    assert answered == ["COMPLETED", "STUB"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("ssl_ca_certs={folder}/ca.crt", "ssl_ca_certs={folder}/stranger.crt"),
        ("&ssl_certfile={folder}/redis.crt&ssl_keyfile={folder}/redis.key", ""),
        (
            "ssl_certfile={folder}/redis.crt&ssl_keyfile={folder}/redis.key",
            "ssl_certfile={folder}/stranger.crt&ssl_keyfile={folder}/stranger.key",
        ),
    ],
    ids=["an unknown authority", "no client certificate", "a stranger's certificate"],
)
def test_a_stranger_is_refused_on_either_side(server, certificates, ours, theirs):
    url = server.replace(ours.format(folder=certificates), theirs.format(folder=certificates))
    assert url != server

    with open_sync(url, timeout_seconds=5) as client, pytest.raises((Unconnected, redis.RedisError)):
        client.ping()
