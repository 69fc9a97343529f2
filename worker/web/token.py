"""What a token must be, and whether one was sent."""

import hmac
import math

_MIN_TOKEN_BITS = 128
_MIN_DIFFERENT = 8


def weakness(token: str) -> str | None:
    """Return why `token` could be guessed, or None.

    A random token has 6 bits a character (Base64), 4 where all are hexadecimal digits, 3.3 where all are
    decimal ones; a repeated one has fewer, whatever its length.
    """
    if len(set(token)) < _MIN_DIFFERENT:
        return f"{len(set(token))} different characters"
    hexadecimal = set(token.lower()) <= set("0123456789abcdef")
    each = math.log2(10) if token.isdecimal() else 4 if hexadecimal else 6
    bits = int(len(token) * each)
    return None if bits >= _MIN_TOKEN_BITS else f"{bits} bits at the most, {_MIN_TOKEN_BITS} are needed"


def is_token(token: str, authorization: str) -> bool:
    """Whether a header `Authorization`, its bytes read as Latin-1, has `token` as its Bearer."""
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and same(given.strip().encode("latin-1", "replace"), token)


def same(sent: bytes, token: str) -> bool:
    """Whether they are the same, in the time of a full comparison: no token is found letter by letter."""
    return hmac.compare_digest(sent, token.encode())
