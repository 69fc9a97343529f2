from __future__ import annotations

import pytest

from tests.fakes.openai.http import check_key
from worker.dev.fake_openai.request import RefusedError


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer  ", "Basic abc", "Bearer wrong"])
def test_refuses_a_key_that_is_absent_blank_or_wrong(authorization: str | None) -> None:
    with pytest.raises(RefusedError) as refused:
        check_key(authorization)

    assert refused.value.status == 401


def test_accepts_any_other_key() -> None:
    check_key("Bearer anything")
