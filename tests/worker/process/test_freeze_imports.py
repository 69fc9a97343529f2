"""Keeps the collector away: nothing is collected meanwhile, and what is there at the end is never walked."""

from __future__ import annotations

import gc

import pytest

from worker.process.freeze_imports import freeze_imports


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()
    gc.enable()


def test_collects_nothing_meanwhile_and_walks_none_of_it_afterwards():
    with freeze_imports():
        kept = [[] for _ in range(1000)]
        meanwhile = gc.isenabled()

    assert (meanwhile, gc.isenabled()) == (False, True)
    assert gc.get_freeze_count() >= 1000
    assert not any(each is kept for each in gc.get_objects())


def test_collects_again_after_a_failure():
    with pytest.raises(ImportError), freeze_imports():
        raise ImportError

    assert gc.isenabled()
