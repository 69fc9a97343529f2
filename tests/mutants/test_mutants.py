"""What is changed, what is known of it, and that the list of survivors keeps to the code."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.mutants.listed import LIST, complaints, read
from tests.mutants.lua import lua_mutants
from tests.mutants.python import python_mutants, undecorated
from tests.surroundings import ROOT

SOURCE = """\
LIMIT = 5

class Purse:
    held: int = 0

    @property
    def empty(self):
        return self.held < LIMIT
"""
SCRIPT = '''\
_PAY = Script("""
-- not 1 of the numbers
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
""")
'''


def test_mutants_are_made_in_functions_that_are_decorated_and_outside_of_any():
    found = {(each.place, each.was, each.now) for each in python_mutants("purse.py", SOURCE)}

    assert ("LIMIT", ("LIMIT = 5",), ("LIMIT = 6",)) in found
    assert ("Purse.held", ("held: int = 0",), ("held: int = 1",)) in found
    assert ("Purse.empty", ("return self.held < LIMIT",), ("return self.held <= LIMIT",)) in found


def test_a_mutant_is_a_whole_file_with_one_change():
    for each in python_mutants("purse.py", SOURCE):
        names = {}
        exec(each.source, names)
        assert isinstance(vars(names["Purse"])["empty"], property)


def test_a_decorator_is_moved_behind_its_function():
    source = "@cache\ndef f():\n    return 1\n\n\n@classmethod\ndef g(cls):\n    return 2\n"

    plain = undecorated(source).splitlines()

    assert plain[:3] == ["def f():", "    return 1", "f = cache(f)  # pragma: no mutate"]
    assert plain[5] == "@classmethod"


def test_mutants_are_made_of_the_scripts_word_for_word():
    found = [each.now for each in lua_mutants("pay.py", SCRIPT)]

    assert ("if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end",) in found
    assert ("if redis.call('GET', KEYS[1]) == ARGV[2] then return 0 end",) in found
    assert ("if redis.call('XXGETXX', KEYS[1]) == ARGV[1] then return 0 end",) in found
    assert found.count(("",)) == 2
    assert not any("--" in line for now in found for line in now)
    assert {each.place for each in lua_mutants("pay.py", SCRIPT)} == {"_PAY"}


def test_a_list_has_a_reason_for_each_of_its_entries():
    first, second = read("# Why\n# so.\n\na.py f\n- x\n+ y\n\nb.py g\n- x\n+ …\n")

    assert (first.path, first.reason) == ("a.py", "Why so.")
    assert (second.text, second.reason) == ("b.py g\n- x\n+ …", "Why so.")


def test_the_list_and_the_survivors_must_be_the_same():
    one, *others = python_mutants("purse.py", SOURCE)
    (entry,) = read(str(one))

    assert complaints([one], [entry]) == []
    assert complaints([], [entry]) == [
        f"a test notices this now, or it is gone; take it off the list:\n{one}"
    ]
    assert complaints([one, others[0]], [entry]) == [
        f"no test notices this; write one, or list it with a reason:\n{others[0]}"
    ]


@pytest.mark.thorough
def test_a_gate_is_tried_and_a_test_notices_each_change():
    command = [sys.executable, "-m", "tests.mutants", "gates/opt_in.py"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"gates/opt_in\.py: [1-9]\d* mutants, 0 survived", done.stdout)


def lines_of(entry):
    return [line.removeprefix("- ") for line in entry.text.splitlines() if line.startswith("- ")]


def test_the_list_keeps_to_the_code():
    entries = read(LIST.read_text(encoding="utf-8"))
    code = {
        path: {line.strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines()}
        for path in {entry.path for entry in entries}
    }

    assert [entry.text for entry in entries if not set(lines_of(entry)) <= code[entry.path]] == []
    assert all(entry.reason and lines_of(entry) for entry in entries)
