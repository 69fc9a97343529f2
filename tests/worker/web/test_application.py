"""Whatever becomes of the status, the page comes in time, and its button halts."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from tests.worker.web.night import a_night
from tests.worker.web.site import TOKEN, WAIT_SECONDS, Site, served
from worker.web.access import Access
from worker.web.application import Application
from worker.web.door import origins
from worker.web.halting import HaltButton
from worker.web.page import Pages
from worker.web.status import StatusReader


@contextmanager
def a_page(read, client, namespace, *, seconds=WAIT_SECONDS):
    """Serve the page with a status of `read`; give it with a session."""
    button = HaltButton(client, client, namespace)
    pages = Pages(namespace, 5.0, by_token=True)
    answers = Application(Access(TOKEN, None), button, StatusReader(read, seconds), pages, None, "slotgen")
    known = {}
    with served(answers.asgi(known)) as (host, port):
        known |= origins([f"http://{host}:{port}"])
        site = Site(f"http://{host}:{port}")
        yield site, site.log_in()
    answers.close()


def pressed(site, cookie, client, namespace):
    client.set(f"{namespace}:kill", "false")
    site.press(cookie)
    return client.get(f"{namespace}:kill") == b"true"


def test_a_status_that_takes_too_long_is_not_waited_for(redis_client, namespace):
    come = threading.Event()

    def read():
        come.wait(WAIT_SECONDS)
        return a_night()

    with a_page(read, redis_client, namespace, seconds=0.05) as (site, cookie):
        assert "Redis has not answered within 0.05 s" in site.ask("GET", "/", cookie=cookie).text
        # More of them than there are threads to read.
        assert [site.ask("GET", "/", cookie=cookie).status for _ in range(20)] == [200] * 20
        assert pressed(site, cookie, redis_client, namespace)
        come.set()


@pytest.mark.parametrize(
    "found", [None, ZeroDivisionError()], ids=["a page that breaks", "a read that breaks"]
)
def test_a_bug_leaves_the_button(redis_client, namespace, caplog, found):
    def read():
        if found:
            raise found
        # No status at all: the page breaks on it.
        return found

    with a_page(read, redis_client, namespace) as (site, cookie):
        page = site.ask("GET", "/", cookie=cookie)

        assert (page.status, "this page broke, which is a bug" in page.text) == (200, True)
        assert pressed(site, cookie, redis_client, namespace)
    assert "web_page_broke" in [each.message for each in caplog.records]


def test_what_is_shown_after_a_press_was_read_after_it(redis_client, namespace):
    begun, go_on = threading.Event(), threading.Event()
    reads = []

    def read():
        reads.append(redis_client.get(f"{namespace}:kill"))
        if len(reads) == 2:
            begun.set()
            go_on.wait(WAIT_SECONDS)
        return a_night(halted=reads[-1] != b"false")

    redis_client.set(f"{namespace}:kill", "false")
    with a_page(read, redis_client, namespace) as (site, cookie):
        form = site.ask("GET", "/", cookie=cookie).form
        before = threading.Thread(target=lambda: site.ask("GET", "/", cookie=cookie))
        before.start()
        assert begun.wait(WAIT_SECONDS)
        site.ask("POST", "/", cookie=cookie, form={"form": form})
        after = []
        asking = threading.Thread(target=lambda: after.append(site.ask("GET", "/", cookie=cookie)))
        asking.start()
        go_on.set()
        asking.join(WAIT_SECONDS)
        before.join(WAIT_SECONDS)

        assert "<h1>HALTED</h1>" in after[0].text
