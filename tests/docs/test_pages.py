"""Pages name files, links and targets of make that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md"), *ROOT.glob("gates/*.md")]
)
# Folders at the root by which a name in backticks is known to be a path.
FOLDERS = "gates|tasks|telemetry|schemas|worker|deploy|docs|tests|requirements|\\.github"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


# What stands for something that the reader adds, or that a script makes.
EXAMPLE = re.compile(r"[A-Z]{3,}|\.vN|hint\.v1|\.v[2-9]|^deploy/compose/secrets/")


def is_there(path: str) -> bool:
    return bool(EXAMPLE.search(path)) or (ROOT / path).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_and_link_leads_somewhere(page):
    text = page.read_text("utf-8")
    paths = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text)
    prose = re.sub(r"`[^`\n]*`", "", text)
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose)

    assert [path for path in paths if not is_there(path)] == []
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_target_of_make_exists(page):
    named = {
        target
        for words in re.findall(r"(?:`|^\$ )make ((?:[a-z-]+ ?)+)", page.read_text("utf-8"), re.MULTILINE)
        for target in words.split()
    }

    assert named - TARGETS == set()


def test_the_repository_layout_is_the_real_one():
    layout = (
        (ROOT / "docs/architecture.md").read_text("utf-8").split("## Repository layout", 1)[1].split("```")[1]
    )
    named: dict[str, list[str]] = {}
    inner: list[str] = []
    for folder, said in re.findall(r"^(\w*)/? +(.*)", layout.strip("\n"), re.MULTILINE):
        # A line without a folder goes on with the one above.
        inner = named.setdefault(folder, []) if folder else inner
        inner += re.findall(r"\b([a-z_]+)/", said)

    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert set(named) == packages | {"deploy", "docs"}
    assert [
        f"{folder}/{each}"
        for folder, inner in named.items()
        for each in inner
        if not (ROOT / folder / each).is_dir()
    ] == []
