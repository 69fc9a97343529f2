"""How many files a change touches: each kind is made in a copy of the tree, whose own tests then run.

What a `Change` holds is written by hand, in as many files as its `places`; `make generate` writes the rest.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.surroundings import ROOT

_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".tools", ".*_cache", ".hypothesis", "__pycache__", "dist"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change: new files, and replacements in files that are there. `proof` tests what it does."""

    places: int
    new: Mapping[str, str]
    replaced: Mapping[str, tuple[tuple[str, str], ...]]
    proof: tuple[str, str]
    tests: tuple[str, ...]

    def make(self, tree: Path) -> None:
        assert not self.new.keys() & self.replaced.keys()
        for path, text in self.new.items():
            assert not (tree / path).exists()
            (tree / path).write_text(text, "utf-8")
        for path, replacements in self.replaced.items():
            text = (tree / path).read_text("utf-8")
            for old, new in replacements:
                assert text.count(old) == 1, (path, old)
                text = text.replace(old, new)
            (tree / path).write_text(text, "utf-8")


# A gate with a dial, a variable that restricts it, and the command that sets it.
WINDOW = '''\
"""The window: generation is for the hours in which somebody watches."""

from gates.decision import Decision, Reason, admit, deny
from gates.gate import Dial, Gate, Reading
from gates.subject import Subject


class WindowReason(Reason):
    """Nobody watches."""

    OUTSIDE_WINDOW = ("OUTSIDE_WINDOW", "nobody watches", "`slotgen window open`")


NAME = "window"
_OPEN = admit(NAME, "the window is open")


def check(subject: Subject, dial: Reading[bool]) -> Decision:
    """Let through only while the window is open."""
    del subject
    if dial.value:
        return _OPEN
    return deny(NAME, WindowReason.OUTSIDE_WINDOW, f"the window dial {dial.trouble or 'is closed'}")


DIAL = Dial(
    name="window",
    parse={b"open": True, b"closed": False}.get,
    shut=False,
    malformed=False,
    openness=float,
    shown=lambda is_open: "open" if is_open else "closed",
    opens_when="exactly `open`",
    otherwise="closed",
    remedy="set open or closed",
    command="slotgen window open",
    open_value=b"open",
    variable="SLOTGEN_AI_WINDOW",
)
GATE = Gate(NAME, "the window is open", WindowReason, check, DIAL)
'''
WINDOW_COMMAND = '''\
"""`slotgen window open|closed`: the hours in which somebody watches."""

from typing import Annotated

import typer

from gates.window import DIAL
from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, DialCommand, Override, Reason, apply, shown_text


def window(
    state: Annotated[str, typer.Argument(help="open or closed")],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Open or close the window."""
    wish = DialCommand(
        dial=DIAL,
        after=lambda _: state.encode(),
        undo=lambda recorded: f"slotgen window {(recorded.before or b'closed').decode()}",
        shown=shown_text,
        command=f"slotgen window {state}",
        reason=reason,
        actor=actor,
        override=override,
    )
    apply(wish, as_json=as_json)
'''
WINDOW_PROOF = """\
import pytest

from gates import Ceilings, evaluate
from tasks.errors import ErrorCode
from telemetry import Metrics
from tests.builders import OPEN, an_allowlist, controls
from tests.gates.given import a_subject, restricted
from tests.telemetry.samples import scraped
from worker.adapters.redis.jobs.controls import RedisControls
from worker.metrics.worker_metrics import WorkerMetrics
from worker.metrics.zero_series import create_zero_series, label_words
from worker.settings.settings import BadSetting, load


@pytest.mark.parametrize("raw", [b"closed", b"OPEN", None])
def test_it_decides_and_is_counted(raw):
    metrics = Metrics(version="1", executor_version="1", words=label_words([]))
    create_zero_series(metrics, "model", [])
    series = 'slotgen_gate_decisions_total{gate="window",reason="OUTSIDE_WINDOW"} '
    jobs = 'slotgen_jobs_total{error_code="OUTSIDE_WINDOW",path="stub",status="STUB"} '
    assert f"{series}0.0" in scraped(metrics)
    assert f"{jobs}0.0" in scraped(metrics)
    worker = WorkerMetrics(metrics)
    dials = controls(window=raw)

    decision = evaluate(a_subject(), dials)
    worker.decided(decision)
    worker.controls_read(dials, 0)

    assert (decision.gate, ErrorCode(decision.reason)) == ("window", ErrorCode.OUTSIDE_WINDOW)
    assert f"{series}1.0" in scraped(metrics)
    assert 'slotgen_control_state{control="window"} 0.0' in scraped(metrics)
    assert evaluate(a_subject(), controls()).allowed


def test_its_dial_is_read_in_the_one_mget(redis_client, namespace):
    redis_client.mset({f"{namespace}:{dial}": value for dial, value in OPEN.items()})
    redis_client.set(f"{namespace}:allowlist", an_allowlist())
    reader = RedisControls(redis_client, namespace, Ceilings(), 10, lambda *_: None)
    before = redis_client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]

    admitted = evaluate(a_subject(), reader.read())

    assert redis_client.info("commandstats")["cmdstat_mget"]["calls"] == before + 1
    assert admitted.allowed
    redis_client.set(f"{namespace}:window", "closed")
    assert evaluate(a_subject(), reader.read()).gate == "window"


def test_status_shows_it_and_a_command_sets_it(slotgen):
    slotgen.open(window="closed")

    found = slotgen.json("status")
    assert found["dials"]["window"]["effective"] == "closed"
    assert "slotgen window open" in [each["command"] for each in found["inTheWay"]]
    made = slotgen.json("window", "open", "--override", "told to")
    assert (made["before"], made["after"], made["widened"]) == ("'closed'", "'open'", ["first_opening"])
    assert slotgen.raw("window") == b"open"
    assert slotgen.json("status")["dials"]["window"]["effective"] == "open"
    assert slotgen.json("audit", "--dial", "window")[0]["command"] == "slotgen window open"


def test_the_environment_restricts_it(monkeypatch):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://127.0.0.1")
    monkeypatch.setenv("SLOTGEN_AI_WINDOW", "closed")
    assert load().ceilings == restricted(window="closed")
    monkeypatch.setenv("SLOTGEN_AI_WINDOW", "ajar")
    with pytest.raises(BadSetting, match="SLOTGEN_AI_WINDOW is 'ajar'; set open or closed, or unset it"):
        load()
"""
DRAFTS = '''\
"""Drafts: what is still being written is not generated."""

from gates.decision import Decision, Reason, admit, deny
from gates.gate import Gate, Reading
from gates.subject import Subject


class DraftReason(Reason):
    """The slot is a draft."""

    DRAFT_SLOT = ("DRAFT_SLOT", "the slot is a draft", "finish it")


NAME = "drafts"
_YES = admit(NAME, "the slot is no draft")
_NO = deny(NAME, DraftReason.DRAFT_SLOT, "the slot is a draft")


def check(subject: Subject, dial: Reading[None]) -> Decision:
    """Let through what is no draft."""
    del dial
    return _NO if subject.slot_id.startswith("draft.") else _YES


GATE = Gate(NAME, "the slot is no draft", DraftReason, check)
'''
DRAFTS_PROOF = """\
from gates import evaluate
from tasks.errors import ErrorCode
from telemetry import Metrics
from tests.gates.given import a_subject, dials
from tests.telemetry.samples import scraped
from worker.metrics.worker_metrics import WorkerMetrics
from worker.metrics.zero_series import create_zero_series, label_words


def test_it_decides_and_is_counted():
    metrics = Metrics(version="1", executor_version="1", words=label_words([]))
    create_zero_series(metrics, "model", [])
    series = 'slotgen_gate_decisions_total{gate="drafts",reason="DRAFT_SLOT"} '
    assert f"{series}0.0" in scraped(metrics)

    decision = evaluate(a_subject(slot_id="draft.intro"), dials())
    WorkerMetrics(metrics).decided(decision)

    assert (decision.gate, ErrorCode(decision.reason)) == ("drafts", ErrorCode.DRAFT_SLOT)
    assert f"{series}1.0" in scraped(metrics)
    assert evaluate(a_subject(), dials()).allowed
"""
# What a gate could break, and what one with a dial could break besides.
ABOUT_GATES = (
    "tests/gates",
    "tests/tasks/generate/test_use_case.py",
    "tests/tasks/operations",
    "tests/telemetry",
    "tests/schemas/test_lock.py",
    "tests/schemas/test_contracts.py",
    "tests/docs/test_vocabulary.py",
    "tests/docs/test_asyncapi.py::test_it_is_what_the_schemas_say",
    "tests/worker/metrics",
    "tests/test_readme.py::test_the_error_code_table_is_the_closed_vocabulary_with_its_statuses",
    "tests/test_readme.py::test_the_settings_table_is_the_settings",
)
ABOUT_DIALS = (
    "tests/worker/settings",
    "tests/worker/adapters/redis/test_keys.py",
    "tests/worker/adapters/redis/jobs/test_controls.py",
    "tests/worker/adapters/redis/jobs/test_kill_switch_watch.py",
    "tests/worker/adapters/redis/console/test_dials.py",
    "tests/worker/adapters/redis/console/test_dials_raw.py",
    "tests/worker/cli/test_changes.py",
    "tests/worker/cli/test_watching.py",
)


