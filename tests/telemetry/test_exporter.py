import contextlib
import http.client
import itertools
import json
import logging
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from telemetry import METRICS, Health, PortUnavailable, application, listen
from telemetry.exporter import BOUNDS
from telemetry.pages import Shared
from tests.ports import free_port
from tests.telemetry.samples import MARKER, some_metrics
from tests.waiting import eventually

GOOD = Health({"model_loop": True})
BAD = Health({"consuming": True, "controls": False})


@contextmanager
def running(healthy=lambda: GOOD, ready=lambda: GOOD, registry=None, host="127.0.0.1", port=0, bounds=BOUNDS):
    pages = application(registry or some_metrics().registry, healthy, ready)
    exporter = listen(pages, host=host, port=port, bounds=bounds)
    try:
        yield exporter
    finally:
        exporter.close()


def ask(exporter, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


class CountedLock:
    """A lock that says how many have come to it."""

    def __init__(self):
        self.lock, self.came = threading.Lock(), []

    def __enter__(self):
        self.came.append(1)
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


def test_thirty_who_ask_while_a_check_runs_cost_one_more():
    begun, release, calls, answers = threading.Event(), threading.Event(), [], []

    def check():
        calls.append(1)
        begun.set()
        release.wait(10)
        return len(calls)

    shared = Shared(check)
    shared._one_at_a_time = lock = CountedLock()
    askers = [threading.Thread(target=lambda: answers.append(shared())) for _ in range(31)]
    askers[0].start()
    assert begun.wait(10)
    for each in askers[1:]:
        each.start()
    eventually(lambda: len(lock.came) == 31)
    release.set()
    for each in askers:
        each.join()

    assert sorted(answers) == [1] + [2] * 30
    assert len(calls) == 2


class TestPages:
    def test_every_metric_of_the_table_is_scraped_outcomes_first(self):
        with running() as exporter:
            response, body = ask(exporter, "/metrics")

        text = body.decode()
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        assert text.startswith("# HELP slotgen_jobs_total ")
        for row in METRICS:
            assert f"# TYPE {row.name} {row.kind}" in text

    def test_a_scrape_sees_what_was_counted(self):
        metrics = some_metrics()
        metrics.counter("slotgen_jobs_total").labels("STUB", "KILL_SWITCH", "stub").inc()

        with running(registry=metrics.registry) as exporter:
            _, body = ask(exporter, "/metrics")

        line = b'slotgen_jobs_total{error_code="KILL_SWITCH",path="stub",status="STUB"} 1.0'
        assert line in body

    def test_whatever_version_is_asked_for_there_are_two_pages(self, caplog):
        with running() as exporter:
            kinds = {
                ask(exporter, "/metrics", Accept=accept)[0].headers["Content-Type"]
                for accept in (
                    "text/plain",
                    *(f"application/openmetrics-text; version={each}" for each in ("1.0.0", "1.0.1", "x")),
                )
            }

        assert len(kinds) == 2
        assert not caplog.records

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_a_good_check_is_200(self, path):
        with running() as exporter:
            response, body = ask(exporter, path)

        assert response.status == 200
        assert json.loads(body) == {"status": "ok", "checks": {"model_loop": True}}

    def test_one_bad_check_is_503_and_says_which(self):
        with running(ready=lambda: BAD) as exporter:
            ready, body = ask(exporter, "/readyz")
            healthy, _ = ask(exporter, "/healthz")

        assert (ready.status, healthy.status) == (503, 200)
        assert json.loads(body) == {
            "status": "unavailable",
            "checks": {"consuming": True, "controls": False},
        }

    def test_a_check_that_raises_is_503_and_logged_without_its_text(self, caplog, capsys):
        def broken():
            raise RuntimeError(MARKER)

        with running(ready=broken) as exporter:
            response, body = ask(exporter, "/readyz")

        assert response.status == 503
        assert json.loads(body) == {"status": "unavailable", "checks": {}}
        (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert record.message == "page_broke"
        assert record.slotgen_fields["error_type"] == "builtins.RuntimeError"
        assert MARKER not in caplog.text + capsys.readouterr().err + body.decode()

    @pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/healthz/x", "/%00"])
    def test_another_path_is_404_and_names_the_three(self, path):
        with running() as exporter:
            response, body = ask(exporter, path)

        assert response.status == 404
        assert all(name in body.decode() for name in ("/metrics", "/healthz", "/readyz"))

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"])
    def test_another_method_is_405_and_names_the_two(self, method):
        with running() as exporter:
            response, _ = ask(exporter, "/metrics", method)

        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"

    @pytest.mark.parametrize("path", ["/metrics", "/healthz", "/nowhere"])
    def test_head_is_get_without_the_body(self, path):
        with running() as exporter:
            got, body = ask(exporter, path)
            with socket.create_connection(("127.0.0.1", exporter.port), timeout=10) as client:
                client.sendall(f"HEAD {path} HTTP/1.0\r\n\r\n".encode())
                raw = client.makefile("rb").read()

        head, _, rest = raw.partition(b"\r\n\r\n")
        assert head.split()[1] == str(got.status).encode()
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        # The process's own figures (CPU, memory) may gain or lose digits between the two requests.
        assert length == pytest.approx(len(body), abs=100 if path == "/metrics" else 0)
        assert rest == b""


class TestServer:
    def test_a_taken_port_is_named_with_the_remedy(self):
        with running() as exporter, pytest.raises(PortUnavailable) as refused, running(port=exporter.port):
            pass

        assert f"127.0.0.1:{exporter.port}" in str(refused.value)
        assert "SLOTGEN_METRICS_PORT" in str(refused.value)

    @pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 65_536), ("192.0.2.1", 9464)])
    def test_an_address_that_is_none_of_ours_is_named(self, host, port):
        with pytest.raises(PortUnavailable, match=f"{host}:{port}"), running(host=host, port=port):
            pass

    def test_its_port_is_free_again_right_after_a_scrape(self):
        port = free_port()
        with running(port=port) as exporter:
            ask(exporter, "/metrics")

        with running(port=port) as again:
            assert ask(again, "/healthz")[0].status == 200

    def test_closing_ends_its_thread_and_twice_is_harmless(self):
        with running() as exporter:
            assert "exporter" in [thread.name for thread in threading.enumerate()]
            assert exporter.is_alive()
            exporter.close()

        assert not exporter.is_alive()
        assert "exporter" not in [thread.name for thread in threading.enumerate()]
        with pytest.raises(ConnectionError):
            ask(exporter, "/healthz")

    def test_clients_that_say_nothing_or_nonsense_hold_up_nobody(self, capsys):
        with running() as exporter:
            clients = [socket.create_connection(("127.0.0.1", exporter.port)) for _ in range(20)]
            try:
                for number, client in enumerate(clients):
                    client.sendall((b"", b"GET /metr", b"\x16\x03\x01\x00\xff\r\n\r\n", b"\r\n")[number % 4])

                response, _ = ask(exporter, "/healthz")
            finally:
                for client in clients:
                    client.close()

        assert response.status == 200
        assert capsys.readouterr() == ("", "")

    def test_the_bounds_are_short_and_leave_a_dead_job_loop_time_to_be_reported(self):
        assert 5 < BOUNDS.seconds <= 10
        assert 0 < BOUNDS.silent_seconds <= 5

    def test_a_silent_client_is_left(self):
        with (
            running(bounds=replace(BOUNDS, silent_seconds=0.05)) as exporter,
            socket.create_connection(("127.0.0.1", exporter.port), timeout=10) as client,
        ):
            assert client.recv(1) == b""

    def test_a_client_that_drips_is_left_when_its_time_is_over(self):
        def answered(byte):
            with contextlib.suppress(TimeoutError):
                client.sendall(bytes([byte]))
                return client.recv(1)
            return None

        with (
            running(bounds=replace(BOUNDS, seconds=0.3)) as exporter,
            socket.create_connection(("127.0.0.1", exporter.port), timeout=0.01) as client,
        ):
            endless = itertools.chain(b"GET /healthz HTTP/1.0\r\nX: ", itertools.repeat(ord("y")))

            assert next(each for each in map(answered, endless) if each is not None) == b""

    def test_a_question_without_an_end_is_cut_off_at_its_bound_and_not_answered(self):
        with (
            running() as exporter,
            socket.create_connection(("127.0.0.1", exporter.port), timeout=10) as client,
        ):
            client.sendall(b"GET /metrics HTTP/1.1\r\n" + b"X-Header: y\r\n" * 90)
            with contextlib.suppress(ConnectionError):
                client.sendall(b"X-Long: " + b"y" * BOUNDS.request_bytes)
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""

    def test_a_newcomer_takes_the_place_of_the_oldest_that_is_slow(self):
        with running(bounds=replace(BOUNDS, connections=2, seconds=60, silent_seconds=60)) as exporter:
            oldest, older = (
                socket.create_connection(("127.0.0.1", exporter.port), timeout=10) for _ in range(2)
            )
            with oldest, older:
                # Only who is waited for can be dropped, and the threads of the two may not have got so far.
                eventually(lambda: [each.waiting for each in exporter.clients.values()] == [True, True])
                older.sendall(b"GET /healthz HTTP/1.0\r\n")

                response, _ = ask(exporter, "/healthz")

                assert response.status == 200
                assert oldest.recv(1) == b""
                older.sendall(b"\r\n")
                assert older.recv(12) == b"HTTP/1.0 200"

    def test_who_is_being_answered_keeps_its_place_and_the_next_is_told_to_come_again(self):
        asked, release = threading.Event(), threading.Event()
        answers = []

        def slow():
            asked.set()
            release.wait(10)
            return GOOD

        with running(healthy=slow, bounds=replace(BOUNDS, connections=1)) as exporter:
            prober = threading.Thread(target=lambda: answers.append(ask(exporter, "/healthz")[0].status))
            prober.start()
            assert asked.wait(10)
            response, _ = ask(exporter, "/metrics")
            release.set()
            prober.join()

        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert answers == [200]

    def test_a_slow_check_holds_up_no_scrape(self):
        asked, release = threading.Event(), threading.Event()

        def slow():
            asked.set()
            release.wait(10)
            return GOOD

        with running(healthy=slow) as exporter:
            prober = threading.Thread(target=ask, args=(exporter, "/healthz"))
            prober.start()
            assert asked.wait(10)
            response, _ = ask(exporter, "/metrics")
            release.set()
            prober.join()

        assert response.status == 200

    def test_it_keeps_no_access_log(self, capsys, caplog):
        with running() as exporter:
            ask(exporter, "/metrics")
            ask(exporter, "/nowhere")

        assert capsys.readouterr() == ("", "")
        assert caplog.records == []
