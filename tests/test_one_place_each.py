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
from worker.cli.support.dial_command import By, apply
from worker.cli.support.options import Actor, AsJson, Override, Reason


def window(
    state: Annotated[str, typer.Argument(help="open or closed")],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Open or close the window."""
    apply(
        DIAL,
        lambda _: state.encode(),
        By(f"slotgen window {state}", actor, reason, override),
        undo=lambda recorded: f"slotgen window {(recorded.before or b'closed').decode()}",
        as_json=as_json,
    )
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
METRIC_PROOF = """\
from gates import evaluate
from telemetry import Metrics
from tests.gates.given import a_subject, dials
from tests.telemetry.samples import scraped
from worker.metrics.worker_metrics import WorkerMetrics
from worker.metrics.zero_series import label_words


def test_it_is_there_at_zero_and_fed():
    metrics = Metrics(version="1", executor_version="1", words=label_words([]))
    assert "slotgen_decisions_total 0.0" in scraped(metrics)

    WorkerMetrics(metrics).decided(evaluate(a_subject(), dials()))

    assert "slotgen_decisions_total 1.0" in scraped(metrics)
"""
WHERE = '''\
"""`slotgen where`: which Redis this is."""

from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import answer


def where(*, as_json: AsJson = False) -> None:
    """Say which namespace the commands are about."""
    with open_session() as session:
        namespace = session.settings.namespace
    answer({"namespace": namespace}, namespace, as_json=as_json)
'''
WHERE_PROOF = """\
def test_it_runs_and_is_shown(slotgen):
    assert slotgen.json("where") == {"namespace": slotgen.namespace}
    code, shown = slotgen("--help")
    assert code == 0
    assert "Say which namespace the commands are about." in shown
"""
HINT_PROOF = """\
from tests.builders import a_job, a_spec
from tests.fakes.ports import FakeModel, answer
from tests.tasks.generate.use_case import UseCase

HINT = {"hint": "Look at the membrane.", "question": "What can pass it?"}


def test_a_job_of_that_type_is_completed_and_another_answer_is_not():
    spec = a_spec(a_job(output={"field": "hint", "type": "hint"}))
    good, bad = UseCase(model=FakeModel([answer(HINT)])), UseCase(model=FakeModel([answer("Look!")]))

    (result,) = good.run(spec)
    bad.run(spec)

    assert (result["status"], result["output"]) == ("COMPLETED", {"hint": HINT})
    assert bad.outcomes[0][:2] == ("FAILED", "OUTPUT_SCHEMA_INVALID")
"""
KEY_PROOF = """\
from tests.surroundings import ROOT
from worker.adapters.redis.keys import NOTES, TABLE


def test_it_is_built_documented_and_allowed():
    assert NOTES("slotgen", "job-1") == "slotgen:note:job-1"
    assert NOTES in TABLE
    assert "| `{ns}:note:{job}` | string | worker |" in (ROOT / "docs" / "redis-keys.md").read_text()
    roles = (ROOT / "deploy" / "redis" / "users.acl").read_text().splitlines()
    (worker,) = [line for line in roles if line.startswith("user worker")]
    assert "~slotgen:note:*" in worker
"""
EVENT_PROOF = """\
from tests.surroundings import ROOT


def test_it_is_documented():
    page = (ROOT / "docs" / "log-events.md").read_text()
    assert "| `settings_read` | INFO |  | the settings are sound |" in page
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
    "tests/docs/test_tables.py::test_the_error_code_table_is_the_closed_vocabulary_with_its_statuses",
    "tests/docs/test_tables.py::test_the_settings_table_is_the_settings",
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


def hint_schema() -> str:
    """Return the schema that docs/new-types.md adds."""
    page = (ROOT / "docs" / "new-types.md").read_text("utf-8")
    return re.search(r"^## The schema: .*\n\n```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1]


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


CHANGES |= {
    "a metric": Change(
        places=2,  # its row, and what feeds it
        new={},
        replaced={
            "telemetry/metrics.py": (
                (
                    '    Metric("slotgen_gate_decisions_total"',
                    (
                        '    Metric("slotgen_decisions_total", "counter", (), "decisions"),\n'
                        '    Metric("slotgen_gate_decisions_total"'
                    ),
                ),
            ),
            "worker/metrics/worker_metrics.py": (
                (
                    '"""Note which gate spoke."""\n',
                    (
                        '"""Note which gate spoke."""\n'
                        '        self.metrics.counter("slotgen_decisions_total").inc()\n'
                    ),
                ),
            ),
        },
        proof=("tests/worker/metrics/test_decisions.py", METRIC_PROOF),
        tests=("tests/telemetry", "tests/worker/metrics", "tests/docs/test_vocabulary.py"),
    ),
    "a command": Change(
        places=1,
        new={"worker/cli/commands/watching/where.py": WHERE},
        replaced={},
        proof=("tests/worker/cli/test_where.py", WHERE_PROOF),
        tests=(
            "tests/worker/cli/test_naming.py",
            "tests/docs/test_vocabulary.py",
            "tests/docs/test_tables.py::test_the_commands_table_is_the_command_line",
        ),
    ),
    "an output type": Change(
        places=1,
        new={"schemas/outputs/hint.v1.json": hint_schema()},
        replaced={},
        proof=("tests/schemas/test_hint.py", HINT_PROOF),
        tests=("tests/schemas/test_wire.py", "tests/schemas/test_lock.py", "tests/docs/test_asyncapi.py"),
    ),
    "a Redis key": Change(
        places=1,
        new={},
        replaced={
            "worker/adapters/redis/keys.py": (
                (
                    'RESULTS = Key("{ns}:results"',
                    (
                        'NOTES = Key("{ns}:note:{job}", "string", "worker", "a note", "one for each job", '
                        '"1 day", {"worker": "get set"}, 1, 64, 86_400)\nRESULTS = Key("{ns}:results"'
                    ),
                ),
            ),
        },
        proof=("tests/worker/adapters/redis/test_notes.py", KEY_PROOF),
        tests=("tests/worker/adapters/redis/test_keys.py",),
    ),
    "a log event": Change(
        places=2,  # its row, and where it happens
        new={},
        replaced={
            "telemetry/log_events.py": (
                (
                    '    LogEvent("worker_ready"',
                    (
                        '    LogEvent("settings_read", "INFO", (), "the settings are sound"),\n'
                        '    LogEvent("worker_ready"'
                    ),
                ),
            ),
            "worker/process/lifecycle.py": (
                (
                    "    configure(settings.log_level)\n",
                    '    configure(settings.log_level)\n    emit(_log, logging.INFO, "settings_read")\n',
                ),
            ),
        },
        proof=("tests/telemetry/test_settings_read.py", EVENT_PROOF),
        tests=("tests/telemetry/test_log_events.py", "tests/docs/test_vocabulary.py"),
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


@pytest.mark.thorough
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
    # A folder of its own: pytest closes the one of its user to others, and a test beside this needs it open.
    options = ("-q", "-m", "not thorough", "--basetemp", str(tmp_path / "of-the-copy"))
    run(tree, "-m", "pytest", *options, "-x", path)
    run(tree, "-m", "pytest", *options, "-n", "2", *change.tests)
    for line in re.findall(
        r"^\t\$\(BIN\)/python (\S+ --check)$", (tree / "Makefile").read_text("utf-8"), re.MULTILINE
    ):
        run(tree, *line.split())
