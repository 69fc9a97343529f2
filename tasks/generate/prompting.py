"""Builds the request for a job: instructions from us, and the job as delimited data."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from schemas import OutputType, output_type, output_types
from tasks.errors import ErrorCode, Stubbed
from tasks.executor_config import BadExecutorConfig, ExecutorConfig
from tasks.generate.spec import Job
from tasks.ports import ModelRequest

OPENING = "<<<JOB_DATA"
CLOSING = "JOB_DATA>>>"
_POLICY = "plain_text.v1"
# What the API adds around the three texts (roles, separators, its wording of the schema), with some to spare.
_ROLE_BYTES = 1024
_OUTPUT_PROMPT = re.compile(r"([A-Za-z]+)\.v([1-9][0-9]*)\.md")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompt text for each kind of job, and what is added to it.

    `policy` asks every kind for plain text, in the words of the rules that judge the answer; `outputs` has
    what each output type adds.
    """

    texts: dict[str, str]
    policy: str
    outputs: dict[str, str]

    @classmethod
    def load(cls, names: dict[str, str]) -> Prompts:
        """Return the prompts of the files `names` (kind to file name, as in the executor config).

        Those of output types are found by their names, the newest version of each.

        Raises:
            BadExecutorConfig: a file is missing or empty.

        """
        texts = {kind: _text(kind, name) for kind, name in names.items()}
        return cls(texts, _text("plain text", _POLICY), _output_prompts())

    def instructions(self, kind: str, output: OutputType | None) -> str:
        """Return the instructions to the model for a job of `kind` for `output`."""
        own = self.outputs.get(output.name, "") if output else ""
        return "\n\n".join(part for part in (self.texts[kind], self.policy, own) if part)


def _output_prompts() -> dict[str, str]:
    folder = resources.files("tasks.prompts") / "outputs"
    files = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    newest: dict[str, int] = {}
    for file in (each for each in files if each.endswith(".md")):
        match = _OUTPUT_PROMPT.fullmatch(file)
        if match is None or match[1] not in output_types():
            raise BadExecutorConfig(
                f"tasks/prompts/outputs/{file}: is never read; name it TYPE.vNUMBER.md, where TYPE is one of "
                f"{', '.join(output_types())}"
            )
        newest[match[1]] = max(int(match[2]), newest.get(match[1], 0))
    return {name: _text(name, f"outputs/{name}.v{version}") for name, version in newest.items()}


def _text(kind: str, name: str) -> str:
    file = resources.files("tasks.prompts").joinpath(f"{name}.md")
    text = file.read_text("utf-8").strip() if file.is_file() else ""
    if not text:
        raise BadExecutorConfig(
            f"prompts.{kind}: there is no prompt {name!r}; name a file of tasks/prompts without its .md"
        )
    return text


def job_key(job: Job, prompts: Prompts, config: ExecutorConfig) -> str:
    """Return the hash under which this job's answer is kept: SHA-256, 64 hex digits.

    It covers the job as sent, its `appliesTo`, the prompt text and the executor version: a change in any of
    them makes a new job. So does moderation, whatever the version.
    """
    instructions = prompts.instructions(job.kind, output_type(job.output_type))
    identity = [job.document, job.applies_to, instructions, config.version]
    if config.moderation:
        identity.append(config.moderation)
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def build_request(job: Job, output: OutputType, prompts: Prompts, config: ExecutorConfig) -> ModelRequest:
    """Return the request for `job`: everything the producer wrote lies between the two delimiters."""
    instructions = f"{prompts.instructions(job.kind, output)}\n\nThe slot asks for: {output.description}"
    input_text = f"{OPENING}\n{_as_data(job)}\n{CLOSING}"
    sizes = map(len, (instructions.encode(), input_text.encode(), json.dumps(output.wire)))
    return ModelRequest(
        model=config.model,
        instructions=instructions,
        input_text=input_text,
        output_name=output.name,
        wire_schema=output.wire,
        max_output_tokens=config.max_output_tokens,
        options=config.options,
        timeout_seconds=config.request_timeout_seconds,
        size_bytes=sum(sizes) + _ROLE_BYTES,
    )


def check_length(request: ModelRequest, config: ExecutorConfig) -> None:
    """Raise Stubbed if `request` may have more input tokens than the config allows, one for each byte."""
    limit, size = config.max_input_tokens, request.size_bytes
    if size > limit:
        raise Stubbed(
            ErrorCode.INPUT_TOO_LONG,
            f"the request has {size} bytes, each of which may be an input token, and "
            f"maxInputTokens is {limit}; shorten input and sources by {size - limit} bytes (UTF-8), or "
            "raise maxInputTokens in the executor config",
        )


def repair_request(request: ModelRequest, problem: str) -> ModelRequest:
    """Return `request` again, now saying what was wrong with the last answer: `problem` quotes no content."""
    note = (
        f"\n\nYour last answer could not be used. {problem}. Write the whole answer again without that, and "
        "keep to everything above."
    )
    return replace(
        request,
        instructions=request.instructions + note,
        size_bytes=request.size_bytes + len(note.encode()),
    )


def _as_data(job: Job) -> str:
    """Return the job as one JSON document in which the delimiters cannot occur."""
    fields: dict[str, Any] = {
        "appliesTo": job.applies_to,
        "slotId": job.slot_id,
        "kind": job.kind,
        "outputType": job.output_type,
        "input": job.document["input"],
        "sources": job.document["sources"],
    }
    text = json.dumps(fields, ensure_ascii=False, indent=1)
    # JSON turns \u003c back into "<", but the delimiters need a literal one, so they cannot be forged.
    return text.replace("<", "\\u003c").replace(">", "\\u003e")
