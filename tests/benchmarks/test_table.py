import importlib
import sys
from types import SimpleNamespace

import pytest

from tests.benchmarks import __main__ as suite
from tests.benchmarks.rig.row import Row, at_least, at_most, holds


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (at_most("halt", 100, 100, " ms"), "met"),
        (at_most("halt", 120, 100, " ms"), "missed by 20.0%"),
        (at_least("rate", 0.85, 0.85), "met"),
        (at_least("rate", 0.68, 0.85), "missed by 20.0%"),
        (holds("order", "yes", "in order", met=True), "met"),
        (holds("order", "no", "in order", met=False), "missed"),
        (Row("memory", "70 MB"), ""),
    ],
)
def test_a_verdict_comes_from_the_number_and_its_bound(row, verdict):
    assert row.verdict == verdict


def test_a_benchmark_that_breaks_keeps_its_rows_and_says_what_broke(monkeypatch, capsys):
    def run():
        yield Row("first", "1")
        raise ValueError("no machine")

    monkeypatch.setitem(suite.BENCHMARKS, "broken", "tests.benchmarks.broken")
    monkeypatch.setitem(sys.modules, "tests.benchmarks.broken", SimpleNamespace(run=run))

    assert list(suite.told("broken")) == [Row("first", "1"), Row("broken", "broke: ValueError: no machine")]
    assert "Traceback" in capsys.readouterr().err


def test_every_named_benchmark_is_there():
    for module in suite.BENCHMARKS.values():
        assert callable(importlib.import_module(module).run)
