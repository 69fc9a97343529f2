"""`slotgen explain`: why each job of a spec would be generated or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.commands.running import validate as validation
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.dial_command import AsJson
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.terminal import escape_control

if TYPE_CHECKING:
    from gates import Controls, Decision
    from tasks.operations.explanation import CostModel, Explanation
    from worker.settings.settings import Settings

ORDER = 2


def explain(
    file: Annotated[str, typer.Argument(help="A job spec, or with --as a text; - is stdin.", metavar="FILE")],
    *,
    as_field: validation.AsField = None,
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
    """Show every gate's answer to each job of FILE, by the dials of this moment. Nothing is sent.

    With --as text, show what a model may not answer FILE for: each rule of plain text that it breaks, and why
    there is that rule. Exit 0 when FILE can be judged, whatever the answers are.
    """
    if as_field:
        _explain_text(file, as_field, as_json=as_json)
        return
    from tasks.generate.spec import Spec  # noqa: PLC0415
    from tasks.operations.explanation import explanations  # noqa: PLC0415 - heavy imports wait for the command

    text = validation.read(file)
    problems = validation.problems_of(text, "job.v1")
    if problems:
        raise CliError("\n".join(f"{file}: {each}" for each in problems))
    dials = _offline(controls) if controls else _live(load_settings())
    found = explanations(Spec.of(json.loads(text)), dials, _worth(offline=controls is not None))
    if as_json:
        print_json([_document(each) for each in found])
        return
    typer.echo("\n\n".join("\n".join(_lines(each)) for each in found))


def _explain_text(file: str, field: validation.Field, *, as_json: bool) -> None:
    from tasks.plain_text import RULES, FieldKind, findings  # noqa: PLC0415 - heavy imports wait for the command

    rules = {rule.name: rule for rule in RULES}
    found = [(each, rules[each.rule]) for each in findings(validation.text_of(file), FieldKind(field.value))]
    if as_json:
        print_json(
            [
                {
                    "rule": rule.name,
                    "line": each.line,
                    "reason": rule.reason,
                    "refused": rule.refused,
                    "accepted": rule.accepted,
                }
                for each, rule in found
            ]
        )
        return
    if not found:
        typer.echo(f"{file}: is plain text; an answer may say it as it stands")
    for each, rule in found:
        typer.echo(f"{typer.style(rule.name, fg='yellow')} on line {each.line}: {rule.reason}")
        typer.echo(f"  refused   {_one_line(rule.refused)}\n  accepted  {_one_line(rule.accepted)}")


def _one_line(text: str) -> str:
    return escape_control(text.replace("\n", " / "))


def _live(settings: Settings) -> Controls:
    """Return the dials as a worker with these settings reads them; a Redis that is away is an answer, too."""
    from worker.adapters.redis.jobs.controls import RedisControls  # noqa: PLC0415 - heavy imports wait for the command

    deadline_seconds = settings.control_read_timeout_ms / 1000
    with open_redis(settings) as client:
        # The first command pays for the connection, which a worker has long opened.
        reader = RedisControls(
            client, settings.namespace, settings.ceilings, deadline_seconds, lambda *_: None
        )
        reader.read()
        return reader.read()


def _offline(file: str) -> Controls:
    from gates import DIALS, Ceilings, Controls  # noqa: PLC0415 - heavy imports wait for the command
    from schemas import UnacceptableJson, parse_json  # noqa: PLC0415

    try:
        document = parse_json(validation.read(file), max_bytes=validation.MAX_FILE_BYTES)
    except UnacceptableJson as refusal:
        raise CliError(f"{file}: {refusal}") from None
    names = [dial.name for dial in DIALS]
    if not isinstance(document, dict) or document.keys() - names:
        raise CliError(f"{file}: is no set of dials; give a JSON object with some of {', '.join(names)}")
    return Controls.parse({name: _raw(value) for name, value in document.items()}, Ceilings())


def _raw(value: Any) -> bytes | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode()
    return json.dumps(value).encode()


def _worth(*, offline: bool) -> CostModel:
    from tasks import executor_config  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.generate.prompting import Prompts  # noqa: PLC0415
    from tasks.operations.explanation import CostModel  # noqa: PLC0415

    try:
        config = executor_config.load(None if offline else load_settings().executor_config)
        return CostModel(config, Prompts.load(config.prompts))
    except executor_config.BadExecutorConfig as error:
        raise CliError(str(error)) from None


def _lines(each: Explanation) -> list[str]:
    return [
        _headline(each),
        *(_gate(gate) for gate in each.gates),
        *_nearest(each),
        f"  bucket {each.bucket}: inside from {each.admitted_from_percent:.3f} % on",
        *_cost(each),
    ]


def _headline(each: Explanation) -> str:
    name = typer.style(escape_control(each.job_id), bold=True)
    if each.code is None:
        return f"{name}: would be generated (rule {escape_control(each.rule_id or '')})"
    colour = "yellow" if each.status == "STUB" else "red"
    verdict = typer.style(f"{each.status} {each.code}", fg=colour)
    return f"{name}: {verdict}: {escape_control(each.detail)}"


def _gate(gate: Decision) -> str:
    word = typer.style("yes", fg="green") if gate.allowed else typer.style("no ", fg="yellow")
    return f"  {gate.gate:<9} {word} {escape_control(gate.detail)}"


def _nearest(each: Explanation) -> list[str]:
    if each.nearest is None:
        return []
    failing = ", ".join(f"{name} lacks {value!r}" for name, value in each.nearest.failing)
    return [f"  nearest   rule {escape_control(each.nearest.rule_id)}: {failing or 'its policy is disabled'}"]


def _cost(each: Explanation) -> list[str]:
    if each.worst_case_nano_usd is None:
        return ["  costs nothing"]
    usd = each.worst_case_nano_usd / 1e9
    return [f"  costs at most ${usd:.6f} a request, ${usd * each.attempts:.6f} with {each.attempts} attempts"]


def _document(each: Explanation) -> dict[str, Any]:
    return {
        "jobId": each.job_id,
        "status": each.status,
        "errorCode": each.code,
        "detail": each.detail,
        "gates": [
            {
                "gate": gate.gate,
                "allowed": gate.allowed,
                "reason": gate.reason.value if gate.reason else None,
                "detail": gate.detail,
            }
            for gate in each.gates
        ],
        "bucket": each.bucket,
        "admittedFromPercent": each.admitted_from_percent,
        "ruleId": each.rule_id,
        "nearest": each.nearest
        and {
            "ruleId": each.nearest.rule_id,
            "failing": [{"field": name, "value": value} for name, value in each.nearest.failing],
        },
        "worstCaseUsd": None if each.worst_case_nano_usd is None else each.worst_case_nano_usd / 1e9,
        "attempts": each.attempts,
    }
