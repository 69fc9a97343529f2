"""Makes replies that no server should send: sound ones with one to three things wrong, on every level."""

from __future__ import annotations

import copy
import gzip
import json
import random
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

TEXT = "A cell has a membrane."
STATUSES = [
    *(200, 200, 200, 200, 201, 202, 203, 204, 205, 206, 207, 226, 299),
    *(300, 301, 302, 303, 304, 307, 308, 399),
    *(
        400,
        401,
        402,
        403,
        404,
        405,
        408,
        409,
        410,
        413,
        415,
        418,
        421,
        422,
        425,
        426,
        429,
        429,
        429,
        431,
        451,
    ),
    *(500, 501, 502, 503, 504, 507, 511, 520, 522, 529, 599),
]
WIRE_STATUSES = [*STATUSES, 0, 1, 99, 100, 101, 102, 103, 199, 600, 700, 999, 1000, -200]
DATES = [
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Thu, 01 Jan 2027 00:00:00 +9999",
    "Thu, 99 Foo 2027 99:99:99 GMT",
    "2027-01-01T00:00:00Z",
]
WORDS = [
    *("", " ", "0", "-0", "1", "1.5", "-1", "1e3", "1e18", "1e400", "9" * 30, "0x10", "1_000", "٣", "½"),
    *("nan", "inf", "-inf", "NaN", "true", "null", "soon", "1, 2", "1;2", "%00", "é", "a" * 300, "{}", "[]"),
]
HEADERS = {
    "retry-after": [*WORDS, *DATES],
    "retry-after-ms": WORDS,
    "x-should-retry": [*WORDS, "true", "false"],
    "x-ratelimit-remaining-requests": WORDS,
    "x-ratelimit-reset-requests": [*WORDS, "1s", "6m0s", "99999h"],
    "x-ratelimit-reset-tokens": [*WORDS, "1ms"],
    "x-request-id": [*WORDS, "req_1", "a b", "x" * 4000],
    "openai-processing-ms": WORDS,
    "date": [*WORDS, *DATES],
    "location": [
        "/",
        "http://127.0.0.1:1/v1/responses",
        "//x",
        "javascript:x",
        "",
        "http://[::1",
        "ftp://x/",
    ],
    "content-type": [
        *("text/html", "text/event-stream", "application/json; charset=utf-16", "application/xml", ""),
        *(
            "application/json; charset=nonsense",
            "text/plain",
            "application/octet-stream",
            ";;;",
            "multipart/x",
        ),
    ],
    "content-language": WORDS,
    "set-cookie": [*WORDS, "a=b; expires=" + DATES[2], "a=b; max-age=" + "9" * 40],
    "connection": ["close", "keep-alive", "upgrade", ""],
}
ENCODINGS = ["gzip", "deflate", "br", "zstd", "identity", "x", "", "gzip, gzip"]
CODES = [
    *("server_error", "rate_limit_exceeded", "invalid_prompt", "insufficient_quota", "invalid_api_key"),
    *(
        "account_deactivated",
        "context_length_exceeded",
        "model_not_found",
        "vector_store_timeout",
        "new_code",
    ),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 5.5, -0.0, 1e308, 10**30, -(10**30), 2**31, 2**63, 2**64, 10**400),
    *("", "x", "5", "\0", "\ud800", "é😀", "a" * 300, "completed", "message", "null", float("nan")),
    *([], {}, [None], [[]], [1, 2], {"a": 1}, [{}], ["x"] * 50, float("inf"), -float("inf")),
]
# What a field may well have, and yet is no answer, or another one.
LIKELY: dict[str, list[Any]] = {
    "object": ["response", "response.chunk", "error", "list", "chat.completion"],
    "status": ["completed", "incomplete", "failed", "in_progress", "queued", "cancelled", "done"],
    "type": ["message", "output_text", "refusal", "reasoning", "function_call", "web_search_call", "error"],
    "role": ["assistant", "user", "system"],
    "phase": ["commentary", "final_answer", "thinking"],
    "service_tier": ["default", "auto", "flex", "priority", "scale", "fast"],
    "reason": ["max_output_tokens", "content_filter", "max_tokens"],
    "code": CODES,
    "text": [
        "",
        "{",
        '{"value": 1}',
        '{"value": ""}',
        '{"value": "x", "x": 1}',
        "[" * 3000,
        '{"value": "**x** **y**"}',
    ],
    "input_tokens": [0, 10**9, 10**12, "5", 7.0],
    "output_tokens": [0, 10**9, 10**12, "5", 7.0],
    "cached_tokens": [0, 10**9, None],
}
HTML = b"<!doctype html><html><head><title>403 Forbidden</title></head><body>Request blocked.</body></html>"
SSE = b'event: response.created\ndata: {"type": "response.created"}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Reply:
    """One reply. `encoding` is what its body is said to be encoded with, whether it is or not."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"), ("x-request-id", "req_1"))
    body: bytes = b""
    encoding: str | None = None

    def __str__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.encoding} {self.body[:2000]!r}"


def sound() -> bytes:
    """Return the bytes of a reply with nothing wrong."""
    body = json.dumps(a_response()).encode()
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def a_response() -> dict[str, Any]:
    """Return a sound answer, with all that the API has to say."""
    part = {"type": "output_text", "text": json.dumps({"value": TEXT}), "annotations": [], "logprobs": []}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 150,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-6-luna",
        "service_tier": "default",
        "output": [{"id": "rs_1", "type": "reasoning", "summary": []}, message | {"phase": "final_answer"}],
        "usage": usage,
    }


@dataclass
class Replies:
    """A seeded source of replies: the same seed gives the same ones in the same order."""

    seed: int
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def a_reply(self) -> Reply:
        """Return one with something wrong in its body, its status or its headers, or in several of them."""
        reply = Reply(body=json.dumps(a_response()).encode())
        for _ in range(self.chance.choice([1, 1, 2, 3])):
            reply = self.chance.choice([self._body, self._body, self._body, self._status, self._header])(
                reply
            )
        return reply

    def on_the_wire(self) -> bytes:
        """Return the bytes of a reply, often with something wrong in how it is framed."""
        reply = self.a_reply()
        chance = self.chance
        if chance.random() < 0.2:
            reply = replace(reply, status=chance.choice(WIRE_STATUSES))
        body = self._framed(reply)
        lines = [f"HTTP/1.1 {reply.status} {chance.choice(['OK', '', 'Nö', 'x' * 50])}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        # A server that closes without it meets the next request half the time.
        lines += ["connection: close"] if chance.random() < 0.9 else []
        lines += [] if reply.encoding is None else [f"content-encoding: {reply.encoding}"]
        if chance.random() < 0.5:
            lines.append(f"content-length: {len(body)}")
        else:
            lines.append("transfer-encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        head = "\r\n".join(lines).encode("latin-1", "replace")
        raw = self._prelude() + head + b"\r\n\r\n" + body
        return self._broken(raw) if chance.random() < 0.4 else raw

    def _body(self, reply: Reply) -> Reply:
        kind = self.chance.random()
        if kind < 0.65:
            return replace(reply, body=self._document())
        if kind < 0.85:
            return replace(reply, body=self._spoilt(reply.body))
        bodies = [b"", b"null", b"[]", b"{}", b"0", b'"x"', HTML, SSE, b"data: " + reply.body, reply.body * 2]
        bodies += [b"[" * 20_000, b'{"a":' * 20_000, b"9" * 5000, self.chance.randbytes(200), b"\0" * 100]
        return replace(reply, body=self.chance.choice(bodies))

    def _document(self) -> bytes:
        document = a_response()
        if self.chance.random() < 0.3:
            document |= {"status": "failed", "error": {"code": self.chance.choice(CODES), "message": "m"}}
        if self.chance.random() < 0.2:
            document = {
                "error": {"message": "m", "type": "t", "param": None, "code": self.chance.choice(CODES)}
            }
        if self.chance.random() < 0.2:
            document |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        for _ in range(self.chance.choice([0, 1, 1, 2, 4])):
            self._mutate(document)
        text = (
            json.dumps(document) if self.chance.random() < 0.9 else json.dumps(document, ensure_ascii=False)
        )
        if self.chance.random() < 0.05:
            # The first of two keys, or the last one?
            text = text.replace('"status"', f'"status": {json.dumps(self._value("status"))}, "status"', 1)
        return text.encode("utf-8", "surrogatepass")

    def _mutate(self, document: dict[str, Any]) -> None:
        node: Any = document
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                return
            key = self.chance.choice(keys)
            if not isinstance(node[key], dict | list) or not node[key] or self.chance.random() < 0.25:
                break
            node = node[key]
        how = self.chance.random()
        if how < 0.15:
            del node[key]
        elif how < 0.25:
            node[key] = self._nested(node[key])
        elif how < 0.32 and isinstance(node, list):
            node.insert(key, node[key])
        else:
            node[key] = copy.deepcopy(self._value(key))

    def _value(self, key: Any) -> Any:
        likely = LIKELY.get(key, [])
        return self.chance.choice(likely if likely and self.chance.random() < 0.6 else VALUES)

    def _nested(self, value: Any) -> Any:
        for _ in range(self.chance.choice([1, 2, 50, 300])):
            value = [value] if self.chance.random() < 0.5 else {"value": value}
        return value

    def _spoilt(self, body: bytes) -> bytes:
        place = self.chance.randrange(len(body)) if body else 0
        chance = self.chance.random()
        if chance < 0.3:
            return body[:place]
        if chance < 0.6:
            return body[:place] + self.chance.randbytes(self.chance.choice([1, 1, 3])) + body[place + 1 :]
        ways = [
            b"\xef\xbb\xbf" + body,
            body.decode("utf-8", "replace").encode("utf-16"),
            body + b"\n" + body,
            b"  " + body + b"\0",
            body.replace(b'"', b"'"),
            body.replace(b"null", b"NaN"),
            body.replace(b"100", b"1" + b"0" * 5000),
        ]
        return self.chance.choice(ways)

    def _status(self, reply: Reply) -> Reply:
        reply = replace(reply, status=self.chance.choice(STATUSES))
        # Where it says how long to wait, it is believed at these alone.
        asked = reply.status in {429, 503} or self.chance.random() < 0.1
        return self._with(reply, self.chance.choice(["retry-after", "retry-after-ms"])) if asked else reply

    def _header(self, reply: Reply) -> Reply:
        if self.chance.random() < 0.15:
            return replace(reply, encoding=self.chance.choice(ENCODINGS))
        return self._with(reply, self.chance.choice(sorted(HEADERS)))

    def _with(self, reply: Reply, name: str) -> Reply:
        others = tuple(each for each in reply.headers if each[0] != name or self.chance.random() < 0.2)
        return replace(reply, headers=(*others, (name, self.chance.choice(HEADERS[name]))))

    def _framed(self, reply: Reply) -> bytes:
        """Return the body, half of the time encoded as it says it is."""
        if self.chance.random() < 0.5:
            return reply.body
        if reply.encoding == "gzip":
            return gzip.compress(reply.body)
        return zlib.compress(reply.body) if reply.encoding == "deflate" else reply.body

    def _prelude(self) -> bytes:
        """Return what comes before the reply: now and then one or many of the kind that is no reply yet."""
        if self.chance.random() < 0.9:
            return b""
        status = self.chance.choice([b"100 Continue", b"102 Processing", b"103 Early Hints\r\nlink: </x>"])
        return b"HTTP/1.1 %s\r\n\r\n" % status * self.chance.choice([1, 2, 200])

    def _broken(self, raw: bytes) -> bytes:
        """Return it with what no client should have to read."""
        ways = [
            lambda: raw[: self.chance.randrange(len(raw))],
            lambda: raw[: raw.find(b"\r\n\r\n") + 4],
            lambda: raw.replace(
                b"HTTP/1.1", self.chance.choice([b"HTTP/9.9", b"HTTP/1.0", b"http", b"", b"ICY"]), 1
            ),
            lambda: raw.replace(b"\r\n", b"\n"),
            lambda: raw.replace(
                b"content-length: ", self.chance.choice([b"content-length: -", b"content-length: 9"])
            ),
            lambda: raw.replace(b"content-length: ", b"content-length: 5\r\ncontent-length: "),
            lambda: raw.replace(
                b"chunked\r\n\r\n", self.chance.choice([b"chunked\r\n\r\nzz", b"chunked\r\n\r\nf"])
            ),
            lambda: raw.replace(b"chunked", self.chance.choice([b"chunked, gzip", b"identity", b"x", b""])),
            lambda: raw.replace(b"\r\n", b"\r\nx-long: " + b"x" * 9000 + b"\r\n", 1),
            lambda: raw.replace(b"\r\n", b"\r\nx-many: 1" * 2000 + b"\r\n", 1),
            lambda: raw.replace(b"\r\n", b"\r\n folded\r\nno colon\r\n: empty\r\n\0\x01: x\r\n", 1),
            lambda: self.chance.randbytes(self.chance.randrange(500)),
            lambda: b"",
            lambda: raw + raw,
        ]
        return self.chance.choice(ways)()
