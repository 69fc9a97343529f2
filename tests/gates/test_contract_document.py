"""Runs every row of every table of gates/CONTRACT.md: the page and the code can only change together."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path

import mmh3
import pytest

from gates import DIALS, GATES, REASONS, Ceilings, Controls, Trouble, bucket, evaluate, explain
from gates.decision import admit, deny
from schemas import is_valid
from tasks.generate.spec import Spec
from tests.builders import a_spec
from tests.gates.contract_document import code_words, json_blocks, raw, tables, text
from tests.gates.given import FIRST_BUCKET, LAST_BUCKET, a_subject, dials

TABLES = tables()
POLICY, JOB = json_blocks()
VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
POSITION = {gate.name: number for number, gate in enumerate(GATES)}
# Those whose rows are written by hand.
FIVE = ("kill", "feature", "opt_in", "allowlist", "rollout")
REASON = {reason.value: reason for reason in REASONS}


def rows(heading):
    return pytest.mark.parametrize("row", TABLES[heading], ids=lambda row: " ".join(row.values())[:60])


def reason_in(cell):
    """Return the reason that a cell names, None for a dash."""
    if cell == "-":
        return None
    (word,) = code_words(cell)
    return REASON[word]


def controls_of(dial, cell):
    """Return wide-open dials with one of them set as `cell` says."""
    return (
        Controls.unreadable("Redis did not answer") if cell == "`unreadable`" else dials(**{dial: raw(cell)})
    )


def reason_of(gate, controls, **subject):
    """Return what one gate says of a job."""
    decision = explain(a_subject(**subject), controls)[POSITION[gate]]
    assert decision.gate == gate
    return decision.reason


def assert_malformed(dial, controls, row):
    (gate,) = [gate for gate in GATES if gate.dial and gate.dial.name == dial]
    is_malformed = {"yes": True, "no": False}[row["Malformed"]]
    assert (controls.of(gate).trouble is Trouble.MALFORMED) is is_malformed


def test_every_table_is_run_here():
    assert set(TABLES) - {f"Dial `slotgen:{dial}`" for dial in DIALS} == {
        "Order",
        "Which no counts",
        "Reasons",
        "Opt-in",
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


def test_each_gate_says_what_it_lets_through():
    assert [row["Lets a job through when"] for row in TABLES["Order"]] == [gate.admits_when for gate in GATES]


def test_the_reasons_are_all_of_the_code_and_each_has_its_gate():
    by_gate = {row["Gate"]: code_words(row["Reasons of its no"]) for row in TABLES["Order"]}
    by_reason = {code_words(row["Reason"])[0]: row["Gate"] for row in TABLES["Reasons"]}

    assert list(by_reason) == [reason.value for reason in REASONS]
    assert [row["When"] for row in TABLES["Reasons"]] == [reason.when for reason in REASONS]
    assert {word: gate for gate, words in by_gate.items() for word in words} == by_reason


def test_the_dials_rows_show_every_reason_of_the_code():
    cells = {
        cell for heading in TABLES if heading.startswith(("Dial", "Opt-in")) for cell in row_cells(heading)
    }

    shown = {word for cell in cells for word in code_words(cell)}

    assert {reason.value for gate in GATES if gate.name in FIVE for reason in gate.reasons} - {
        "NOT_ALLOWLISTED"
    } <= shown
    assert "`NOT_ALLOWLISTED`" in row_cells("Changes to one policy")


def row_cells(heading):
    return [cell for row in TABLES[heading] for cell in row.values()]


def answering(gate, *, yes):
    """Return the check of `gate`, or a stand-in for one that neither a dial nor the job here shuts."""
    if gate.dial or gate.name in FIVE:
        return gate.check
    decision = admit(gate.name, "") if yes else deny(gate.name, next(iter(gate.reasons)), "")
    return lambda subject, reading: decision


@rows("Which no counts")
def test_the_first_no_is_heard(row):
    yes = {gate.name: row[gate.name] == "yes" for gate in GATES}
    shut = {gate.dial.name: None for gate in GATES if gate.dial and not yes[gate.name]}
    found = dials(**shut | ({} if yes["kill"] else {"kill": b"true"}))
    checks = [answering(gate, yes=yes[gate.name]) for gate in GATES]
    controls = Controls(tuple(zip(checks, [reading for _, reading in found.asked], strict=True)))

    decision = evaluate(a_subject(opted_in=yes["opt_in"]), controls)

    assert decision.reason == reason_in(row["errorCode"])


@rows("Dial `slotgen:kill`")
def test_the_kill_dial(row):
    controls = controls_of("kill", row["Value"])

    assert controls.brake == row["Brake"]
    assert reason_of("kill", controls) == reason_in(row["Reason"])
    assert_malformed("kill", controls, row)


@rows("Dial `slotgen:feature`")
def test_the_feature_dial(row):
    controls = controls_of("feature", row["Value"])

    assert reason_of("feature", controls) == reason_in(row["Reason"])
    assert_malformed("feature", controls, row)


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
        assert reason_of("opt_in", dials(), opted_in=opted_in) == reason_in(row["Reason"])


@rows("Dial `slotgen:rollout_percent`")
def test_the_rollout_dial(row):
    controls = controls_of("rollout_percent", row["Value"])

    assert controls.rollout_thousandths == Decimal(row["Percent"]) * 1000
    assert_malformed("rollout_percent", controls, row)
    for column, job_id in (("First bucket", FIRST_BUCKET), ("Last bucket", LAST_BUCKET)):
        assert reason_of("rollout", controls, job_id=job_id) == reason_in(row[column])


@rows("Values as a whole")
def test_the_allowlist_dial(row):
    controls = controls_of("allowlist", row["Value"])

    assert reason_of("allowlist", controls) == reason_in(row["Reason"])
    assert_malformed("allowlist", controls, row)


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

    assert reason_of("allowlist", controls, **the_pages_job()) is None


@rows("Changes to one policy")
def test_a_changed_policy(row):
    (pointer,), (word,) = code_words(row["Part"]), code_words(row["Value"])

    controls = dials(allowlist=changed(pointer, word))

    assert reason_of("allowlist", controls, **the_pages_job()) == reason_in(row["Reason"])
    assert_malformed("allowlist", controls, row)


VARIABLES = {gate.dial.variable: gate for gate in GATES if gate.dial}


@rows("Environment")
def test_a_variable_and_a_dial(row):
    (variable,) = code_words(row["Variable"])
    gate = VARIABLES[variable]
    value = text(row["Value"])
    environment = {} if value is None else {variable: value}
    if row["Result"] == "refused":
        with pytest.raises(ValueError, match="; set "):
            Ceilings.parse(environment)
        return

    controls = dials(**{gate.dial.name: raw(row["Dial"])}, ceilings=Ceilings.parse(environment))

    if row["Result"].endswith(" %"):
        assert controls.rollout_thousandths == Decimal(row["Result"].removesuffix(" %")) * 1000
    else:
        assert reason_of(gate.name, controls) == reason_in(row["Result"])


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
