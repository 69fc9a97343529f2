"""Why a job would be generated or not: every gate's answer, the nearest rule, and what it could cost."""

import dataclasses
from dataclasses import dataclass

from gates import Controls, Decision, bucket, explain, matching_rule
from gates.rule import FIELDS
from schemas import output_type
from tasks.errors import ErrorCode, JobEnded, Status
from tasks.executor_config import ExecutorConfig
from tasks.generate.admission import Admission
from tasks.generate.job_context import JobContext
from tasks.generate.prompting import Prompts, build_request, check_length
from tasks.generate.spec import Job, Spec
from tasks.operations.money import Account, uncovered


@dataclass(frozen=True, slots=True)
class Nearest:
    """The enabled rule that fails in the fewest fields, and those fields with the job's own values."""

    rule_id: str
    failing: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of one job: `status` is STUB or FAILED with its `code`, or `generated` with None.

    `admitted_from_percent` is the smallest percentage that lets it in, 0.001 to 100. `worst_case_nano_usd` is
    for one attempt, None where no request could be built.
    """

    job_id: str
    status: str
    code: str | None
    detail: str
    gates: tuple[Decision, ...]
    bucket: int
    admitted_from_percent: float
    rule_id: str | None
    nearest: Nearest | None
    worst_case_nano_usd: int | None
    attempts: int
    pricing: str


def explanations(
    spec: Spec, controls: Controls, config: ExecutorConfig, prompts: Prompts, account: Account | None = None
) -> list[Explanation]:
    """Return an explanation for each job, in order; the answers are those of a worker with an API key.

    Each is judged by what is left of the cap of `account`; without an account, as if there were no cap.
    """
    admission = Admission(lambda _: None, has_api_key=True)
    found = [_explanation(job, admission, controls, config, prompts) for job in spec.jobs]
    return [_within(account, each) for each in found] if account else found


def _within(account: Account, each: Explanation) -> Explanation:
    worst, cap, left = each.worst_case_nano_usd, account.cap, account.left
    if each.code or worst is None or cap is None or left is None or worst <= left:
        return each
    detail = uncovered(worst, cap, cap - left)
    return dataclasses.replace(each, status=Status.STUB, code=ErrorCode.BUDGET_EXCEEDED, detail=detail)


def _explanation(
    job: Job, admission: Admission, controls: Controls, config: ExecutorConfig, prompts: Prompts
) -> Explanation:
    status, code, detail = _end(job, admission, controls, config, prompts)
    rule = matching_rule(job.subject, controls)
    own = bucket(job.job_id)
    return Explanation(
        job_id=job.job_id,
        status=status,
        code=code,
        detail=detail,
        gates=explain(job.subject, controls),
        bucket=own,
        admitted_from_percent=(own + 1) / 1000,
        rule_id=rule.id if rule else None,
        nearest=None if rule else _nearest(job, controls),
        worst_case_nano_usd=_worst_case(job, config, prompts),
        attempts=config.attempts,
        pricing=config.pricing,
    )


def _end(
    job: Job, admission: Admission, controls: Controls, config: ExecutorConfig, prompts: Prompts
) -> tuple[str, str | None, str]:
    try:
        output = admission.admit(job, JobContext(), controls)
        check_length(build_request(job, output, prompts, config), config)
    except JobEnded as end:
        return end.status.value, end.code.value, end.detail
    return "generated", None, "would be sent to the model"


def _nearest(job: Job, controls: Controls) -> Nearest | None:
    found = controls.allowlist.nearest(job.subject) if controls.allowlist else None
    if found is None:
        return None
    rule, names = found
    values = dict(zip(FIELDS, job.subject.values, strict=True))
    return Nearest(rule.id, tuple((name, values[name]) for name in names))


def _worst_case(job: Job, config: ExecutorConfig, prompts: Prompts) -> int | None:
    output = output_type(job.output_type)
    if job.mode == "verbatim" or output is None:
        return None
    request = build_request(job, output, prompts, config)
    return config.worst_case_nano_usd(request.size_bytes, request.max_output_tokens)