def listed(module: str) -> tuple[tuple[str, str], ...]:
    """Return what puts the gate of `module` at the end of the list."""
    imported = "from gates import allowlist, feature_flag, kill_switch, opt_in, rollout"
    return (
        (imported, f"{imported}, {module}"),
        ("    rollout.GATE,\n", f"    rollout.GATE,\n    {module}.GATE,\n"),
    )


CHANGES = {
    "a gate with a dial": Change(
        places=3,
        new={"gates/window.py": WINDOW, "worker/cli/commands/exposure/window.py": WINDOW_COMMAND},
        replaced={"gates/pipeline.py": listed("window")},
        proof=("tests/worker/cli/test_window.py", WINDOW_PROOF),
        tests=ABOUT_GATES + ABOUT_DIALS,
    ),
    "a gate without a dial": Change(
        places=2,
        new={"gates/drafts.py": DRAFTS},
        replaced={"gates/pipeline.py": listed("drafts")},
        proof=("tests/gates/test_drafts.py", DRAFTS_PROOF),
        tests=ABOUT_GATES,
    ),
}


def run(tree: Path, *words: str) -> str:
    """Run Python on the tree, and on nothing of ours beside it; return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tree,
        env=environment | {"PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def generate(tree: Path) -> None:
    """Do what `make generate` does."""
    recipe = re.search(r"^generate:.*\n((?:\t.*\n)+)", (tree / "Makefile").read_text("utf-8"), re.MULTILINE)
    for line in recipe[1].splitlines():
        run(tree, *line.strip().removeprefix("$(BIN)/python ").split())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_touches_as_many_files_as_promised(tmp_path, name):
    change = CHANGES[name]
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=_LEFT_OUT)

    change.make(tree)
    generate(tree)

    assert len(change.new) + len(change.replaced) == change.places
    path, text = change.proof
    (tree / path).write_text(text, "utf-8")
    assert run(tree, "-c", "import gates; print(gates.__file__)").startswith(str(tree))
    run(tree, "-m", "pytest", "-q", "-x", "-m", "not thorough", path)
    run(tree, "-m", "pytest", "-q", "-n", "2", "-m", "not thorough", *change.tests)
    for line in re.findall(
        r"^\t\$\(BIN\)/python (\S+ --check)$", (tree / "Makefile").read_text("utf-8"), re.MULTILINE
    ):
        run(tree, *line.split())
