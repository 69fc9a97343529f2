"""What the Dockerfile does is done without an engine: its script, an unprivileged user, read-only files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests import leftovers
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
UNPRIVILEGED = 10001
WAIT_SECONDS = 60
# MemoryDenyWriteExecute of the systemd unit: PR_SET_MDWE, which lasts over exec. An older kernel refuses it.
NO_WRITABLE_CODE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_the_dockerfile_is_one_that_hadolint_takes():
    linted = subprocess.run(
        [Path(sys.executable).parent / "hadolint", ROOT / "deploy" / "Dockerfile"],
        capture_output=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout.decode()


def test_the_dockerfile_keeps_the_promises_of_an_image():
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]

    assert all(
        re.fullmatch(r"FROM python:\d+\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}( AS build)?", line)
        for line in DOCKERFILE.splitlines()
        if line.startswith("FROM")
    )
    assert "RUN deploy/image/build.sh /src /opt/slotgen" in DOCKERFILE
    assert f"USER {UNPRIVILEGED}:{UNPRIVILEGED}" in final
    assert "HEALTHCHECK" in final
    # Exec form: the worker is the one process, and gets the signals.
    assert 'ENTRYPOINT ["slotgen"]' in final
    assert not re.search(r"KEY|PASSWORD|TOKEN|SECRET", DOCKERFILE)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lock", ["runtime", "extras"])
def test_everything_locked_is_a_wheel_for_the_python_of_the_image(lock, tmp_path):
    # The base has no compiler: one source distribution would end the build.
    (version,) = set(re.findall(r"FROM python:(\d+\.\d+)", DOCKERFILE))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--no-deps",
        "--only-binary=:all:",
    ]
    command += ["--python-version", version, "--target", tmp_path, "--require-hashes"]
    for platform in ("manylinux2014_x86_64", "manylinux_2_28_x86_64"):
        command += ["--platform", platform]

    found = subprocess.run(
        [*command, "-r", ROOT / "requirements" / f"{lock}.lock"], capture_output=True, text=True, check=False
    )

    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("lock", ["runtime", "extras"])
def test_an_image_has_the_releases_that_the_tests_have(lock):
    def pinned(name):
        return set(
            re.findall(r"^\S+==\S+", (ROOT / "requirements" / f"{name}.lock").read_text(), re.MULTILINE)
        )

    assert pinned(lock) <= pinned("dev")


def test_nothing_but_the_product_reaches_the_build():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}

    assert "*" in lines
    packages = {"gates", "tasks", "telemetry", "schemas", "worker"}
    assert allowed == packages | {"pyproject.toml", "README.md", "LICENSE", "requirements", "deploy/image"}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image's /opt/slotgen, read-only, where an unprivileged user may read it."""
    folder = tmp_path_factory.mktemp("image")
    # pytest's folders are closed to other users; what is opened here holds no secret.
    for parent in (folder, *folder.parents):
        if parent.owner() == Path("/tmp").owner() and parent != Path("/tmp") and "pytest" in str(parent):
            parent.chmod(0o755)
    environment = os.environ | {"PYTHON": interpreter_for_everybody()}
    subprocess.run(
        [ROOT / "deploy/image/build.sh", ROOT, folder / "slotgen"], check=True, timeout=280, env=environment
    )
    subprocess.run(["chmod", "-R", "a-w,a+rX", folder / "slotgen"], check=True)
    yield folder / "slotgen"
    subprocess.run(["chmod", "-R", "u+w", folder / "slotgen"], check=True)


def interpreter_for_everybody():
    """An interpreter that the unprivileged user may run; one below /root may not be."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        try:
            found = subprocess.run(
                [
                    os.path.realpath(candidate),
                    "-c",
                    "import sys, ensurepip; assert sys.version_info >= (3, 11)",
                ],
                capture_output=True,
                check=False,
                cwd="/",
                **as_nobody(),
            )
        except OSError:
            continue
        if found.returncode == 0:
            return os.path.realpath(candidate)
    return pytest.skip("no interpreter that an unprivileged user may run")


def as_nobody():
    return {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.mark.timeout(300)
def test_holds_what_runs_and_no_tool_to_build_with(image):
    installed = {
        each.name.partition("-")[0].lower() for each in image.glob("lib/python*/site-packages/*.dist-info")
    }

    assert {"slotgen", "celery", "openai"} <= installed
    assert not installed & {"pip", "setuptools", "wheel", "hatchling", "pytest", "ruff", "mypy"}
    assert not list(image.glob("bin/pip*"))
    listed = {
        each["name"].lower().replace("_", "-")
        for each in json.loads((image / "slotgen.cdx.json").read_text())["components"]
    }
    assert {each.replace("_", "-") for each in installed} == listed


@pytest.mark.timeout(120)
def test_starts_as_an_unprivileged_user_is_healthy_and_ends_on_sigterm(image):
    files_before = sorted(image.rglob("*"))
    with EmbeddedRedis() as server:
        worker = subprocess.Popen(
            [
                image / "bin/python",
                "-c",
                NO_WRITABLE_CODE,
                image / "bin/slotgen",
                "worker",
                "--metrics-port",
                "0",
            ],
            env={
                "SLOTGEN_REDIS_URL": server.url,
                "SLOTGEN_METRICS_HOST": "127.0.0.1",
                "PYTHONDONTWRITEBYTECODE": "1",
                leftovers.VARIABLE: os.environ[leftovers.VARIABLE],
            },
            cwd="/",
            stdout=subprocess.PIPE,
            text=True,
            **as_nobody(),
        )
        try:
            ready = next(
                line for line in map(json.loads, worker.stdout) if line.get("event") == "worker_ready"
            )
            health = f"http://127.0.0.1:{ready['metrics_port']}"
            # The health check of the Dockerfile, on the port of this run.
            (check,) = re.findall(r'CMD \["python", "-c", "(.*)"\]', DOCKERFILE)
            checked = subprocess.run(
                [image / "bin/python", "-c", check.replace("http://127.0.0.1:9464", health)], check=False
            )
            assert checked.returncode == 0
            assert eventually(lambda: readiness(health))["status"] == "ok"
            if os.geteuid() == 0:
                assert Path(f"/proc/{worker.pid}").stat().st_uid == UNPRIVILEGED
        finally:
            worker.terminate()
            worker.communicate(timeout=WAIT_SECONDS)
    assert worker.returncode == 0
    assert sorted(image.rglob("*")) == files_before


def readiness(health):
    """What /readyz says once the worker is ready; it refuses before."""
    try:
        with urllib.request.urlopen(f"{health}/readyz", timeout=5) as page:
            return json.load(page)
    except urllib.error.HTTPError:
        return None
