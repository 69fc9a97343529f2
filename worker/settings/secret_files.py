"""Reads secrets that a deployment mounts as files, so that they stand in no environment."""

import os
import stat
from pathlib import Path

from pydantic import SecretStr

# A key or a password; whatever is larger is some other file.
_MAX_BYTES = 4096


class FileSecret(SecretStr):
    """What a file holds; `exposed` says who else can read or change it, with the remedy, or is None."""

    exposed: str | None = None


def read(path: Path) -> FileSecret:
    """Return the one line that the file at `path` holds, without the blanks around it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty, has several lines, or is no short text.

    """
    whole = read_text(path, _MAX_BYTES)
    text = whole.get_secret_value().strip()
    if not text or not text.isprintable():
        raise ValueError("not one line of text")
    secret = FileSecret(text)
    secret.exposed = whole.exposed
    return secret


def read_text(path: Path, most_bytes: int) -> FileSecret:
    """Return all that the file at `path` holds.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no text, or longer than `most_bytes`.

    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        raw = file.read(most_bytes + 1)
    if len(raw) > most_bytes:
        raise ValueError(f"more than {most_bytes} bytes")
    try:
        text = FileSecret(raw.decode())
    except UnicodeDecodeError:
        # Its text would show a part of the secret.
        raise ValueError("not UTF-8") from None
    text.exposed = _exposed(path, status)
    return text


def _exposed(path: Path, status: os.stat_result) -> str | None:
    # As OpenSSH has it: who may read a file is its owner's affair, and a container's mounts are another's.
    own = status.st_uid == os.geteuid()
    open_to_others = status.st_mode & (0o077 if own else 0o022)
    if not open_to_others:
        return None
    verb = "change" if open_to_others & 0o022 else "read"
    return f"{path} has mode {stat.S_IMODE(status.st_mode):04o}, so others can {verb} it; chmod 600 {path}"
