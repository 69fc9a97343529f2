"""`slotgen validate`: says whether a file is what it means to be, before anything is sent or set."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli.support.errors import CliError, print_json

MAX_FILE_BYTES = 16_777_216
_SCHEMA_OF_VERSION = {"v1": "job.v1", "allowlist.v1": "allowlist.v1"}


class Field(StrEnum):
    """What a text would be in an answer: running text, or a short answer such as an option or a tag."""

    TEXT = "text"
    OPTION = "option"


AsField = Annotated[
    Field | None,
    typer.Option(
        "--as",
        help="Take FILE for the text, or the option, of an answer, and judge whether it is plain text.",
    ),
]


def validate(
    file: Annotated[str, typer.Argument(help="A job spec, an allowlist or an executor config; - is stdin.")],
    *,
    as_field: AsField = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check FILE against its locked schema; exit 1 with one line for each problem.

    With --as text, check whether a model may answer with it: whether it is plain text.
    """
    if as_field:
        check_text(file, as_field, as_json=as_json)
    else:
        check(file, None, as_json=as_json)


def check_text(file: str, field: Field, *, as_json: bool) -> None:
    """Print whether `file` is plain text; exit 1 with each rule that it breaks when it is not."""
    from tasks.plain_text import FieldKind, findings  # noqa: PLC0415 - heavy imports wait for the command

    found = list(findings(text_of(file), FieldKind(field.value)))
    if as_json:
        rules = [{"rule": each.rule, "line": each.line} for each in found]
        print_json({"file": file, "as": field.value, "valid": not found, "violations": rules})
    elif not found:
        typer.echo(f"{file}: is plain text")
    if found and not as_json:
        lines = [f"{file}: {each.rule} on line {each.line}" for each in found]
        raise CliError("\n".join(lines) + f"\nSee why: slotgen explain --as {field.value} {file}")
    if found:
        raise typer.Exit(1)


def text_of(file: str) -> str:
    """Return what `file` says, its lines ended by a newline as an answer's are, and the last one not at all.

    How a file ends its lines is the editor's doing, and no part of the text. Raises Refusal.
    """
    try:
        return read(file).decode().replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise CliError(f"{file}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def check(file: str, schema: str | None, *, as_json: bool) -> None:
    """Print whether `file` follows `schema` (None: the one that it names itself); exit 1 when it does not."""
    text = read(file)
    named = schema or schema_of(text)
    problems = problems_of(text, schema)
    if as_json:
        print_json({"file": file, "schema": named, "valid": not problems, "problems": problems})
    elif not problems:
        typer.echo(f"{file}: is valid ({named})")
    if problems and not as_json:
        raise CliError("\n".join(f"{file}: {each}" for each in problems))
    if problems:
        raise typer.Exit(1)


def read(file: str) -> bytes:
    """Return the bytes of `file`, - being stdin. Raises Refusal."""
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CliError(f"{file}: cannot be read ({error.strerror}); name a readable file or -") from None


def schema_of(text: bytes) -> str | None:
    """Return the schema that the document means to follow, or None when it is nobody's."""
    from schemas import UnacceptableJson, parse_json  # noqa: PLC0415 - heavy imports wait for the command

    try:
        return _schema_of(parse_json(text, max_bytes=MAX_FILE_BYTES))
    except UnacceptableJson:
        return None


def problems_of(text: bytes, schema: str | None) -> list[str]:
    """Return what is wrong with the document by `schema`, or by the one that it names itself."""
    from schemas import UnacceptableJson, describe, parse_json, violations  # noqa: PLC0415 - waits for the command

    try:
        document = parse_json(text, max_bytes=MAX_FILE_BYTES)
    except UnacceptableJson as refusal:
        return [str(refusal)]
    named = schema or _schema_of(document)
    if named is None:
        version = document.get("version")
        return [f"version is {version!r}; a job spec has 'v1', an allowlist 'allowlist.v1'"]
    found = violations(named, document, limit=20)
    return describe(found).splitlines() if found else _beyond_the_schema(named, document)


def _beyond_the_schema(schema: str, document: dict[str, Any]) -> list[str]:
    """Return what no schema can say: names that must be unique."""
    if schema == "allowlist.v1":
        return _repeated(document["rules"], "rules", "id")
    return _repeated(document["jobs"], "jobs", "jobId") if schema == "job.v1" else []


def _repeated(items: list[dict[str, Any]], path: str, field: str) -> list[str]:
    seen: set[str] = set()
    problems = []
    for index, item in enumerate(items):
        if item[field] in seen:
            problems.append(f"{path}[{index}].{field}: was used before in this file; give each its own")
        seen.add(item[field])
    return problems


def _schema_of(document: Any) -> str | None:
    """Return the schema that the file means to follow, or None when its version is nobody's."""
    if not isinstance(document, dict):
        return "job.v1"
    if "prices" in document or "attempts" in document:
        return "executor.v1"
    version = document.get("version")
    # Without a version it is most likely a job spec that forgot it; its schema says so.
    return "job.v1" if version is None else _SCHEMA_OF_VERSION.get(str(version))
