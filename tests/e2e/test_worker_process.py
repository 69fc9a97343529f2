"""The worker as a process: how it starts, how it refuses to, how it stops, what it never says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.builders import a_job, a_message, a_spec, new_job, open_dials
from tests.closing_celery import Celery
from tests.e2e.conftest import WAIT_SECONDS, a_system
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play
from tests.log_lines import LogLines
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import WorkerProcess, worker_environment


def slotgen(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLOTGEN_", "OPENAI_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


class TestStart:
    # Every setting's own mistakes are in tests/worker/settings/test_settings.py.
    @pytest.mark.parametrize(
        ("environment", "words"),
        [
            ({}, "SLOTGEN_REDIS_URL is not set"),
            (
                {"SLOTGEN_REDIS_URL": "redis://127.0.0.1:1/0", "SLOTGEN_EXECUTOR_CONFIG": "/nowhere.json"},
                "/nowhere.json",
            ),
            (
                {
                    "SLOTGEN_REDIS_URL": "redis://127.0.0.1:1/0",
                    "SLOTGEN_VISIBILITY_TIMEOUT_SECONDS": "12000",
                },
                "SLOTGEN_VISIBILITY_TIMEOUT_SECONDS is 12000; set more than 12000",
            ),
        ],
    )
    def test_a_mistake_ends_it_with_one_readable_line(self, environment, words):
        done = slotgen("worker", **environment)

        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr + done.stdout

    def test_a_crash_leaves_no_core(self, running):
        limits = Path(f"/proc/{running.stack.worker.pid}/limits").read_text()

        assert re.search(r"Max core file size +0 +0 ", limits)

    def test_a_taken_metrics_port_is_named(self, running):
        port = str(running.stack.worker.ready["metrics_port"])

        done = slotgen(
            "worker",
            "--metrics-port",
            port,
            SLOTGEN_REDIS_URL=running.stack.redis_url,
            SLOTGEN_METRICS_HOST="127.0.0.1",
        )

        assert done.returncode == 1
        assert f"127.0.0.1:{port}" in done.stderr

    def test_warns_of_prices_that_may_not_be_those_of_the_server(self, running):
        port = str(running.stack.worker.ready["metrics_port"])

        # It ends over the taken port, before it could ask this server anything.
        done = slotgen(
            "worker",
            "--metrics-port",
            port,
            SLOTGEN_REDIS_URL=running.stack.redis_url,
            SLOTGEN_METRICS_HOST="127.0.0.1",
            OPENAI_BASE_URL="https://eu.api.openai.com/v1",
        )

        said = json.loads(done.stdout)
        assert (said["event"], said["setting"], said["value"]) == (
            "price_doubtful",
            "priceMultiplier",
            "not set",
        )

    def test_warns_of_a_redis_that_would_lose_the_queue(self, running):
        said = running.wait_for_line(lambda line: line["event"] == "redis_unsafe")

        assert (said["setting"], said["value"]) == ("appendonly", "no")

    def test_says_nothing_of_a_redis_that_it_has_reached(self, running):
        running.wait_for_line(lambda line: line["event"] == "redis_unsafe")

        assert "redis_refused" not in running.lines.events

    def test_a_stub_needs_no_sdk_and_a_job_that_needs_it_says_that_it_is_missing(self, tmp_path):
        (tmp_path / "openai.py").write_text("raise ImportError('broken installation')")
        with a_system(settings={"PYTHONPATH": str(tmp_path)}) as system:
            system.set_dials(kill="true")
            (halted,) = system.answer(a_spec())
            # It is opened although no job has asked for it.
            system.wait_for_line(lambda line: line["event"] == "model_not_opened")
            system.set_dials()
            (admitted,) = system.answer(a_spec())

        assert (halted["status"], admitted["status"]) == ("STUB", "FAILED")
        assert system.lines.codes == ["KILL_SWITCH", "INTERNAL_ERROR"]
        assert "job_broke" in system.lines.events

    def test_nothing_on_the_way_to_ready_imports_what_only_a_models_answer_needs(self):
        done = subprocess.run(
            [sys.executable, "-c", "import sys, worker.cli, worker.process.lifecycle; print(*sys.modules)"],
            capture_output=True,
            text=True,
            check=True,
        )

        heavy = {"openai", "aiohttp", "httpx2", "markdown_it", "requests", "google"}
        assert not heavy & set(done.stdout.split())

    def test_an_unknown_option_is_a_usage_error(self):
        assert slotgen("worker", "--fast").returncode == 2


class TestEnvironment:
    def test_the_environment_restricts_the_dials(self):
        with a_system(settings={"SLOTGEN_AI_KILL": "true"}) as system:
            system.set_dials()
            (result,) = system.answer(a_spec())
        assert result["status"] == "STUB"
        assert system.lines.codes == ["KILL_SWITCH"]

    def test_another_namespace_is_another_world(self):
        with a_system(settings={"SLOTGEN_NAMESPACE": "beta"}) as system:
            client = system.stack.client
            client.mset({key.replace("slotgen", "beta"): value for key, value in open_dials().items()})
            sent = system.celery.send_task("slotgen.generate", args=[a_spec()], queue="beta")
            (result,) = sent.get(timeout=WAIT_SECONDS)
            keys = {key.decode() for key in client.keys("*")}
        assert result["status"] == "COMPLETED"
        assert not [key for key in keys if key.startswith("slotgen")]

    def test_without_a_key_an_admitted_job_fails_and_nothing_is_sent(self):
        with a_system(settings={"OPENAI_API_KEY": ""}) as system:
            system.set_dials()
            (result,) = system.answer(a_spec())
            assert system.fake_openai.journal.counts().begun == 0
        assert result["status"] == "FAILED"
        assert system.lines.codes == ["MISSING_API_KEY"]

    def test_a_spend_cap_that_is_used_up_stubs(self):
        with a_system(settings={"SLOTGEN_BUDGET_USD": "0.000001"}) as system:
            system.set_dials()
            (result,) = system.answer(a_spec())
            assert system.fake_openai.journal.counts().begun == 0
        assert result["status"] == "STUB"
        assert system.lines.codes == ["BUDGET_EXCEEDED"]

    @pytest.mark.parametrize(("user", "database"), [("", 0), ("", 3), (":pass%2Fword@", 3)])
    def test_a_unix_socket_carries_everything(self, tmp_path, user, database):
        path = tmp_path / "redis.sock"
        lines = LogLines()
        with (
            EmbeddedRedis(extra_args=("--unixsocket", str(path))) as server,
            FakeOpenAI() as fake_openai,
            open_sync(server.url) as operator,
            open_sync(f"unix://{user}{path}?db={database}") as client,
        ):
            operator.config_set("requirepass", "pass/word" if user else "")
            client.mset(open_dials())
            environment = worker_environment(f"unix://{user}{path}?db={database}", fake_openai.base_url)
            worker = WorkerProcess(environment, tmp_path / "worker.log", lines.hear)
            try:
                worker.start(["--metrics-port", "0"])
                url = f"redis://{user}127.0.0.1:{server.port}/{database}"
                client.lpush("slotgen", "no message")
                with Celery(broker=url, backend=url, set_as_current=False) as celery:
                    sent = celery.send_task("slotgen.generate", args=[a_spec()], queue="slotgen")
                    (result,) = sent.get(timeout=WAIT_SECONDS)
                    del sent
                assert client.xlen("slotgen:dead") == 1
            finally:
                worker.stop()
                operator.config_set("requirepass", "")
        assert result["status"] == "COMPLETED"
        assert [line["level"] for line in lines if line["logger"].startswith("slotgen")].count("ERROR") == 0

    def test_a_redis_that_is_away_at_start_is_said_in_words(self):
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "worker", "--metrics-port", "0"],
            env=worker_environment("redis://127.0.0.1:1/0", "http://127.0.0.1:1/v1"),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            said = next(
                entry for entry in map(json.loads, process.stdout) if entry["event"] == "redis_refused"
            )
        finally:
            process.kill()
            process.communicate()
        assert said["address"] == "redis://127.0.0.1:1/0"
        assert "SLOTGEN_REDIS_URL" in said["remedy"]


class TestStop:
    def test_sigterm_finishes_what_has_begun_and_returns_the_rest(self):
        with a_system(concurrency=4) as system:
            system.set_dials()
            system.fake_openai.play_next(*[Behaviour(delay_seconds=60)] * 4)
            pending = [system.send(a_spec(new_job())) for _ in range(20)]
            system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 4, WAIT_SECONDS)

            os.kill(system.stack.worker.pid, signal.SIGTERM)
            system.wait_for_line(lambda line: line["event"] == "worker_stopping")
            system.fake_openai.release()
            assert system.stack.worker.stop() == 0

            done = [each.get()[0]["status"] for each in pending if each.ready()]
            pending.clear()
            assert set(done) == {"COMPLETED"}
            assert len(done) >= 4
            assert system.stack.client.llen("slotgen") == 20 - len(done)
            assert system.stack.client.hlen("slotgen:unacked") == 0
            assert system.fake_openai.journal.counts().cancelled == 0


class TestSilence:
    def test_what_outlasts_the_grace_goes_back_at_once_and_stays_in_the_ledger(self):
        with a_system(settings={"SLOTGEN_SHUTDOWN_GRACE_SECONDS": "0.1"}) as system:
            client = system.stack.client
            system.fake_openai.behave(Behaviour(delay_seconds=60))
            system.set_dials()
            for number in range(10):
                system.send(a_spec(a_job(f"late-{number}")))
            system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 10, WAIT_SECONDS)

            # It ends by itself, although its calls would not for a minute.
            assert system.stack.worker.stop() == 0

            assert system.fake_openai.journal.counts().in_flight == 0
            assert (client.llen("slotgen"), client.hlen("slotgen:unacked")) == (10, 0)
            assert client.mget(client.keys("slotgen:ledger:*")) == [b"1"] * 10
            # No outcome was made up for them, and no claim is left that others would wait for.
            assert system.lines.outcomes == []
            assert client.keys("slotgen:claim:*") == []

    def test_no_input_output_prompt_or_key_is_ever_logged(self):
        marker = f"marker{uuid.uuid4().hex}"
        settings = {"SLOTGEN_LOG_LEVEL": "DEBUG", "OPENAI_API_KEY": f"sk-{marker}"}
        marked = {"input": {"topic": marker, marker: marker}, "sources": [marker]}
        with a_system(settings=settings) as system:
            system.set_dials()
            for play in (Play.ANSWER, Play.MARKDOWN, Play.SCHEMA_INVALID, Play.HTML, Play.REFUSAL):
                system.fake_openai.behave(Behaviour(play=play))
                system.answer(a_spec(new_job(**marked)))
            with pytest.raises(Exception, match="jobs"):
                system.answer(a_spec(a_job(kind=marker, input={"topic": marker})))
            system.push(a_message(body=marker.encode()))
            system.push(marker.encode())
            system.answer(a_spec(new_job(mode="verbatim", input={"text": marker})))
            log = system.stack.worker.log_path.read_text()
        assert system.lines.events.count("message_rejected") == 3
        assert "job_completed" in log
        assert marker not in log

    @pytest.mark.parametrize("which", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
    def test_no_signal_makes_it_say_what_a_job_has_or_ends_it(self, which):
        marker = f"marker{uuid.uuid4().hex}"
        with a_system(settings={"OPENAI_API_KEY": f"sk-{marker}", "CELERY_RDBSIG": "1"}) as system:
            system.set_dials()
            system.fake_openai.behave(Behaviour(delay_seconds=60))
            sent = system.send(a_spec(new_job(input={"topic": marker})))
            system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, WAIT_SECONDS)

            os.kill(system.stack.worker.pid, which)
            system.fake_openai.release()

            assert sent.get(timeout=WAIT_SECONDS)[0]["status"] == "COMPLETED"
            log = system.stack.worker.log_path.read_text()
        assert marker not in log
        assert all(json.loads(line) for line in log.splitlines()[:-1])

    def test_every_line_is_json(self, system):
        system.answer(a_spec(new_job()))

        for line in system.stack.worker.log_path.read_text().splitlines():
            assert json.loads(line)["event"]
