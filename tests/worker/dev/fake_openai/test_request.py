from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.openai.asker import parameters
from worker.dev.fake_openai.request import RefusedError, read_request


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
def test_refuses_a_body_that_is_no_json_object(body: bytes) -> None:
    with pytest.raises(RefusedError, match="could not parse"):
        read_request(body)


def _format(**changes: Any) -> dict[str, Any]:
    return {"text": {"format": parameters()["text"]["format"] | changes}}


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"input": ""}, "input", "missing_required_parameter"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "unknown_parameter"),
        ({"stream": True}, "stream", "unsupported_value"),
        ({"max_output_tokens": 15}, "max_output_tokens", "integer_below_min_value"),
        ({"max_output_tokens": "many"}, "max_output_tokens", "invalid_type"),
        ({"max_output_tokens": True}, "max_output_tokens", "invalid_type"),
        (_format(name="rich text"), "text.format.name", "invalid_value"),
        (_format(schema={"type": "string"}), "text.format.schema", "invalid_json_schema"),
        (_format(schema=None, strict=False), "text.format.schema", "invalid_json_schema"),
    ],
)
def test_names_the_parameter_that_is_wrong(changes: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_request(json.dumps(parameters() | changes).encode())

    assert refused.value.status == 400
    assert refused.value.document["error"]["param"] == param
    assert refused.value.document["error"]["code"] == code


def test_a_request_for_plain_text_has_no_schema() -> None:
    assert read_request(b'{"model": "m", "input": [{"role": "user", "content": "x"}]}').schema is None
