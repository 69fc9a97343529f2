"""The command `slotgen`: one file a command, heavy imports inside the commands."""

from __future__ import annotations

import sys
import traceback

import typer

from worker.cli import (
    allowlist,
    audit,
    budget,
    cache,
    dead,
    demo,
    dev,
    drill,
    enable,
    enqueue,
    explain,
    feature,
    kill,
    preflight,
    report,
    resume,
    rollout,
    status,
    tail,
    validate,
    webhook,
    worker,
)
from worker.cli.refusal import Refusal

_HALT, _WATCH, _OPEN, _RUN = (
    "Halt and release",
    "See what happens",
    "Change exposure, one step at a time",
    "Run",
)
# In the order in which `slotgen --help` shows them.
_COMMANDS = (
    (_HALT, kill.kill),
    (_HALT, resume.resume),
    (_HALT, drill.drill),
    (_WATCH, status.status),
    (_WATCH, explain.explain),
    (_WATCH, tail.tail),
    (_WATCH, report.report),
    (_WATCH, audit.audit),
    (_OPEN, preflight.preflight),
    (_OPEN, enable.enable),
    (_OPEN, feature.feature),
    (_OPEN, rollout.rollout),
    (_RUN, enqueue.enqueue),
    (_RUN, worker.worker),
    (_RUN, webhook.webhook),
    (_RUN, validate.validate),
    (_RUN, dev.dev),
    (_RUN, demo.demo),
)
_GROUPS = (
    (_OPEN, "allowlist", allowlist.app),
    (_OPEN, "budget", budget.app),
    (_WATCH, "cache", cache.app),
    (_WATCH, "dead", dead.app),
)


def build() -> typer.Typer:
    """Return the command-line application."""
    app = typer.Typer(
        name="slotgen",
        help="Fill content slots with OpenAI, and be able to stop it: one Redis key halts the whole fleet.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for panel, function in _COMMANDS:
        app.command(rich_help_panel=panel)(function)
    for panel, name, group in _GROUPS:
        app.add_typer(group, name=name, rich_help_panel=panel)
    return app


def main() -> None:
    """Run `slotgen`; exit 0 done, 1 refused or failed, 2 usage. No traceback reaches a person."""
    try:
        build()()
    except Refusal as refusal:
        _fail(str(refusal))
    except Exception as error:  # noqa: BLE001 - the last place where an error can become a sentence
        where = traceback.extract_tb(error.__traceback__)[-1]
        _fail(
            f"slotgen broke: {type(error).__name__} at {where.filename}:{where.lineno}; "
            "this is a bug, please report it with this line"
        )


def _fail(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.exit(1)
