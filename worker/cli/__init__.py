"""The command `slotgen`: one file a command, heavy imports inside the commands."""

from __future__ import annotations

import sys
import traceback

import typer

from worker.cli import dead, demo, dev, kill, validate, worker
from worker.cli.refusal import Refusal


def build() -> typer.Typer:
    """Return the command-line application."""
    app = typer.Typer(
        name="slotgen",
        help="Fill content slots with OpenAI, and be able to stop it: one Redis key halts the whole fleet.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(worker.worker)
    app.command()(dev.dev)
    app.command()(demo.demo)
    app.command()(validate.validate)
    app.command()(kill.kill)
    app.add_typer(dead.app, name="dead")
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
