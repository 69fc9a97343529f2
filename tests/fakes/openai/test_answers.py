from __future__ import annotations

import json

import pytest

from schemas import output_type, output_types
from tasks.errors import ErrorCode, Failed
from tasks.generate.acceptance import accept
from tasks.ports import ModelAnswer
from tests.fakes.openai.answers import with_markdown
from worker.dev.fake_openai.content import fill


@pytest.mark.parametrize("name", output_types())
def test_the_markdown_answer_breaks_the_policy_and_nothing_else(name: str) -> None:
    output = output_type(name)
    marked = with_markdown(fill(output.wire, '{"topic": "Cell division"}'))
    text = json.dumps(marked)
    answer = ModelAnswer(text=text, refused=False, truncated=False, usage=None, request_id=None)

    with pytest.raises(Failed) as failed:
        accept(output, answer)

    assert failed.value.code is ErrorCode.OUTPUT_POLICY_VIOLATION
