"""What holds for any bytes in the dials, judged by an oracle that shares no code with the gates."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gates import BrakeState, Ceilings, Controls, evaluate, explain
from gates.allowlist import AllowlistReason
from gates.feature_flag import FeatureReason
from gates.kill_switch import KillReason
from gates.opt_in import OptInReason
from gates.rollout import RolloutReason
from tests.gates.given import FIRST_BUCKET, OPEN, a_policy, a_rule, a_subject, dials, restricted
from tests.gates.murmur3 import murmur3_x86_32

garbage = (
    st.none()
    | st.binary(max_size=40)
    | st.text(max_size=20).map(lambda each: each.encode("utf-8", "replace"))
)
words = st.sampled_from([b"TRUE", b"False", b" false ", b"false\n", b"true ", b"1", b"0", b"", b"falsely"])


def mostly(value, *others):
    """Return a strategy that gives `value` three times in four, so that the other dials get to decide."""
    return st.integers(0, 3).flatmap(lambda draw: st.one_of(*others) if draw == 3 else st.just(value))


percentages = (
    st.integers(0, 100_999).map(lambda each: f"{each // 1000}.{each % 1000:03}".encode())
    | st.integers(-1, 101).map(lambda each: str(each).encode())
    | st.sampled_from([b"100.0", b"5.", b".5", b"1e1", b" 5", b"+5", b"005", b"12.3456", b"\xd9\xa5"])
)
GOOD_POLICY = a_policy(a_rule(kinds=["revision"]), a_rule("second"))
BAD_POLICIES = [
    a_policy(a_rule(), enabled=False),
    a_policy(a_rule(), a_rule()),
    a_policy(a_rule(), mode="allow"),
    a_policy(a_rule(maxJobsPerRun=101)),
    a_policy(a_rule(kinds=["revision"])),
    GOOD_POLICY[:-1],
]
raw_controls = st.builds(
    dict,
    kill=mostly(b"false", words, st.just(b"true"), garbage),
    feature=mostly(b"true", words, st.just(b"false"), garbage),
    rollout_percent=mostly(b"100", percentages, garbage) | percentages,
    allowlist=mostly(GOOD_POLICY, st.sampled_from(BAD_POLICIES), garbage),
).map(lambda raw: OPEN | raw)
ceilings = st.builds(
    dict,
    kill=mostly("false", st.just("true")),
    feature=mostly("true", st.just("false")),
    rollout_percent=mostly("100", st.integers(0, 100_000).map(lambda each: str(Decimal(each) / 1000))),
)
subjects = st.builds(
    lambda job_id, opted_in: a_subject(job_id=job_id, opted_in=opted_in),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    mostly(True, st.just(False)),
)


def percent_of(raw: bytes | None) -> Decimal:
    text = (raw or b"").decode("latin-1")
    whole, dot, decimals = text.partition(".")
    digits = set("0123456789")
    well_formed = set(whole) | set(decimals) <= digits and len(whole) in {1, 2, 3} and len(decimals) <= 3
    if not well_formed or (dot and not decimals) or (len(whole) == 3 and Decimal(text) != 100):
        return Decimal(0)
    return Decimal(text)


def first_no(subject, raw, limits):
    """Return the reason that the contract gives for this job, or None for a yes."""
    kill_word = (raw["kill"] or b"").decode("latin-1").strip(" \t\n\r\x0b\x0c")
    thousandths = min(percent_of(raw["rollout_percent"]) * 1000, Decimal(limits["rollout_percent"]) * 1000)
    bucket = murmur3_x86_32(f"slotgen:{subject.job_id}".encode()) * 100_000 // 2**32
    noes = [
        (limits["kill"] == "true", KillReason.KILL_SWITCH),
        (raw["kill"] is None, KillReason.KILL_UNVERIFIED),
        (kill_word not in spellings("false"), KillReason.KILL_SWITCH),
        (raw["feature"] != b"true" or limits["feature"] == "false", FeatureReason.FEATURE_DISABLED),
        (not subject.opted_in, OptInReason.NOT_OPTED_IN),
        (raw["allowlist"] != GOOD_POLICY, AllowlistReason.NOT_ALLOWLISTED),
        (bucket >= thousandths, RolloutReason.ROLLOUT_EXCLUDED),
    ]
    return next((reason for is_no, reason in noes if is_no), None)


def spellings(word):
    """Return `word` in every mixture of cases."""
    if not word:
        return [""]
    return [head + tail for head in (word[0], word[0].upper()) for tail in spellings(word[1:])]


@settings(max_examples=500)
@given(subjects, raw_controls, ceilings)
def test_denies_unless_all_five_conditions_hold(subject, raw, limits):
    decision = evaluate(subject, Controls.parse(raw, restricted(**limits)))

    assert decision.reason == first_no(subject, raw, limits)
    assert decision.allowed is (decision.reason is None)


@given(subjects, st.binary(max_size=12), st.integers(0, 100))
@example(a_subject(), b"\xa0false", 100)
@example(a_subject(), b" FalsE\r\n", 100)
def test_only_the_word_false_frees_an_open_fleet(subject, kill, percent):
    controls = dials(kill=kill, rollout_percent=str(percent).encode())
    is_false = kill.strip().decode("latin-1") in spellings("false")

    assert (controls.brake is BrakeState.RELEASED) is is_false
    if not is_false:
        assert evaluate(subject, controls).reason is KillReason.KILL_SWITCH


@given(subjects, raw_controls, ceilings, st.sampled_from([b"true", b"1", b"x", None]))
def test_kill_dominates_whatever_the_other_dials_say(subject, raw, limits, kill):
    decision = evaluate(subject, Controls.parse(raw | {"kill": kill}, restricted(**limits)))

    assert decision.reason in {KillReason.KILL_SWITCH, KillReason.KILL_UNVERIFIED}


@given(subjects, st.integers(0, 100_000), st.integers(0, 100_000))
def test_raising_the_percentage_never_removes_a_job(subject, one, other):
    lower, higher = (
        evaluate(subject, dials(rollout_percent=f"{each // 1000}.{each % 1000:03}".encode())).allowed
        for each in sorted((one, other))
    )

    assert higher or not lower


@given(subjects, raw_controls, ceilings)
def test_the_environment_never_opens_what_the_dials_shut(subject, raw, limits):
    decision = evaluate(subject, Controls.parse(raw, restricted(**limits)))

    assert not decision.allowed or evaluate(subject, Controls.parse(raw, Ceilings())).allowed


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_the_strictest_percentage_wins(dial, ceiling):
    raw = f"{dial // 1000}.{dial % 1000:03}".encode()

    controls = dials(rollout_percent=raw, ceilings=restricted(rollout_percent=str(Decimal(ceiling) / 1000)))

    assert controls.rollout_thousandths == min(dial, ceiling)


@given(subjects, raw_controls, ceilings)
def test_the_same_job_and_dials_get_the_same_answer(subject, raw, limits):
    answers = [explain(subject, Controls.parse(raw, restricted(**limits))) for _ in range(2)]

    assert answers[0] == answers[1]


@given(st.text(max_size=20), *[garbage] * 4)
@example("\ud800", b"\xff", b"\xff", b"\xff", b"\xff")
def test_no_bytes_and_no_text_make_a_gate_raise(text, kill, feature, percent, allowlist):
    subject = a_subject(job_id=text, slot_id=text, subject=text, level=text, board=text, spec_version=text)

    decisions = explain(
        subject, dials(kill=kill, feature=feature, rollout_percent=percent, allowlist=allowlist)
    )

    assert not decisions[3].allowed


@given(st.text(max_size=20))
def test_an_open_fleet_at_zero_percent_admits_nobody(job_id):
    assert not evaluate(a_subject(job_id=job_id), dials(rollout_percent=b"0")).allowed
    assert not evaluate(a_subject(job_id=FIRST_BUCKET), dials(rollout_percent=b"0")).allowed
