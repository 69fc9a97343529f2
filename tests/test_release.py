"""What the release workflow refuses, and what a release names its version in."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / ".ci" / "release_notes.py"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SOUND = """# Changelog

## [Unreleased]

- Not yet.

## [1.2.0] - 2026-11-30

### Added

- A thing.

## [1.1.0] - 2026-10-01

- An older thing.
"""


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("release_notes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_prints_the_section_of_the_tag_and_no_other(script):
    assert script.release_notes("v1.2.0", "1.2.0", SOUND) == "### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "changed", "said"),
    [
        ("v1.3.0", {}, "the tag is 'v1.3.0' and pyproject.toml's version '1.2.0'"),
        ("1.2.0", {}, "tag v1.2.0"),
        ("v1.2.0", {"[1.2.0]": "[1.2.0rc1]"}, "no section for 1.2.0"),
        ("v1.2.0", {"[1.2.0] - 2026-11-30": "[1.2.0]"}, "is headed '[1.2.0]'"),
        ("v1.2.0", {"2026-11-30": "Unreleased"}, "is headed '[1.2.0] - Unreleased'"),
        ("v1.2.0", {"2026-11-30": "2026-11-31"}, "write [1.2.0] - YYYY-MM-DD"),
        ("v1.2.0", {"2026-11-30": "20261130"}, "write [1.2.0] - YYYY-MM-DD"),
        ("v1.2.0", {"- A thing.\n": ""}, "has no entry"),
    ],
)
def test_refuses_a_release_that_does_not_agree_with_itself(script, tag, changed, said):
    changelog = SOUND
    for old, new in changed.items():
        changelog = changelog.replace(old, new)

    with pytest.raises(script.NotReleasable, match=re.escape(said)):
        script.release_notes(tag, "1.2.0", changelog)


def test_a_tag_of_another_version_ends_the_workflow_with_its_reason():
    done = subprocess.run([sys.executable, SCRIPT, "v9.9.9"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert f"pyproject.toml's version '{VERSION}'" in done.stderr


def test_what_deploys_this_version_names_it():
    named = {
        "deploy/Dockerfile": rf'--tag slotgen:{VERSION} .*image\.version="{VERSION}"',
        "deploy/compose.yaml": rf"image: slotgen:{VERSION}\n",
        "deploy/kubernetes/kustomization.yaml": rf"newTag: {VERSION}\n",
    }

    missing = [
        file for file, line in named.items() if not re.search(line, (ROOT / file).read_text(), re.DOTALL)
    ]

    assert missing == []


def test_the_release_is_checked_before_it_is_built_and_only_its_last_job_may_write():
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    steps = [step["run"] for step in build["steps"] if "run" in step]

    assert steps == [
        'python .ci/release_notes.py "$GITHUB_REF_NAME" > release-notes.md',
        "bash .ci/run",
        "make dist",
    ]
    assert workflow["permissions"] == {}
    assert (build["permissions"], publish["permissions"]) == ({"contents": "read"}, {"contents": "write"})
    # The job that may write has no checkout, so no code of the repository.
    assert [step["uses"].split("@")[0] for step in publish["steps"] if "uses" in step] == [
        "actions/download-artifact"
    ]
