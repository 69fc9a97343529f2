"""docs/scaling.md: each block runs as it stands, and every language chooses the same Redis."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import open_dials
from tests.redis_server.server import EmbeddedRedis
from tests.surroundings import ROOT
from worker.adapters.redis.clients import open_sync
from worker.client.shards import shard_of
from worker.dev.stack import stack
from worker.settings import shards

PAGE = (ROOT / "docs" / "scaling.md").read_text("utf-8")
NAMES = ["eu-1", "eu-2", "us-1"]
JOB_IDS = ["bio-cells-01", "job-1", "Größe 3 · ж", "a b", *(f"lesson-{number}" for number in range(12))]


def block(language, containing):
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [each for each in blocks if containing in each]
    return found


def run(*command, cwd=None, **more):
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | more,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("language", ["python", "js", "sh"])
def test_every_language_chooses_the_same_redis(language):
    program = {"python": "sys.argv", "js": "process.argv", "sh": "shard_of() {"}[language]
    source = block(language, program)
    if language == "js" and not shutil.which("node"):
        pytest.skip("node is not on the PATH")

    for job_id in JOB_IDS:
        chosen = {
            "python": lambda job_id: run(sys.executable, "-c", source, job_id),
            "js": lambda job_id: run("node", "-e", source, job_id),
            "sh": lambda job_id: run("sh", "-euc", source, JOB_ID=job_id),
        }[language](job_id)
        assert chosen.strip() == shard_of(job_id, NAMES), job_id


def test_the_two_jobs_that_are_named_go_where_the_page_says():
    assert "`bio-cells-01` goes to `us-1` of these three, `job-1` to `eu-2`" in PAGE
    assert [shard_of(each, NAMES) for each in ("bio-cells-01", "job-1")] == ["us-1", "eu-2"]


def test_the_file_of_the_page_can_be_read(tmp_path):
    path = tmp_path / "redis.txt"
    path.write_text(block("text", "SLOTGEN_REDIS_URL"))

    found, _ = shards.read(path)

    assert [(each.name, each.problem) for each in found] == [(name, "") for name in NAMES]


def test_the_client_of_several_gets_its_answers(tmp_path):
    with stack() as system:
        system.client.mset(open_dials())

        said = run(
            *(sys.executable, "-c", block("python", "EU_1_REDIS_URL")),
            cwd=tmp_path,
            EU_1_REDIS_URL=system.redis_url,
            EU_2_REDIS_URL=system.redis_url,
        )

    assert re.fullmatch(r"(eu-[12] (COMPLETED|STUB)\n){4}", said), said


def test_the_loop_acts_on_each(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with EmbeddedRedis() as server:
        urls = [server.url, f"{server.url[:-1]}1"]
        (tmp_path / "redis.txt").write_text(f"# both\n\neu-1 {urls[0]} # old\neu-2 {urls[1]}\n")

        run("sh", "-euc", block("sh", "slotgen rollout"), cwd=tmp_path, PATH=path)

        for each in urls:
            with open_sync(each) as client:
                assert client.get("slotgen:rollout_percent") == b"5"
