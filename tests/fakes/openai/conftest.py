"""A stand-in for each test, and the real SDK to ask it with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.openai.asker import Asker
from tests.fakes.openai.server import FakeOpenAI


@pytest.fixture
def fake_openai() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture
def asker(fake_openai: FakeOpenAI) -> Asker:
    return Asker(fake_openai)
