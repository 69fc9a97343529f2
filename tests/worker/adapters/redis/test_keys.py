"""The table of keys is the only place that names them, and what is made from it is up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import worker
from gates import DIALS
from tasks.operations.changes.dials import OPERATED
from worker.adapters.redis import keys
from worker.adapters.redis.dial_keys import DIAL_KEYS, TABLE, dial_keys

ROOT = Path(worker.__file__).parents[1]
# A key that is put together from a namespace, or Celery's prefix; a pattern for SCAN is none.
BUILT = re.compile(r"\{[\w.]*(?:namespace|queue|ns)\}(?::(?!\*)|\\x06)|celery-task-meta-|_kombu\.")


def test_the_page_and_the_roles_are_what_the_table_makes_them():
    script = ROOT / "deploy/redis/generate.py"
    subprocess.run([sys.executable, script, "--check"], env={"PYTHONPATH": str(ROOT)}, check=True)


@pytest.mark.parametrize("line", ['f"{self.namespace}:kill"', 'f"{queue}:x"', 'f"celery-task-meta-{each}"'])
def test_a_key_built_by_hand_is_noticed(line):
    assert BUILT.search(line)


def test_no_other_file_builds_a_key():
    elsewhere = {
        f"{path.relative_to(ROOT)}:{number}"
        for package in ("gates", "tasks", "telemetry", "worker")
        for path in (ROOT / package).rglob("*.py")
        if path != Path(keys.__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if BUILT.search(line)
    }

    assert elsewhere == set()


def test_the_table_has_every_key_of_the_module_once():
    listed = [each for each in vars(keys).values() if isinstance(each, keys.Key)]
    assert (
        {id(each) for each in TABLE if each not in DIAL_KEYS.values()}
        < set(map(id, listed))
        <= set(map(id, TABLE))
    )
    assert len({(key.pattern, key.type) for key in TABLE}) == len(TABLE)


def test_the_dials_are_in_the_order_of_the_operators():
    assert [key("ns") for key in DIAL_KEYS.values()] == [f"ns:{dial}" for dial in OPERATED]
    assert dial_keys("ns") == [f"ns:{dial}" for dial in DIALS]


def test_a_key_wants_all_of_its_parts():
    assert keys.CLAIM("ns", "job") == "ns:claim:job"
    with pytest.raises(TypeError):
        keys.CLAIM("ns")


def test_a_namespace_has_every_key_of_ours_below_it():
    for key in TABLE:
        if key.owner != "Celery":
            assert fnmatchcase(key.glob("ns"), "ns:*"), key
