"""The jobs that `slotgen preflight` and `slotgen drill` send, recognised by their names."""

import re
import uuid

from gates import Subject

_NAME = re.compile(r"(?:probe|drill)-[0-9a-f]{12}")


def probe_name(command: str) -> str:
    """Return a new jobId for a job of `probe` or `drill`."""
    return f"{command}-{uuid.uuid4().hex[:12]}"


def is_probe(subject: Subject) -> bool:
    """Whether the job is one of them."""
    return _NAME.fullmatch(subject.job_id) is not None
