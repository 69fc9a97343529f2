"""Text that is kept is bounded in bytes, whatever is in it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from worker.adapters.redis.cut import cut

ANY = st.text(st.characters(), max_size=400) | st.text(st.sampled_from("\x00\ud800é😀a"), max_size=400)


@given(ANY, st.integers(64, 512))
def test_is_within_its_bytes_and_the_same_if_it_was(text, most_bytes):
    def size(each):
        return len(json.dumps(each, ensure_ascii=False).encode(errors="surrogatepass"))

    short = cut(text, most_bytes)

    assert size(short) <= most_bytes
    assert (short == text) == (size(text) <= most_bytes)


def test_different_texts_stay_different():
    assert cut("a" * 500 + "1", 64) != cut("a" * 500 + "2", 64)
    assert cut("a" * 500, 64).startswith("a" * 30)
