"""Characters written as HTML writes them, read as a browser reads them."""

import re
from html import unescape

_LEADING_ZEROS = re.compile(r"&#(x?)0+(?=[0-9a-f])", re.IGNORECASE)
# Beyond Unicode. The library would read any number of digits, and Python refuses to beyond 4,300.
_TOO_LARGE = re.compile(r"&#[1-9][0-9]{7,};?")


def resolved(text: str) -> str:
    """Return `text` with its entities, with or without their semicolons, replaced by what they stand for."""
    if "&" not in text:
        return text
    return unescape(_TOO_LARGE.sub("\N{REPLACEMENT CHARACTER}", _LEADING_ZEROS.sub(r"&#\1", text)))
