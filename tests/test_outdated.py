"""`make outdated` against a registry and a repository of this machine."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[1] / ".ci" / "outdated.py"


@pytest.fixture
def outdated():
    spec = importlib.util.spec_from_file_location("outdated", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub(outdated, monkeypatch):
    """A registry that answers with the tags of `tags`."""
    tags: list[dict[str, str]] = []

    class Tags(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"results": tags}).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Tags) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(outdated, "HUB", f"http://127.0.0.1:{server.server_port}/{{image}}/{{suffix}}")
        yield tags
        server.shutdown()


def pinned(outdated, image):
    (found,) = (
        each
        for each in outdated._pins(outdated.IMAGE, outdated.ROOT / "deploy/compose.yaml")
        if each["image"] == image
    )
    return found


def test_every_image_and_action_of_the_repository_is_looked_at(outdated):
    compose = (outdated.ROOT / "deploy/compose.yaml").read_text()
    workflows = "".join(path.read_text() for path in (outdated.ROOT / ".github/workflows").glob("*.yml"))

    images = outdated._pins(outdated.IMAGE, outdated.ROOT / "deploy/compose.yaml")
    actions = outdated._pins(outdated.ACTION, *(outdated.ROOT / ".github/workflows").glob("*.yml"))

    assert len(images) == len(re.findall(r"image: .*@sha256", compose))
    assert {each["action"] for each in actions} == set(re.findall(r"uses: ([\w/-]+)@", workflows))


def test_names_a_newer_release_with_its_digest_and_no_other_kind_of_tag(outdated, hub):
    hub += [
        {"name": "99.0.1-bookworm", "digest": "sha256:new"},
        {"name": "99.0.2-rc1-bookworm", "digest": "sha256:candidate"},
        {"name": "99.1-bookworm", "digest": "sha256:moving"},
    ]

    (line,) = (each for each in outdated.images() if each.startswith("redis "))

    assert line.endswith("-> 99.0.1-bookworm sha256:new")


def test_names_a_tag_that_was_built_again(outdated, hub):
    found = pinned(outdated, "grafana/grafana")
    hub.append({"name": found["version"], "digest": "sha256:again"})

    (line,) = (each for each in outdated.images() if each.startswith("grafana/grafana "))

    assert line == f"grafana/grafana {found['version']} was built again -> sha256:again"


def test_what_is_up_to_date_is_not_named(outdated, hub):
    found = pinned(outdated, "grafana/grafana")
    hub.append({"name": found["version"], "digest": found["digest"]})

    assert not [each for each in outdated.images() if each.startswith("grafana/grafana ")]


def test_names_the_commit_of_a_newer_action(outdated, monkeypatch, tmp_path):
    def git(*words):
        return subprocess.run(
            ["git", *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "--quiet")
    git(
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "one",
    )
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "tag", "-a", "-m", "one", "v99.0.0")
    monkeypatch.setattr(outdated, "GITHUB", str(tmp_path) + "{action:.0s}")

    lines = list(outdated.actions())

    assert lines
    assert all(each.endswith(f"-> 99.0.0 {git('rev-parse', 'HEAD')}") for each in lines)
