"""How a person calls this program, so that every command it prints can be copied and run."""

import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

OTHER_NAMES = {"halt": "kill"}


@cache
def command_files() -> dict[str, Path]:
    """Return the source of each command by its name."""
    folder = Path(__file__).parents[1] / "commands"
    # `try` is a word of Python's: its file and function end in an underscore.
    return {file.stem.removesuffix("_"): file for file in folder.glob("*/[!_]*.py")}


@cache
def own_name() -> str:
    """Return what to type for this program where it was called: `slotgen` if that is on the PATH."""
    called = Path(sys.argv[0])
    on_path = shutil.which("slotgen")
    if called.name != "slotgen" or (on_path and called.samefile(on_path)):
        return "slotgen"
    whole, here = called.absolute(), Path.cwd()
    near = f"./{whole.relative_to(here)}" if whole.is_relative_to(here) else str(whole)
    # A shell looks for a name without a slash on the PATH alone.
    return shlex.quote(near if near == "./slotgen" else near.removeprefix("./"))


def as_called(text: str) -> str:
    """Return `text` with every command of this program as it is typed here.

    Sources say `slotgen status`; in a clone, or an environment that is not activated, that is not found.
    """
    return re.sub(rf"(?<![\w./-])slotgen(?={_subcommand()})", lambda _: own_name(), text)


def command_form() -> str:
    """Return a regular expression of a command at the end of a line, of this program or of redis-cli."""
    return rf"(?:redis-cli|(?:'/[^']*/slotgen'|\S*slotgen)(?={_subcommand()})) .*"


@cache
def _subcommand() -> str:
    return rf" (?:{'|'.join([*command_files(), *OTHER_NAMES, '--help'])})(?![\w-])"
