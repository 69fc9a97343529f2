"""Refuses a tag that cannot be released, and prints the changelog's section for one that can."""

import argparse
import datetime as dt
import re
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


class NotReleasable(Exception):  # noqa: N818 - reads as what it is
    """The tag, the version and the changelog do not agree; the message says what to do."""


def release_notes(tag: str, version: str, changelog: str) -> str:
    """Return the text of the changelog's section for `tag`.

    Raises:
        NotReleasable: the tag is not `v` and the version, or the changelog has no dated section with entries
            for it.

    """
    if tag != f"v{version}":
        raise NotReleasable(f"the tag is {tag!r} and pyproject.toml's version {version!r}; tag v{version}")
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    section = next((each for each in sections if each.startswith(f"[{version}]")), None)
    if section is None:
        raise NotReleasable(
            f"CHANGELOG.md has no section for {version}; head one ## [{version}] - YYYY-MM-DD"
        )
    heading, _, text = section.partition("\n")
    _refuse_undated(heading, version)
    if not re.search(r"^- \S", text, flags=re.MULTILINE):
        raise NotReleasable(f"CHANGELOG.md's section for {version} has no entry; say what changed")
    return text.strip() + "\n"


def _refuse_undated(heading: str, version: str) -> None:
    date = heading.removeprefix(f"[{version}]").removeprefix(" - ").strip()
    try:
        iso = dt.date.fromisoformat(date).isoformat()
    except ValueError:
        iso = None
    if iso is None or heading != f"[{version}] - {iso}":
        raise NotReleasable(
            f"CHANGELOG.md's section for {version} is headed {heading!r}; write [{version}] - YYYY-MM-DD"
        )


def main() -> int:
    """Print the notes of the release; return 0 done, 1 refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag")
    tag = parser.parse_args().tag
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    try:
        sys.stdout.write(release_notes(tag, version, (_ROOT / "CHANGELOG.md").read_text("utf-8")))
    except NotReleasable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
