"""`python -m schemas.lock`: keeps released schemas as they were released.

A producer, a consumer and a stored answer all rely on a schema that has been released. A change is a new
file with the next version, beside the old one.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from schemas.loader import is_name

FOLDER = Path(__file__).parent
_LOCK = "schemas.lock"


def problems(folder: Path = FOLDER) -> list[str]:
    """Return one line for each schema of `folder` that is changed, gone or not yet locked."""
    locked, found = _locked(folder), _digests(folder)
    new = sorted(found.keys() - locked.keys())
    return _forbidden(locked, found) + [
        f"{name}: is not locked; run `python -m schemas.lock`" for name in new
    ]


def write(folder: Path = FOLDER) -> list[str]:
    """Add the new schemas of `folder` to its lock; return the lines of `problems` that forbid it.

    When there is one, the lock stays as it is.
    """
    found = _digests(folder)
    forbidden = _forbidden(_locked(folder), found)
    if not forbidden:
        (folder / _LOCK).write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", "utf-8")
    return forbidden


def _forbidden(locked: dict[str, str], found: dict[str, str]) -> list[str]:
    changed = [_changed(name) for name in sorted(locked) if found.get(name, locked[name]) != locked[name]]
    gone = [f"{name}: is locked and gone; restore the file" for name in sorted(locked.keys() - found.keys())]
    misnamed = [
        f"{name}: is never read; name it NAME.vNUMBER.json, NAME being letters"
        for name in sorted(found)
        if not is_name(Path(name).name)
    ]
    return changed + gone + misnamed


def _changed(name: str) -> str:
    stem, version = name.removesuffix(".json").rsplit(".v", 1)
    successor = f"{stem}.v{int(version) + 1}.json"
    return f"{name}: differs from its release; restore it, and put the change into {successor}"


def _locked(folder: Path) -> dict[str, str]:
    file = folder / _LOCK
    entries: dict[str, str] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return entries


def _digests(folder: Path) -> dict[str, str]:
    files = [*folder.glob("*.json"), *folder.glob("outputs/*.json")]
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Lock new schemas, or with `--check` only look; print each problem and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.lock", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if a schema is not as locked"
    )
    checking = parser.parse_args(arguments).check
    found = problems(folder) if checking else write(folder)
    for line in found:
        sys.stderr.write(f"schemas/{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
