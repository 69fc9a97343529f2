import pytest

from gates import Controls, matching_rule
from gates.allowlist import GATE, AllowlistReason
from tests.gates.given import a_policy, a_rule, a_subject, dials


def check(subject, controls):
    return GATE.check(subject, controls.of(GATE))


def test_lets_a_job_through_that_a_rule_names_and_says_which():
    decision = check(a_subject(), dials(allowlist=a_policy(a_rule("other", kinds=[]), a_rule("pilot"))))

    assert (decision.allowed, decision.gate, decision.detail) == (
        True,
        "allowlist",
        "rule pilot matches",
    )


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (None, "the allowlist is absent"),
        (b"{}", "the allowlist is malformed"),
        (a_policy(a_rule(), enabled=False), "the allowlist is disabled"),
        (a_policy(), "no enabled rule matches"),
        (a_policy(a_rule(enabled=False)), "no enabled rule matches"),
        (a_policy(a_rule(kinds=["revision"])), "no enabled rule matches"),
    ],
)
def test_stops_a_job_and_says_what_is_missing(raw, detail):
    decision = check(a_subject(), dials(allowlist=raw))

    assert (decision.allowed, decision.gate, decision.reason) == (
        False,
        "allowlist",
        AllowlistReason.NOT_ALLOWLISTED,
    )
    assert decision.detail == detail


def test_does_not_say_absent_of_a_policy_that_nobody_read():
    decision = check(a_subject(), Controls.unreadable("Redis did not answer"))

    assert decision.detail == "the allowlist could not be read"


def test_gives_the_matching_rule_with_its_run_limit():
    rule = matching_rule(a_subject(), dials(allowlist=a_policy(a_rule("pilot", maxJobsPerRun=7.0))))

    assert rule is not None
    assert (rule.id, repr(rule.max_jobs_per_run)) == ("pilot", "7")


@pytest.mark.parametrize("raw", [None, b"{}", a_policy(a_rule(), enabled=False), a_policy()])
def test_gives_no_matching_rule_where_the_gate_says_no(raw):
    assert matching_rule(a_subject(), dials(allowlist=raw)) is None
