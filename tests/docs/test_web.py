"""The picture in docs/web.md is of the page as it is now, on a phone."""

from __future__ import annotations

import struct

from tests.chromium import HEIGHT, WIDTH
from tests.worker.web.picture import PICTURE, digest, drawn_of


def test_the_picture_is_of_the_page_as_it_is_now():
    # Drawn again by `python -m tests.worker.web.picture`, in seconds.
    assert drawn_of() == digest()
    assert struct.unpack(">II", PICTURE.read_bytes()[16:24]) == (WIDTH, HEIGHT)
