"""A person with a phone: opens the page, reads it, halts calls in flight, and sees it confirmed."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from tests.builders import a_spec, new_job
from tests.chromium import Tab, a_tab
from tests.e2e.conftest import WAIT_SECONDS, a_system
from tests.fakes.openai.server import Behaviour
from tests.worker.web.site import TOKEN, a_site

pytestmark = pytest.mark.thorough
CALLS = 50


@pytest.fixture
def system():
    """One of its own, whose worker says all the while what it has in flight."""
    with a_system(concurrency=64) as started:
        started.set_dials()
        yield started


@pytest.fixture
def site(system, tmp_path):
    with a_site(tmp_path, system.stack.redis_url) as started:
        yield started


def test_a_person_logs_in_reads_halts_fifty_calls_and_sees_it_confirmed(system, site, saw, tmp_path):
    assert system.answer(a_spec(new_job()))[0]["status"] == "COMPLETED"
    system.fake_openai.behave(Behaviour(delay_seconds=WAIT_SECONDS))
    pending = [system.send(a_spec(new_job())) for _ in range(CALLS)]
    journal = system.fake_openai.journal
    journal.wait_until(lambda counts: counts.in_flight == CALLS, WAIT_SECONDS)

    async def person() -> None:
        async with a_tab(tmp_path / "profile") as tab:
            # No page of this one runs a script.
            await tab.begin()
            await tab.open(site.url)
            assert "log in" in await tab.html()
            await tab.type("input[name=name]", "ann")
            await tab.type("input[name=token]", TOKEN)
            await tab.click("button.go")
            # What is read follows the heartbeats: it comes by itself, for the page refreshes itself.
            page = await until(tab, f"{CALLS} calls in flight")
            assert "<h1>RELEASED</h1>" in page

            began_mono = time.monotonic()
            await tab.click("button.halt")
            took_ms = (time.monotonic() - began_mono) * 1000
            page = words(await tab.html())

            assert "HALTED" in page
            assert "1 of 1 worker confirmed after" in page
            assert f"{CALLS} calls in flight were cancelled" in page
            assert "slotgen resume --reason" in page
            saw(
                "the halt button",
                f"{CALLS} calls in flight, Chromium without scripts",
                f"confirmed on the page after {took_ms:.0f} ms",
                "kept",
            )
            # The policy lets through all that the page has; and nothing else was asked for.
            assert tab.logged == []
            assert {each["status"] for each in tab.responses} <= {200, 303}
            assert all(each["url"].startswith(site.url) for each in tab.responses)

    asyncio.run(person())

    assert journal.counts().in_flight == 0
    codes = [each.get(timeout=WAIT_SECONDS)[0]["status"] for each in pending]
    assert codes == ["STUB"] * CALLS
    (entry, *_) = (each for each in system.stack.client.xrevrange("slotgen:audit", count=1))
    assert (entry[1][b"actor"], entry[1][b"command"]) == (b"ann", b"slotgen web")


async def until(tab: Tab, text: str) -> str:
    """Return the page once it says `text`, as it refreshes itself."""
    async with asyncio.timeout(WAIT_SECONDS):
        while text not in words(page := await tab.html()):
            await tab.next_page()
    return page


def words(page: str) -> str:
    """Return what a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
