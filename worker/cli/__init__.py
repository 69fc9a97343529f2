"""The command `slotgen`: one file is one command, and its folder is its panel in `--help`."""

import ast
import contextlib
import inspect
import math
import os
import re
import sys
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from worker.cli.support.errors import CliError, bug
from worker.cli.support.naming import OTHER_NAMES, as_called, command_files, own_name
from worker.cli.support.terminal import say
from worker.process.freeze_imports import freeze_imports
from worker.settings.inherited import drop_inherited


class _Context(typer.Context):
    @property
    def command_path(self) -> str:
        # What usage and the hint below an error begin with; completion goes by the program's own name.
        return own_name()


class _Commands(TyperGroup):
    """Shows the commands as their sources describe them, and imports only the one that is called.

    To import them all would take half a second, which neither `--help` nor the halt of a fleet has to spare.
    """

    context_class = _Context

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return _names()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        file = command_files().get(OTHER_NAMES.get(cmd_name, cmd_name))
        if file is None:
            return None
        panel = _described(file.with_name("__init__.py"))[1].removesuffix(".")
        return TyperCommand(cmd_name, help=as_called(_described(file)[1]), rich_help_panel=panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and (name := OTHER_NAMES.get(args[0], args[0])) in command_files():
            return args[0], _imported(name), args[1:]
        # What it suggests is made of these.
        self.commands = {name: self.get_command(ctx, name) for name in command_files()}
        return super().resolve_command(ctx, args)


def _names() -> list[str]:
    def place(file: Path) -> tuple[float, float, str]:
        return _described(file.with_name("__init__.py"))[0], _described(file)[0], file.stem

    return sorted(command_files(), key=lambda name: place(command_files()[name]))


@cache
def _described(file: Path) -> tuple[float, str]:
    """Return the ORDER in the source of a command or panel (without one: last) and its help."""
    tree = ast.parse(file.read_text("utf-8"))
    order: Any = math.inf
    text: Any = ast.get_docstring(tree)
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=file.stem):
                text = ast.get_docstring(node)
            case ast.Assign(
                [ast.Name("app")], ast.Call(keywords=[ast.keyword("help", ast.Constant(value)), *_])
            ):
                text = value
            case ast.Assign([ast.Name("ORDER")], ast.Constant(value)):
                order = value
    return order, text


def descriptions() -> dict[str, str]:
    """Return each command with the first sentence of its help, in the order of `slotgen --help`."""
    return {name: _described(command_files()[name])[1].partition("\n\n")[0] for name in _names()}


def _imported(name: str) -> Any:
    with freeze_imports():
        file = command_files()[name]
        module = import_module(f"worker.cli.commands.{file.parent.name}.{file.stem}")
    alone = typer.Typer()
    if group := getattr(module, "app", None):
        alone.add_typer(group, name=name)
    else:
        alone.command(name)(getattr(module, file.stem))
    command = get_group(alone).commands[name]
    for each in (command, *getattr(command, "commands", {}).values()):
        # Of a docstring's lines typer joins those of the first paragraph alone.
        each.help = as_called(re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(each.help or "")))
        for option in each.params:
            option.help = option.help and as_called(option.help)
    return command


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        say(f"slotgen {metadata.version('slotgen')}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None: ...


def build() -> typer.Typer:
    """Return the command-line application."""
    app = typer.Typer(
        name="slotgen",
        cls=_Commands,
        help="Fill content slots with OpenAI, and stop it at any time: one Redis key halts the whole fleet.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    return app


def main() -> None:
    """Run `slotgen`; exit 0 done, 1 refused or failed, 2 usage. No traceback reaches a person."""
    drop_inherited()
    try:
        build()()
    except CliError as refusal:
        _fail(str(refusal))
    except Exception as error:  # noqa: BLE001 - the last place where an error can become a sentence
        if isinstance(error, OSError) and (full := _refusal_of_stdout()):
            _fail(
                f"cannot write to standard output ({full.strerror}); free its disk, or give it another. "
                "What was done until then is seen with: slotgen status"
            )
        _fail(str(bug(error)))
    finally:
        if _refusal_of_stdout():
            # The interpreter would try once more to write what is left, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refusal_of_stdout() -> OSError | None:
    """Return why standard output did not take the last that was written: all is flushed at once."""
    try:
        sys.stdout.flush()
    except OSError as refusal:
        return refusal
    return None


def _fail(text: str) -> None:
    with contextlib.suppress(OSError):
        say(*text.split("\n"), err=True)
    sys.exit(1)
