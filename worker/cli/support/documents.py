"""Reads the files that commands take: job specs, policies, executor configs and texts."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gates.allowlist import parse, policy_hash
from schemas import UnacceptableJson, describe, parse_json, violations
from tasks import executor_config
from tasks.errors import InvalidMessage
from tasks.generate.prompting import Prompts
from tasks.generate.spec import Spec, refuse_unknown_types
from tasks.operations.timefmt import counted
from tasks.plain_text import FieldKind
from worker.cli.support.errors import CliError, refuses
from worker.cli.support.terminal import answer

_MAX_FILE_BYTES = 16_777_216
_SCHEMA_OF_VERSION = {"v1": "job.v1", "allowlist.v1": "allowlist.v1"}


AsField = Annotated[
    FieldKind | None,
    typer.Option(
        "--as",
        help="Treat FILE as a text, or an option, of an answer, and check whether it is plain text.",
    ),
]


def read(file: str) -> bytes:
    """Return the bytes of `file`, - being stdin. Raises CliError."""
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CliError(f"{file}: cannot be read ({error.strerror}); name a readable file or -") from None


def read_text(file: str) -> str:
    """Return what `file` says, its lines ended by a newline as an answer's are, and the last one not at all.

    How a file ends its lines is the editor's doing, and no part of the text. Raises CliError.
    """
    try:
        return read(file).decode().replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise CliError(f"{file}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def read_json(file: str) -> Any:
    """Return the document in `file`. Raises CliError."""
    with refuses(UnacceptableJson, before=f"{file}: "):
        return parse_json(read(file), max_bytes=_MAX_FILE_BYTES)


def read_valid(file: str, schema: str, remark: str = "") -> bytes:
    """Return the bytes of `file`, which follows `schema`. Raises CliError, with `remark` as its last line."""
    raw = read(file)
    _, problems = _judged(raw, schema)
    if problems:
        raise CliError("\n".join([*(f"{file}: {each}" for each in problems), remark]).rstrip())
    return raw


def read_spec(file: str) -> Spec:
    """Return the job spec in `file`. Raises CliError."""
    return Spec.of(json.loads(read_valid(file, "job.v1")))


def schema_of(file: str) -> str | None:
    """Return the schema that the document in `file` means to follow, None where it names no known one.

    Raises CliError.
    """
    return _schema_of(read_json(file))


def load_executor(path: Path | None) -> tuple[executor_config.ExecutorConfig, Prompts]:
    """Return the executor config at `path` (None: the shipped one) and its prompts. Raises CliError."""
    with refuses(executor_config.BadExecutorConfig):
        config = executor_config.load(path)
        return config, Prompts.load(config.prompts)


def check(file: str, schema: str | None, *, as_json: bool) -> None:
    """Print whether `file` follows `schema` (None: the one that it names itself); exit 1 when it does not."""
    text = read(file)
    named, problems = _judged(text, schema)
    if named == "job.v1" and not problems:
        problems = _unknown_types(json.loads(text))
    if problems and not as_json:
        raise CliError("\n".join(f"{file}: {each}" for each in problems))
    document = {"file": file, "schema": named, "valid": not problems, "problems": problems}
    answer(document, [f"{file}: is valid ({named})"], as_json=as_json)
    if problems:
        raise typer.Exit(1)


def _unknown_types(spec: dict[str, Any]) -> list[str]:
    # `slotgen explain` shows what becomes of them, so reading a spec lets them pass.
    try:
        refuse_unknown_types(spec)
    except InvalidMessage as refusal:
        return str(refusal).splitlines()
    return []


def _judged(text: bytes, schema: str | None) -> tuple[str | None, list[str]]:
    """Return `schema`, or the one that the document means to follow, and what is wrong by it."""
    try:
        document = parse_json(text, max_bytes=_MAX_FILE_BYTES)
    except UnacceptableJson as refusal:
        return schema, [str(refusal)]
    schema = schema or _schema_of(document)
    if schema is None:
        version = document.get("version")
        return None, [f"version is {version!r}; a job spec has 'v1', an allowlist 'allowlist.v1'"]
    if found := violations(schema, document, limit=20):
        return schema, describe(found).splitlines()
    # What no schema can say: fields that do not go together, names that must be unique.
    if schema == "executor.v1":
        return schema, executor_config.disagreements(document)
    if schema == "allowlist.v1":
        return schema, _repeated(document["rules"], "rules", "id")
    return schema, _repeated(document["jobs"], "jobs", "jobId") if schema == "job.v1" else []


def _repeated(items: list[dict[str, Any]], path: str, field: str) -> list[str]:
    seen: set[str] = set()
    found = []
    for index, item in enumerate(items):
        if item[field] in seen:
            found.append(f"{path}[{index}].{field}: was used before in this file; give each its own")
        seen.add(item[field])
    return found


def _schema_of(document: Any) -> str | None:
    """Return the schema that the file means to follow, or None when there is no such version."""
    if not isinstance(document, dict):
        return "job.v1"
    if "prices" in document or "attempts" in document:
        return "executor.v1"
    version = document.get("version")
    # Without a version it is most likely a job spec that forgot it; its schema says so.
    return "job.v1" if version is None else _SCHEMA_OF_VERSION.get(str(version))


def switched(policy: bytes, *, enabled: bool) -> bytes:
    """Return a valid policy enabled or not, else byte for byte: the same policy keeps its hash."""
    wanted = json.loads(policy) | {"enabled": enabled}
    found = list(re.finditer(rb'("enabled"\s*:\s*)(?:true|false)', policy))
    # Its own stands before its rules, or after them.
    for own in found[:1] + found[-1:]:
        result = policy[: own.start()] + own[1] + json.dumps(enabled).encode() + policy[own.end() :]
        if json.loads(result) == wanted:
            return result
    return json.dumps(wanted, indent=2).encode()


def described(raw: bytes | None) -> str:
    """Return a policy in few words: its hash, and how many of its rules are enabled."""
    if raw is None:
        return "absent"
    parsed = parse(raw)
    if parsed is None:
        return f"malformed ({policy_hash(raw)})"
    state = "enabled" if parsed.enabled else "disabled"
    rules = counted(sum(rule.enabled for rule in parsed.rules), "rule", of=len(parsed.rules))
    return f"{policy_hash(raw)} ({state}, {rules})"
