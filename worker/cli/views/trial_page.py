"""The tries of `slotgen try`: each answer with its verdict and its figures, two candidates side by side."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table

from tasks.errors import ErrorCode
from tasks.generate.spec import Job
from tasks.generate.trial import Candidate, Tried
from tasks.operations.money import usd
from tasks.operations.timefmt import counted, milliseconds, moment
from worker.cli.support.console import ContentConsole, words
from worker.cli.support.terminal import STATUS_COLOURS, fields

_BROKE_SCHEMA = {ErrorCode.OUTPUT_SCHEMA_INVALID, ErrorCode.OUTPUT_NOT_JSON, ErrorCode.OUTPUT_TRUNCATED}
_VERDICTS = {True: ("yes", "green"), False: ("NO", "red"), None: ("not judged", "dim")}
_NAMES_WIDTH = 14
# Words such as tags stand in one line.
_SHORT = 24


def document(tried: Tried) -> dict[str, Any]:
    """Return one try for a line of JSON. Of an answer that was asked for again, `answers` has each one."""
    outcome, context, config = tried.outcome, tried.context, tried.candidate.config
    fits, plain = verdicts(tried)
    return {
        "time": moment(time.time() * 1000, "milliseconds"),
        "with": tried.candidate.name,
        "executorVersion": config.version,
        "model": config.model,
        **fields(tried.job, "job_id", "kind", "output_type"),
        "try": tried.number,
        **fields(outcome, "status", "error_code"),
        "detail": None if outcome.error_code is None else context.detail,
        "fitsSchema": fits,
        "plainText": plain,
        "latencyMs": round(tried.latency_ms, 1),
        "requestMs": context.took_ms.get("request"),
        **fields(context, "attempts", "repairs", "input_tokens", "cached_input_tokens", "output_tokens"),
        "costUsd": context.cost_nano_usd / 1e9,
        "requestId": context.request_id,
        "output": outcome.output,
        "answers": tried.answers,
    }


def verdicts(tried: Tried) -> tuple[bool | None, bool | None]:
    """Return whether the last answer fits its schema, and is plain text; None for what was not judged."""
    match tried.outcome.error_code:
        case None:
            return True, True
        case ErrorCode.OUTPUT_POLICY_VIOLATION:
            return True, False
        case code:
            return False if code in _BROKE_SCHEMA else None, None


@dataclass(slots=True)
class TrialPage:
    """Draws the tries of `jobs`, in their order, as they end; all `candidates` stand side by side."""

    candidates: list[Candidate]
    jobs: InitVar[list[Job]]
    repeats: int
    tried: list[Tried] = field(default_factory=list)
    _console: ContentConsole = field(default_factory=ContentConsole)
    _to_come: dict[tuple[str, int], list[Tried]] = field(init=False)

    def __post_init__(self, jobs: list[Job]) -> None:
        self._to_come = {(each.job_id, number + 1): [] for each in jobs for number in range(self.repeats)}

    def add(self, tried: Tried) -> None:
        """Take one in; nothing is drawn."""
        self.tried.append(tried)
        self._to_come[tried.job.job_id, tried.number].append(tried)

    def draw(self, *, ended: bool = False) -> None:
        """Draw what is complete; once all has `ended`, what there is, and the sums of several tries."""
        for key, tries in list(self._to_come.items()):
            if not ended and len(tries) < len(self.candidates):
                return
            del self._to_come[key]
            if tries:
                self._console.print(self._one(tries))
        if ended and len(self.tried) > len(self.candidates):
            self._console.print(self._sums())

    def _one(self, tries: list[Tried]) -> RenderableType:
        tries.sort(key=lambda each: [candidate is not each.candidate for candidate in self.candidates])
        job, number = tries[0].job, tries[0].number
        of = f", try {number} of {self.repeats}" if self.repeats > 1 else ""
        table = self._table([each.candidate for each in tries])
        rows = [_rows(each) for each in tries]
        for name in dict.fromkeys(name for each in rows for name in each):
            table.add_row(words(name, "dim"), *(each.get(name, "") for each in rows))
        said = [dict(_texts(each)) for each in tries]
        for path in dict.fromkeys(path for each in said for path in each):
            table.add_row(words(path, "dim"), *(_lines(each.get(path, "")) for each in said))
        return Group("", words(f"{job.job_id} ({job.kind}, {job.output_type}){of}", "bold"), table)

    def _sums(self) -> RenderableType:
        table = self._table(self.candidates)
        each_of = [
            [tried for tried in self.tried if tried.candidate is candidate] for candidate in self.candidates
        ]
        counts = [Counter(_result(each) for each in tries) for tries in each_of]
        for result in dict.fromkeys(result for each in counts for result in each):
            table.add_row(words(result, "dim"), *(words(f"{each[result]}") for each in counts))
        table.add_row(words("latency", "dim"), *(words(_middle(each)) for each in each_of))
        costs = (sum(tried.context.cost_nano_usd for tried in tries) for tries in each_of)
        table.add_row(words("cost", "dim"), *(words(usd(each)) for each in costs))
        return Group("", words(f"all {len(self.tried)} tries", "bold"), table)

    def _table(self, candidates: list[Candidate]) -> Table:
        # Half of what is left, however long the words of one are: so nothing moves from try to try.
        columns = (Column(words(each.name), ratio=1, overflow="fold") for each in candidates)
        table = Table(Column(overflow="fold", width=_NAMES_WIDTH), *columns, box=None, expand=True)
        table.header_style, table.padding = "cyan", (0, 1, 0, 0)
        return table


def _rows(tried: Tried) -> dict[str, RenderableType]:
    outcome, context = tried.outcome, tried.context
    fits, plain = (_VERDICTS[each] for each in verdicts(tried))
    asked = f" in {counted(context.attempts, 'attempt')}" if context.attempts > 1 else ""
    cached = f" ({context.cached_input_tokens} cached)" if context.cached_input_tokens else ""
    return {
        "result": words(_result(tried), STATUS_COLOURS[outcome.status]),
        **({"why": words(context.detail)} if outcome.error_code and context.detail else {}),
        "fits schema": words(*fits),
        "plain text": words(*plain),
        "latency": words(milliseconds(_request_ms(tried)) + asked),
        "tokens": words(f"{context.input_tokens} in{cached}, {context.output_tokens} out"),
        "cost": words(usd(context.cost_nano_usd)),
    }


def _request_ms(tried: Tried) -> float:
    return tried.context.took_ms.get("request", 0.0)


def _result(tried: Tried) -> str:
    return f"{tried.outcome.status} {tried.outcome.error_code or ''}".rstrip()


def _middle(tries: list[Tried]) -> str:
    asked = [_request_ms(each) for each in tries if each.context.attempts]
    return f"median {milliseconds(median(asked))}" if asked else ""


def _texts(tried: Tried) -> Iterator[tuple[str, str]]:
    """Yield each text of the last answer with its path, whether or not it can be used."""
    field_name = tried.job.output_field
    if tried.outcome.output is not None:
        yield from _flat(tried.outcome.output[field_name], "", field_name)
    elif tried.answers:
        try:
            yield from _flat(json.loads(tried.answers[-1])["value"], "", field_name)
        except (ValueError, LookupError, TypeError, RecursionError):
            yield field_name, tried.answers[-1]


def _flat(value: Any, path: str, alone: str) -> Iterator[tuple[str, str]]:
    """Yield the texts in `value`; one that is `alone` has no path of its own."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(each, f"{path}.{name}".lstrip("."), alone)
    elif isinstance(value, list) and any(isinstance(each, dict) or len(str(each)) > _SHORT for each in value):
        for index, each in enumerate(value):
            yield from _flat(each, f"{path}[{index}]", alone)
    elif isinstance(value, list):
        yield path or alone, " | ".join(map(_scalar, value))
    else:
        yield path or alone, _scalar(value)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _lines(text: str) -> RenderableType:
    """Return a text in its own lines, and what cannot be seen in it written out."""
    return Group(*(words(each) for each in text.split("\n")))
