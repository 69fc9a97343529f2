"""Reads secrets that a deployment mounts as files, so that they stand in no environment."""

from pathlib import Path

from pydantic import SecretStr

# A key or a password; whatever is larger is some other file.
_MAX_BYTES = 4096


def read(path: Path) -> SecretStr:
    """Return the one line that the file at `path` holds, without the blanks around it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty, has several lines, or is no short text.

    """
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        # Its text would show a part of the secret.
        raise ValueError("not UTF-8") from None
    if not text or not text.isprintable():
        raise ValueError("not one line of text")
    return SecretStr(text)
