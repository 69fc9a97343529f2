"""The words that the worker uses are the words that the labels take; telemetry itself may not import them."""

import pytest

from gates import DIALS, GATES
from tasks.errors import ErrorCode, Status
from tasks.generate.intake import RejectReason
from telemetry.label_bounds import GEN_AI, OTHER, bounds
from worker.metrics.zero_series import label_words


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("status", [each.value for each in Status]),
        ("path", ["stub", "openai"]),
        ("error_code", ["none", *[each.value for each in ErrorCode]]),
        ("error_type", ["", "cancelled", *[each.value for each in ErrorCode]]),
        ("outcome", ["ok", "cancelled", *[each.value for each in ErrorCode]]),
        ("gate", [gate.name for gate in GATES]),
        ("reason", ["admitted", *[each.value for each in ErrorCode], *[each.value for each in RejectReason]]),
        ("control", [dial.name for dial in DIALS]),
        ("result", ["hit", "miss", "store_failed"]),
        ("gen_ai_token_type", ["input", "output"]),
        ("gen_ai_operation_name", GEN_AI[:1]),
        ("gen_ai_provider_name", GEN_AI[1:]),
    ],
)
def test_every_word_in_use_is_a_value_of_its_label(label, words):
    (bound,) = bounds((label,), label_words([]))

    assert [bound(word) for word in words] == list(words)
    assert bound("bio-cells-01") == OTHER
