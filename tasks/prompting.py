"""Builds the one request that a job is worth: instructions from us, the job as delimited data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from schemas import OutputType
from tasks.executor_config import BadExecutorConfig, ExecutorConfig
from tasks.ports import ModelRequest
from tasks.spec import Job

OPENING = "<<<JOB_DATA"
CLOSING = "JOB_DATA>>>"


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompt text for each kind of job."""

    texts: dict[str, str]

    @classmethod
    def load(cls, names: dict[str, str]) -> Prompts:
        """Return the prompts of the files `names` (kind to file name, as in the executor config).

        Raises:
            BadExecutorConfig: a file is missing or empty.

        """
        return cls({kind: _text(kind, name) for kind, name in names.items()})


def _text(kind: str, name: str) -> str:
    file = resources.files("tasks.prompts") / f"{name}.md"
    text = file.read_text("utf-8").strip() if file.is_file() else ""
    if not text:
        raise BadExecutorConfig(
            f"prompts.{kind}: there is no prompt {name!r}; name a file of tasks/prompts without its .md"
        )
    return text


def job_key(job: Job, prompts: Prompts, config: ExecutorConfig) -> str:
    """Return the hash under which this job's answer is kept: SHA-256, 64 hex digits.

    It covers the job as sent, its `appliesTo`, the prompt's text and the executor version: whatever
    changes one of them is a new job.
    """
    identity = [job.document, job.applies_to, prompts.texts[job.kind], config.version]
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def build_request(job: Job, output: OutputType, prompts: Prompts, config: ExecutorConfig) -> ModelRequest:
    """Return the request for `job`: everything the producer wrote lies between the two delimiters."""
    instructions = f"{prompts.texts[job.kind]}\n\nThe slot asks for: {output.description}"
    input_text = f"{OPENING}\n{_as_data(job)}\n{CLOSING}"
    schema_bytes = len(json.dumps(output.wire))
    return ModelRequest(
        model=config.model,
        instructions=instructions,
        input_text=input_text,
        output_name=output.name,
        wire_schema=output.wire,
        max_output_tokens=config.max_output_tokens,
        options=config.options,
        timeout_seconds=config.request_timeout_seconds,
        size_bytes=len(instructions.encode()) + len(input_text.encode()) + schema_bytes + _ROLE_BYTES,
    )


# What the API adds around the three texts (roles, separators, the schema's own wording), with room.
_ROLE_BYTES = 1024


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
    # JSON reads \u003c as "<" again; the delimiters, which need a bare one, cannot be forged.
    return text.replace("<", "\\u003c").replace(">", "\\u003e")
