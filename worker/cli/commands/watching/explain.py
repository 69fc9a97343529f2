"""`slotgen explain`: why each job of a spec would be generated or not."""

import contextlib
import json
from typing import Annotated, Any

import typer

from gates import DIALS, Ceilings, Controls
from tasks.errors import StoreUnavailable
from tasks.operations.explanation import Explanation, explanations
from tasks.operations.money import Account, usd
from tasks.operations.visible import visible
from tasks.plain_text import RULES, FieldKind, findings
from worker.adapters.redis.console.account import RedisAccount
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.documents import AsField, load_executor, read_json, read_spec, read_text
from worker.cli.support.errors import CliError
from worker.cli.support.explaining import explain_job, gate_lines, live_controls
from worker.cli.support.naming import as_called
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import answer, fields, styled
from worker.settings.settings import Settings

ORDER = 2


def explain(
    file: Annotated[
        str | None, typer.Argument(help="A job spec, or a text with --as; - is stdin.", metavar="FILE")
    ] = None,
    *,
    job: Annotated[
        str | None, typer.Option(help="Instead of FILE: the jobId of an earlier job.", metavar="ID")
    ] = None,
    as_field: AsField = None,
    controls: Annotated[
        str | None,
        typer.Option(
            help='Offline: a JSON object with the dials\' values, such as {"kill": "false", …}; absent ones '
            "are absent keys, and the allowlist may be an object.",
            metavar="FILE",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every gate's decision on each job of FILE, with the dials as they are now. Nothing is sent.

    With --job, show what was decided on that job (from the history), and what would be decided now. With
    --as text, show each plain-text rule that FILE breaks, and the reason for the rule. Exit 0 if FILE can be
    judged, whatever the result.
    """
    if (file is None) == (job is None):
        raise typer.BadParameter("name a FILE, or --job ID, and not both")
    if file is None:
        explain_job(str(job), as_json=as_json)
        return
    if as_field:
        _explain_text(file, as_field, as_json=as_json)
        return
    spec = read_spec(file)
    settings = None if controls else load_settings()
    dials = live_controls(settings) if settings else _offline(str(controls))
    executor = load_executor(settings.executor_config if settings else None)
    found = explanations(spec, dials, *executor, _account(settings) if settings else None)
    answer([_document(each) for each in found], _paragraphs(found), as_json=as_json)


def _explain_text(file: str, field: FieldKind, *, as_json: bool) -> None:
    rules = {rule.name: rule for rule in RULES}
    found = [(each.line, rules[each.rule]) for each in findings(read_text(file), field)]
    documents = [
        {
            "rule": rule.name,
            "line": line,
            "reason": rule.reason,
            "refused": rule.refused,
            "accepted": rule.accepted,
        }
        for line, rule in found
    ]
    lines: list[str] = []
    for line, rule in found:
        lines.append(styled(rule.name, "yellow") + f" on line {line}: {rule.reason}")
        lines += [f"  refused   {_one_line(rule.refused)}", f"  accepted  {_one_line(rule.accepted)}"]
    fine = f"{file}: is plain text; an answer may say it as it stands"
    answer(documents, lines or [fine], as_json=as_json)


def _one_line(text: str) -> str:
    return text.replace("\n", " / ")


def _account(settings: Settings) -> Account | None:
    with open_redis(settings) as client, contextlib.suppress(StoreUnavailable):
        return RedisAccount.of_fleet(client, settings).read()
    return None


def _offline(file: str) -> Controls:
    document = read_json(file)
    names = [dial.name for dial in DIALS]
    if not isinstance(document, dict) or document.keys() - names:
        raise CliError(f"{file}: is no set of dials; give a JSON object with some of {', '.join(names)}")
    return Controls.parse({name: _raw(value) for name, value in document.items()}, Ceilings())


def _raw(value: Any) -> bytes | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def _paragraphs(found: list[Explanation]) -> list[str]:
    return [line for each in found for line in ("", *_lines(each))][1:]


def _lines(each: Explanation) -> list[str]:
    verdict = visible(f"would be generated (rule {each.rule_id})")
    if each.code is not None:
        colour = "yellow" if each.status == "STUB" else "red"
        verdict = styled(f"{each.status} {each.code}", colour) + as_called(f": {each.detail}")
    lines: list[str] = [styled(each.job_id, bold=True) + ": " + verdict]
    lines += gate_lines(each.gates)
    if each.nearest is not None:
        failing = ", ".join(f"{field} lacks {value!r}" for field, value in each.nearest.failing)
        lines.append(f"  nearest   rule {each.nearest.rule_id}: {failing or 'its policy is disabled'}")
    lines.append(f"  bucket {each.bucket}: inside from {each.admitted_from_percent:.3f} % on")
    if each.worst_case_nano_usd is None:
        lines.append("  costs nothing")
    else:
        worst = each.worst_case_nano_usd
        all_attempts = f"{usd(worst * each.attempts)} with {each.attempts} attempts"
        lines.append(f"  costs at most {usd(worst)} a request, {all_attempts}")
        lines.append(f"  ({each.pricing}; reserved at the dearest tier)")
    return lines


def _document(each: Explanation) -> dict[str, Any]:
    names = (
        "job_id",
        "status",
        "detail",
        "bucket",
        "admitted_from_percent",
        "rule_id",
        "attempts",
        "pricing",
    )
    return fields(each, *names) | {
        "errorCode": each.code,
        "gates": [fields(gate, "gate", "allowed", "reason", "detail") for gate in each.gates],
        "nearest": each.nearest
        and {
            "ruleId": each.nearest.rule_id,
            "failing": [{"field": name, "value": value} for name, value in each.nearest.failing],
        },
        "worstCaseUsd": None if each.worst_case_nano_usd is None else each.worst_case_nano_usd / 1e9,
    }
