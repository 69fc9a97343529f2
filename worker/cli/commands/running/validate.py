"""`slotgen validate`: checks a file before it is sent or set."""

from typing import Annotated

import typer

from tasks.plain_text import FieldKind, findings
from worker.cli.support.documents import AsField, check, read_text
from worker.cli.support.errors import CliError
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import answer


def validate(
    file: Annotated[
        str,
        typer.Argument(help="A job spec, an allowlist or an executor config; - is stdin.", metavar="FILE"),
    ],
    *,
    as_field: AsField = None,
    as_json: AsJson = False,
) -> None:
    """Check FILE against its locked schema; exit 1 with one line for each problem.

    With --as text, check whether FILE is plain text, as a model's answer must be.
    """
    if as_field:
        _check_text(file, as_field, as_json=as_json)
    else:
        check(file, None, as_json=as_json)


def _check_text(file: str, field: FieldKind, *, as_json: bool) -> None:
    found = list(findings(read_text(file), field))
    if found and not as_json:
        lines = [f"{file}: {each.rule} on line {each.line}" for each in found]
        raise CliError("\n".join(lines) + f"\nSee why: slotgen explain --as {field.value} {file}")
    rules = [{"rule": each.rule, "line": each.line} for each in found]
    document = {"file": file, "as": field.value, "valid": not found, "violations": rules}
    answer(document, [f"{file}: is plain text"], as_json=as_json)
    if found:
        raise typer.Exit(1)
