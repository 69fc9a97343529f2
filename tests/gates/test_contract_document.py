"""Runs every row of every table of gates/CONTRACT.md: the page and the code can only change together."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path

import mmh3
import pytest

from gates import Ceilings, Controls, Gate, Reason, bucket, evaluate, explain
from gates.pipeline import GATES
from schemas import is_valid
from tasks.generate.spec import Spec
from tests.builders import a_spec
from tests.gates.contract_document import code_words, json_blocks, raw, tables, text
from tests.gates.given import FIRST_BUCKET, LAST_BUCKET, OPEN, a_subject, dials

TABLES = tables()
POLICY, JOB = json_blocks()
VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
POSITION = {gate: number for number, gate in enumerate(Gate)}


def rows(heading):
    return pytest.mark.parametrize("row", TABLES[heading], ids=lambda row: " ".join(row.values())[:60])


def reason_in(cell):
    """Return the reason that a cell names, None for a dash."""
    if cell == "-":
        return None
    (word,) = code_words(cell)
    return Reason(word)


def controls_of(dial, cell):
    """Return wide-open dials with one of them set as `cell` says."""
    return (
        Controls.unreadable("Redis did not answer") if cell == "`unreadable`" else dials(**{dial: raw(cell)})
    )


def reason_of(gate, controls, **subject):
    """Return what one gate says of a job."""
    decision = explain(a_subject(**subject), controls)[POSITION[gate]]
    assert decision.gate is gate
    return decision.reason


def is_malformed(row):
    return {"yes": True, "no": False}[row["Malformed"]]


def test_every_table_is_run_here():
    assert set(TABLES) == {
        "Order",
        "Which no is heard",
        "Reasons",
        "Dial `slotgen:kill`",
        "Dial `slotgen:feature`",
        "Opt-in",
        "Dial `slotgen:rollout_percent`",
        "Values as a whole",
        "Changes to one policy",
        "Environment",
        "Vectors of the hash itself",
        "Vectors of the bucket",
    }
    assert all(len(each) >= 3 for each in TABLES.values())


def test_the_gates_stand_in_the_codes_order():
    gates = [explain(a_subject(), dials())[number].gate for number in range(len(GATES))]

    assert [(row["#"], *code_words(row["Gate"])) for row in TABLES["Order"]] == [
        (str(number), gate) for number, gate in enumerate(gates, 1)
    ]


def test_the_reasons_are_all_of_the_code_and_each_has_its_gate():
    by_gate = {row["Gate"]: code_words(row["Reasons of its no"]) for row in TABLES["Order"]}
    by_reason = {code_words(row["Reason"])[0]: row["Gate"] for row in TABLES["Reasons"]}

    assert list(by_reason) == [reason.value for reason in Reason]
    assert {word: gate for gate, words in by_gate.items() for word in words} == by_reason


def test_the_dials_rows_show_every_reason_of_the_code():
    cells = {
        cell for heading in TABLES if heading.startswith(("Dial", "Opt-in")) for cell in row_cells(heading)
    }

    shown = {word for cell in cells for word in code_words(cell)}

    assert {reason.value for reason in Reason} - {"NOT_ALLOWLISTED"} <= shown
    assert "`NOT_ALLOWLISTED`" in row_cells("Changes to one policy")


def row_cells(heading):
    return [cell for row in TABLES[heading] for cell in row.values()]


@rows("Which no is heard")
def test_the_first_no_is_heard(row):
    yes = {gate: row[gate.value] == "yes" for gate in Gate}
    controls = dials(
        kill=b"false" if yes[Gate.KILL] else b"true",
        feature=b"true" if yes[Gate.FEATURE] else b"false",
        rollout_percent=b"100" if yes[Gate.ROLLOUT] else b"0",
        allowlist=OPEN["allowlist"] if yes[Gate.ALLOWLIST] else None,
    )

    decision = evaluate(a_subject(opted_in=yes[Gate.OPT_IN]), controls)

    assert decision.reason == reason_in(row["errorCode"])


@rows("Dial `slotgen:kill`")
def test_the_kill_dial(row):
    controls = controls_of("kill", row["Value"])

    assert controls.brake == row["Brake"]
    assert reason_of(Gate.KILL, controls) == reason_in(row["Reason"])
    assert ("kill" in controls.malformed) is is_malformed(row)


@rows("Dial `slotgen:feature`")
def test_the_feature_dial(row):
    controls = controls_of("feature", row["Value"])

    assert reason_of(Gate.FEATURE, controls) == reason_in(row["Reason"])
    assert ("feature" in controls.malformed) is is_malformed(row)


@rows("Opt-in")
def test_the_opt_in(row):
    (word,) = code_words(row["metadata.allowAI"])
    document = a_spec()
    if word == "absent":
        del document["metadata"]["allowAI"]
    else:
        document["metadata"]["allowAI"] = json.loads(word)

    assert is_valid("job.v1", document) is (row["Reason"] != "refused")
    if row["Reason"] != "refused":
        opted_in = Spec.of(document).jobs[0].subject.opted_in
        assert reason_of(Gate.OPT_IN, dials(), opted_in=opted_in) == reason_in(row["Reason"])


@rows("Dial `slotgen:rollout_percent`")
def test_the_rollout_dial(row):
    controls = controls_of("rollout_percent", row["Value"])

    assert controls.rollout_thousandths == Decimal(row["Percent"]) * 1000
    assert ("rollout_percent" in controls.malformed) is is_malformed(row)
    for column, job_id in (("First bucket", FIRST_BUCKET), ("Last bucket", LAST_BUCKET)):
        assert reason_of(Gate.ROLLOUT, controls, job_id=job_id) == reason_in(row[column])


@rows("Values as a whole")
def test_the_allowlist_dial(row):
    controls = controls_of("allowlist", row["Value"])

    assert reason_of(Gate.ALLOWLIST, controls) == reason_in(row["Reason"])
    assert ("allowlist" in controls.malformed) is is_malformed(row)


def the_pages_job():
    names = {"specVersion": "spec_version", "slotId": "slot_id"}
    return {names.get(name, name): value for name, value in JOB.items()}


def changed(pointer, word):
    """Return the page's policy with the part at `pointer` set to the JSON `word`, or removed."""
    document = copy.deepcopy(POLICY)
    *way, last = pointer.strip("/").split("/")
    target = document
    for step in way:
        target = target[int(step)] if isinstance(target, list) else target[step]
    if word == "removed":
        del target[last]
    elif word == "the same rule":
        target.append(copy.deepcopy(target[0]))
    else:
        target[int(last) if isinstance(target, list) else last] = json.loads(word)
    return json.dumps(document).encode()


