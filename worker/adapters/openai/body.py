"""Bounds the body of an answer: its bytes are counted as they arrive, and again when unpacked."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2

# Room for 256 bytes for each of the shipped config's 4,096 output tokens; the longest answer of a model,
# 128,000 tokens, has 0.5 MB of text. A refused body stays in memory as long as its error: at 8 MiB each,
# fifty of them took 530 MB.
MAX_BODY_BYTES = 1 << 20
# For all bodies that a process is reading: a thousand honest answers of 32 KB.
MAX_BODIES_BYTES = 32 << 20
# What a refusal says beside its status and headers is worth no longer wait.
_REFUSAL_SECONDS = 1.0
# Any form of gzip or zlib.
_GZIP = 47


class BodyRefused(Exception):  # noqa: N818 - reads as what it is
    """A body is larger than its bound, or encoded in a way that was not asked for."""


@dataclass(slots=True)
class BodyBound:
    """The bound of one client: an event hook on its responses, which the SDK's own reading then respects."""

    _read_bytes: int = 0

    async def __call__(self, response: httpx2.Response) -> None:
        """Put the bound between the connection and any reader of `response`.

        The body of a refusal (any status but 2xx) is read here, and is empty where it cannot be: what the
        status and the headers say does not depend on it.
        """
        said = response.headers.pop("content-encoding", "").lower().split(",")
        encodings = [each.strip() for each in said if each.strip() not in {"", "identity"}]
        is_known = encodings in ([], ["gzip"], ["x-gzip"])
        if response.is_success and not is_known:
            raise BodyRefused
        # Whatever charset the server names: some of Python's codecs take minutes for a body within the bound.
        response.encoding = "utf-8"
        if not isinstance(response.stream, httpx2.AsyncByteStream):
            return
        bounded = _BoundedStream(response.stream, self, packed=bool(encodings))
        response.stream = bounded if response.is_success else await bounded.as_refusal(readable=is_known)

    def count(self, size: int) -> None:
        """Note that `size` more bytes are held (fewer, if negative). Raises BodyRefused."""
        self._read_bytes += size
        if size > 0 and self._read_bytes > MAX_BODIES_BYTES:
            raise BodyRefused


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, sent: httpx2.AsyncByteStream, bound: BodyBound, *, packed: bool) -> None:
        self._sent, self._bound, self._size = sent, bound, 0
        self._unpacker = zlib.decompressobj(_GZIP) if packed else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._sent:
            # Reading one byte more than there is room for is enough to know.
            piece = self._unpacked(chunk, MAX_BODY_BYTES - self._size + 1)
            self._size += len(piece)
            self._bound.count(len(piece))
            if self._size > MAX_BODY_BYTES:
                raise BodyRefused
            yield piece

    def _unpacked(self, chunk: bytes, most: int) -> bytes:
        if self._unpacker is None:
            return chunk
        try:
            return self._unpacker.decompress(chunk, most)
        except zlib.error:
            raise BodyRefused from None

    async def as_refusal(self, *, readable: bool) -> httpx2.ByteStream:
        """Return all of it, or nothing where not all of it comes, fits and can be unpacked."""
        try:
            async with asyncio.timeout(_REFUSAL_SECONDS):
                pieces = [piece async for piece in self] if readable else []
        except Exception:  # noqa: BLE001 - whatever the server's bytes made of it
            pieces = []
        finally:
            await self.aclose()
        return httpx2.ByteStream(b"".join(pieces))

    async def aclose(self) -> None:
        self._bound.count(-self._size)
        self._size = 0
        await self._sent.aclose()
