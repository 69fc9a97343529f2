"""Draws docs/web.png: what `slotgen web` shows of a made-up night, on a phone.

`python -m tests.worker.web.picture` draws it with Chromium, in seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import sys
import tempfile
import zlib
from pathlib import Path

from tests.chromium import a_tab
from tests.worker.web.night import a_night
from worker.web.access import Visitor
from worker.web.halting import HaltButton
from worker.web.page import Pages

PICTURE = Path(__file__).resolve().parents[3] / "docs" / "web.png"
_KEYWORD = b"of"
_HEAD_BYTES = 8 + 25  # the signature, and the first chunk


def page(*, halted: bool = False) -> str:
    """Return the page of that night."""
    # Nobody presses this button.
    button = HaltButton(None, None, "slotgen")  # type: ignore[arg-type]
    pages = Pages("slotgen", 5.0, by_token=True)
    return pages.page(a_night(halted=halted), button, Visitor("ann", "x"), asks_reason=False)


def digest() -> str:
    """Return what the picture must be of."""
    return hashlib.sha256(page().encode()).hexdigest()


def drawn_of() -> str:
    """Return what the picture is of, as it says itself."""
    picture, at = PICTURE.read_bytes(), 8
    while at < len(picture):
        (length,) = struct.unpack_from(">I", picture, at)
        if picture[at + 4 : at + 8] == b"tEXt":
            return picture[at + 8 + len(_KEYWORD) + 1 : at + 8 + length].decode()
        at += 12 + length
    return ""


async def draw(
    folder: Path, *, halted: bool = False, dark: bool = False, whole: bool = False, scale: float = 1
) -> bytes:
    """Return the picture of the page, in the light or in the dark."""
    file = folder / "page.html"
    file.write_text(page(halted=halted), "utf-8")
    async with a_tab(folder / "profile") as tab:
        await tab.begin(dark=dark, scale=scale)
        await tab.open(file.as_uri())
        return await tab.picture(whole=whole)


def main() -> None:
    """Draw the picture; `--look FOLDER` draws all that there is to look at into a folder instead."""
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:2] == ["--look"]:
            for name, options in {
                "halted": {"halted": True},
                "halted-dark": {"halted": True, "dark": True},
                "released": {},
                "released-dark": {"dark": True},
                "whole": {"whole": True},
                "whole-dark": {"whole": True, "halted": True, "dark": True},
            }.items():
                Path(sys.argv[2], f"{name}.png").write_bytes(
                    asyncio.run(draw(Path(folder), scale=2, **options))
                )
            return
        picture = asyncio.run(draw(Path(folder)))
    said = b"tEXt" + _KEYWORD + b"\0" + digest().encode()
    chunk = struct.pack(">I", len(said) - 4) + said + struct.pack(">I", zlib.crc32(said))
    PICTURE.write_bytes(picture[:_HEAD_BYTES] + chunk + picture[_HEAD_BYTES:])


if __name__ == "__main__":
    main()
