"""Drives a headless Chromium over its DevTools protocol: what a person does with a page, and what they see.

Nothing here needs the page to run a script.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.debian import chromium
from tests.waiting import eventually

_WAIT_SECONDS = 30
# A phone's.
WIDTH, HEIGHT = 390, 844


class Tab:
    """One tab. `blocked` has what the page's policy has kept it from, `logged` what its console says."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.logged: list[str] = []
        self.responses: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    async def command(self, method: str, **parameters: Any) -> Any:
        """Give one command of the protocol and return its result."""
        number = next(self._numbers)
        self._replies[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(self._replies[number], _WAIT_SECONDS)

    async def begin(self, *, dark: bool = False, scale: float = 1) -> None:
        """Be a phone that runs no scripts, in the light or in the dark."""
        for domain in ("Page", "DOM", "Log", "Network"):
            await self.command(f"{domain}.enable")
        await self.command("Emulation.setScriptExecutionDisabled", value=True)
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=WIDTH,
            height=HEIGHT,
            deviceScaleFactor=scale,
            mobile=True,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])

    async def open(self, url: str) -> None:
        """Go to `url`, and return when it is there."""
        self._loaded.clear()
        await self.command("Page.navigate", url=url)
        await self.loaded()

    async def loaded(self) -> None:
        """Return when the page that is on its way has been loaded."""
        await asyncio.wait_for(self._loaded.wait(), _WAIT_SECONDS)

    async def next_page(self) -> None:
        """Return when the page has refreshed itself."""
        self._loaded.clear()
        await self.loaded()

    async def html(self) -> str:
        """Return the page as it is now."""
        root = (await self.command("DOM.getDocument"))["root"]["nodeId"]
        return str((await self.command("DOM.getOuterHTML", nodeId=root))["outerHTML"])

    async def type(self, selector: str, text: str) -> None:
        """Type `text` into a field."""
        await self.command("DOM.focus", nodeId=await self._node(selector))
        await self.command("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Touch the middle of an element, and return when the page that follows is there."""
        node = await self._node(selector)
        await self.command("DOM.scrollIntoViewIfNeeded", nodeId=node)
        box = (await self.command("DOM.getBoxModel", nodeId=node))["model"]["content"]
        x, y = (box[0] + box[4]) / 2, (box[1] + box[5]) / 2
        self._loaded.clear()
        for kind in ("mousePressed", "mouseReleased"):
            await self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        await self.loaded()

    async def picture(self, *, whole: bool = False) -> bytes:
        """Return what is seen, or the `whole` page, as PNG."""
        shot = await self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    async def _node(self, selector: str) -> int:
        root = (await self.command("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.command("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        assert node, f"there is no {selector}"
        return int(node)

    async def _read(self) -> None:
        async for each in self._socket:
            said = each.json()
            if reply := self._replies.pop(said.get("id", 0), None):
                if "error" in said:
                    reply.set_exception(RuntimeError(said["error"]["message"]))
                else:
                    reply.set_result(said["result"])
            elif said.get("method") == "Page.loadEventFired":
                self._loaded.set()
            elif said.get("method") == "Log.entryAdded":
                self.logged.append(said["params"]["entry"]["text"])
            elif said.get("method") == "Network.responseReceived":
                self.responses.append(said["params"]["response"])


@asynccontextmanager
async def a_tab(folder: Path) -> AsyncIterator[Tab]:
    """Run a browser with its profile in `folder`, and give its tab."""
    command = [
        *chromium(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "about:blank",
    ]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        port = await asyncio.to_thread(_port, folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as listed:
                tabs = [each for each in await listed.json() if each["type"] == "page"]
            async with session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                yield tab
                with suppress(Exception):
                    await tab.command("Browser.close")
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _port(file: Path) -> int:
    """Return the port once the browser has written it, which it does when it listens."""
    words = eventually(lambda: file.exists() and file.read_text().split(), saying="Chromium did not start")
    return int(words[0])
