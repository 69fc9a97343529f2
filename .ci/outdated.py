"""`make outdated`: lists the pinned packages, images and actions that have a newer release.

What cannot be asked is said, too. Exit 0 whatever is found: what is behind is news, not a failure.
"""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HUB = "https://hub.docker.com/v2/repositories/{image}/tags?page_size=100&name={suffix}"
GITHUB = "https://github.com/{action}"
SECONDS = 20
IMAGE = re.compile(
    r"(?:image: |FROM )(?P<image>[\w./-]+):v?(?P<version>[\d.]+)(?P<suffix>[\w.-]*)@(?P<digest>sha256:\w+)"
)
ACTION = re.compile(r"uses: (?P<action>[\w/-]+)@[0-9a-f]{40} # v(?P<version>[\d.]+)")


def packages() -> Iterator[str]:
    """Yield what pip says of the environment that the locks made, and npm of the documents' tools."""
    pip = [sys.executable, "-m", "pip", "list", "--outdated", "--format", "json"]
    for each in json.loads(subprocess.run(pip, check=True, capture_output=True, text=True).stdout):
        yield f"{each['name']} {each['version']} -> {each['latest_version']}"
    # npm exits 1 when something is behind.
    npm = subprocess.run(
        ["npm", "outdated", "--json"],
        cwd=ROOT / "tests/docs/node",
        check=False,
        capture_output=True,
        text=True,
    )
    for name, each in json.loads(npm.stdout or "{}").items():
        yield f"{name} {each.get('current', each['wanted'])} -> {each['latest']}"


def images() -> Iterator[str]:
    """Yield the images whose tag was moved (built again) or that has a newer release."""
    for found in _pins(IMAGE, ROOT / "deploy/compose.yaml", ROOT / "deploy/Dockerfile"):
        image, version, suffix = found["image"], found["version"], found["suffix"]
        path = image if "/" in image else f"library/{image}"
        with urllib.request.urlopen(HUB.format(image=path, suffix=suffix), timeout=SECONDS) as page:
            tags = {each["name"].removeprefix("v"): each.get("digest") for each in json.load(page)["results"]}
        released = [
            each.removesuffix(suffix) for each in tags if re.fullmatch(rf"[\d.]+{re.escape(suffix)}", each)
        ]
        newest = max(
            (each for each in released if each.count(".") == version.count(".")), key=_number, default=version
        )
        if _number(newest) > _number(version):
            yield f"{image} {version}{suffix} -> {newest}{suffix} {tags[newest + suffix]}"
        elif (now := tags.get(version + suffix)) not in {None, found["digest"]}:
            yield f"{image} {version}{suffix} was built again -> {now}"


def actions() -> Iterator[str]:
    """Yield the actions that have a newer release, with its commit."""
    for found in _pins(ACTION, *sorted((ROOT / ".github/workflows").glob("*.yml"))):
        git = ["git", "ls-remote", "--tags", GITHUB.format(action=found["action"]), "v*"]
        listed = subprocess.run(git, check=True, capture_output=True, text=True, timeout=SECONDS).stdout
        commits = {
            tag.removeprefix("refs/tags/v").removesuffix("^{}"): commit
            for commit, tag in map(str.split, listed.splitlines())
        }
        newest = max(
            (each for each in commits if re.fullmatch(r"\d+\.\d+\.\d+", each)),
            key=_number,
            default=found["version"],
        )
        if _number(newest) > _number(found["version"]):
            yield f"{found['action']} {found['version']} -> {newest} {commits[newest]}"


def _pins(form: re.Pattern[str], *files: Path) -> list[dict[str, str]]:
    return [
        dict(each)
        for each in {
            tuple(found.groupdict().items()) for file in files for found in form.finditer(file.read_text())
        }
    ]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    for listing in (packages, images, actions):
        try:
            lines = sorted(listing())
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            lines = [f"could not be asked ({type(error).__name__}: {error})"]
        print(f"{listing.__name__}: {'' if lines else 'none is behind'}", *lines, sep="\n  ")