def test_the_pages_policy_admits_the_pages_job():
    controls = dials(allowlist=json.dumps(POLICY).encode())

    assert reason_of(Gate.ALLOWLIST, controls, **the_pages_job()) is None


@rows("Changes to one policy")
def test_a_changed_policy(row):
    (pointer,), (word,) = code_words(row["Part"]), code_words(row["Value"])

    controls = dials(allowlist=changed(pointer, word))

    assert reason_of(Gate.ALLOWLIST, controls, **the_pages_job()) == reason_in(row["Reason"])
    assert ("allowlist" in controls.malformed) is is_malformed(row)


VARIABLES = {
    "SLOTGEN_AI_KILL": ("kill", "kill", Gate.KILL),
    "FEATURE_SLOTGEN_AI": ("feature", "feature", Gate.FEATURE),
    "SLOTGEN_AI_ROLLOUT_PERCENT": ("rollout_percent", "rollout_percent", Gate.ROLLOUT),
}


@rows("Environment")
def test_a_variable_and_a_dial(row):
    (variable,) = code_words(row["Variable"])
    field, dial, gate = VARIABLES[variable]
    environment = {"kill": None, "feature": None, "rollout_percent": None} | {field: text(row["Value"])}
    if row["Result"] == "refused":
        with pytest.raises(ValueError, match="; set "):
            Ceilings.parse(**environment)
        return

    controls = dials(**{dial: raw(row["Dial"])}, ceilings=Ceilings.parse(**environment))

    if row["Result"].endswith(" %"):
        assert controls.rollout_thousandths == Decimal(row["Result"].removesuffix(" %")) * 1000
    else:
        assert reason_of(gate, controls) == reason_in(row["Result"])


@rows("Vectors of the hash itself")
def test_a_vector_of_the_hash(row):
    expected = int(row["MurmurHash3_x86_32, seed 0"])

    assert mmh3.hash(text(row["Text"]).encode(), 0, signed=False) == expected


@rows("Vectors of the bucket")
def test_a_vector_of_the_bucket(row):
    assert bucket(text(row["jobId"])) == int(row["Bucket"])


def test_the_shared_vectors_are_the_pages():
    hashes = {
        text(row["Text"]): int(row["MurmurHash3_x86_32, seed 0"])
        for row in TABLES["Vectors of the hash itself"]
    }
    buckets = {text(row["jobId"]): int(row["Bucket"]) for row in TABLES["Vectors of the bucket"]}

    assert {each["text"]: each["hash"] for each in VECTORS["hashes"]} == hashes
    assert {each["jobId"]: each["bucket"] for each in VECTORS["buckets"]} == buckets
