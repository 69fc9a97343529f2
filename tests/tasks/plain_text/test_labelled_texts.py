"""The labelled texts: ordinary ones come through, markup hardly, what is dangerous never."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tasks.plain_text.cases import (
    FILES,
    FOLDER,
    HOLDOUT,
    LABELS,
    MARKUP,
    NEVER,
    OWN,
    PLAIN,
    SHARED,
    TRICKY,
    cases,
    score,
)

CONTRACT = FOLDER.parents[2] / "shared" / "cases" / "plain_text.json"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_thresholds_are_kept(file: Path):
    judged = score(cases(file))

    assert judged.share_refused(PLAIN) <= 0.01, judged.wrong
    assert 1 - judged.share_refused(*MARKUP) <= 0.1, judged.wrong
    assert not [case for case, _ in judged.wrong if case.label in NEVER]


def test_our_own_texts_are_many_of_each_label_and_none_of_the_contracts():
    own = cases(OWN) + cases(HOLDOUT) + cases(TRICKY)
    labels = [case.label for case in own]

    assert len(own) >= 1100
    assert 0.5 < labels.count(PLAIN) / len(own) < 0.7
    assert {label for label in LABELS if labels.count(label) >= 30} == set(LABELS)
    assert not {(case.field, case.text) for case in own} & {(case.field, case.text) for case in cases(SHARED)}


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract's folder is not beside this checkout")
def test_the_contracts_texts_are_copied_unchanged():
    # But for the newline with which every file of ours ends.
    assert SHARED.read_bytes() == CONTRACT.read_bytes().rstrip() + b"\n"
