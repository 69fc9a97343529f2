"""Spans go to a collector in batches, beside the work; what it does not take is counted and takes no room."""

from __future__ import annotations

import contextlib
import socketserver
import threading

import pytest

from tests.fakes.otlp import Collector
from worker.adapters.otel import sending
from worker.adapters.otel.sending import MOST_SPANS, SpanSender
from worker.adapters.otel.spans import open_tracer


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def a_sender(dropped):
    senders = []

    def sender_to(collector):
        senders.append(SpanSender(f"{collector.endpoint}/", None, dropped.append))
        return senders[-1], open_tracer(senders[-1], "slotgen", "w")

    yield sender_to
    for each in senders:
        each.finish()


def finish(tracer, number):
    for each in range(number):
        tracer.start_span(f"span-{each}").end()


def test_spans_arrive_once_and_in_their_order(a_sender, dropped):
    with Collector() as collector:
        sender, tracer = a_sender(collector)
        finish(tracer, 1200)

        sender.send()
        sender.send()

        assert [each.name for each in collector.spans] == [f"span-{each}" for each in range(1200)]
        assert len(collector.bodies) == 3
    assert dropped == []


def test_whoever_sends_is_woken_once_there_is_a_batch(a_sender, dropped):
    with Collector() as collector:
        sender, tracer = a_sender(collector)
        woken = []
        sender.wake = lambda: woken.append(len(collector.spans))

        finish(tracer, 511)
        assert not woken
        finish(tracer, 100)

        assert len(woken) == 1


def test_only_so_many_wait_for_a_collector_that_says_nothing_and_the_others_are_counted(a_sender, dropped):
    with Collector(frozen=True) as collector:
        sender, tracer = a_sender(collector)
        finish(tracer, 512)
        sending = threading.Thread(target=sender.send)
        sending.start()
        collector.wait_for_requests(1)

        # Nobody waits for it, or this would not end.
        finish(tracer, MOST_SPANS + 300)

        assert sum(dropped) == 300
        assert len(sender._queue) == MOST_SPANS
        sender._queue.clear()
        collector.thaw()
        sending.join()
    assert sum(dropped) == 300


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_what_is_refused_is_counted_and_not_sent_again(a_sender, dropped, status, caplog):
    with Collector(status=status) as collector:
        sender, tracer = a_sender(collector)
        finish(tracer, 3)
        sender.send()
        finish(tracer, 4)
        sender.send()

        assert len(collector.requests) == 2
        collector.status = 200
        finish(tracer, 5)
        sender.send()
        assert len(collector.spans) == 5
    assert dropped == [3, 4]
    # Once until it has taken some, and nothing by the library.
    (line,) = caplog.records
    assert line.slotgen_fields == {"address": f"{collector.endpoint}/", "answer": f"HTTP {status}"}


def test_an_answer_without_an_end_is_not_read(a_sender, dropped):
    with Collector(endless=True) as collector:
        sender, tracer = a_sender(collector)
        finish(tracer, 3)

        sender.send()

        assert len(collector.spans) == 3
    assert dropped == []


@pytest.mark.parametrize(("said", "counted"), [(1, 1), (99, 3), (-7, None)])
def test_what_it_says_that_it_has_rejected_is_counted(a_sender, dropped, said, counted):
    with Collector(rejected=said) as collector:
        sender, tracer = a_sender(collector)
        finish(tracer, 3)

        sender.send()

    assert dropped == [counted] * (counted is not None)


def test_an_answer_that_comes_byte_by_byte_holds_up_nothing(dropped, monkeypatch):
    monkeypatch.setattr(sending, "_WAIT_SECONDS", 0.3)
    ended = threading.Event()

    class Dripping(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65_536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
            with contextlib.suppress(OSError):
                while not ended.wait(0.05):
                    self.request.sendall(b"a")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sender = SpanSender(f"http://127.0.0.1:{server.server_address[1]}", None, dropped.append)
        tracer = open_tracer(sender, "slotgen", "w")
        for number in (3, 4):
            finish(tracer, number)
            sender.send()
        ended.set()
        sender._sending.join()
        sender.finish()
        server.shutdown()

    assert dropped == [3, 4]
