"""The labelled texts, and how the detector judges them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tasks.plain_text import FieldKind, find_markup

FOLDER = Path(__file__).parents[2] / "cases"
SHARED = FOLDER / "plain_text_shared.json"  # the contract's
OWN = FOLDER / "plain_text.json"  # labelled before there was a detector
HOLDOUT = FOLDER / "plain_text_holdout.json"  # written when it was done
TRICKY = FOLDER / "plain_text_tricky.json"  # short and odd ones, tried while it was tuned
FILES = (SHARED, OWN, HOLDOUT, TRICKY)

PLAIN = "plain"
MARKUP = ("markdown", "html")
# Refused in every field, always; the second is our own label, for characters that no lesson has.
NEVER = ("active_html", "unsafe_character")
LABELS = (PLAIN, *MARKUP, *NEVER)


@dataclass(frozen=True, slots=True)
class Case:
    """A text with its label, and the rule that refused it, if one did."""

    label: str
    field: FieldKind
    subject: str
    text: str

    @property
    def refused_by(self) -> str | None:
        finding = find_markup(self.text, self.field)
        return finding.rule if finding else None


def cases(file: Path) -> list[Case]:
    return [
        Case(**case | {"field": FieldKind(case["field"])}) for case in json.loads(file.read_text("utf-8"))
    ]


@dataclass(frozen=True, slots=True)
class Score:
    """How many texts of each label were accepted and refused, and what went wrong."""

    accepted: Counter[str]
    refused: Counter[str]
    wrong: list[tuple[Case, str | None]]

    def share_refused(self, *labels: str) -> float:
        refused = sum(self.refused[each] for each in labels)
        return refused / (refused + sum(self.accepted[each] for each in labels) or 1)


def score(of: list[Case]) -> Score:
    accepted: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    wrong = []
    for case in of:
        rule = case.refused_by
        (refused if rule else accepted)[case.label] += 1
        if (rule is None) != (case.label == PLAIN):
            wrong.append((case, rule))
    return Score(accepted, refused, wrong)
