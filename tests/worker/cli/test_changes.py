"""`slotgen feature`, `rollout`, `allowlist`, `resume`: before, after, effect, the way back, and refusals."""

from __future__ import annotations

import json
import re

import pytest

from tests.builders import OPEN, a_rule, an_allowlist
from tests.worker.cli.conftest import A_MOMENT_AGO

NARROW = an_allowlist(a_rule(kinds=["explanatory"]))


def undo_of(said):
    return re.search(r"^undo: slotgen (.*)$", said, re.MULTILINE).group(1).split()


class TestAChange:
    def test_prints_before_after_effect_and_undo_and_makes_it(self, slotgen):
        slotgen.open()
        slotgen.outcomes(200)

        code, said = slotgen("rollout", "50", "--reason", "one quiet day", "--actor", "ann")

        assert code == 0
        assert f"{slotgen.namespace}:rollout_percent: '1' -> '50'" in said
        assert re.search(
            r"of the 200 distinct jobs of the last 24 h, \d -> \d+ would be admitted \(\+\d+\)", said
        )
        assert "widened: rollout; observe before you widen anything else" in said
        assert "undo: slotgen rollout 1" in said
        assert slotgen.raw("rollout_percent") == b"50"
        newest = slotgen.dials.audit(1)[0]
        assert (newest.actor, newest.reason, newest.command) == ("ann", "one quiet day", "slotgen rollout 50")
        assert newest.widened == ("rollout",)

    def test_is_undone_by_the_command_that_it_prints(self, slotgen):
        slotgen.open()
        for words in (["rollout", "0.5"], ["feature", "off"], ["allowlist", "disable"]):
            before = [slotgen.raw(dial) for dial in ("rollout_percent", "feature")]
            _, said = slotgen(*words)
            slotgen.outcomes()
            code, said = slotgen(*undo_of(said), "--override", "as it was")
            assert code == 0, said
            assert [slotgen.raw(dial) for dial in ("rollout_percent", "feature")] == before
        assert slotgen.raw("allowlist") == an_allowlist().encode()

    def test_that_changes_nothing_says_so(self, slotgen):
        slotgen.open()

        assert slotgen("feature", "on") == (
            0,
            f"{slotgen.namespace}:feature: is 'true' already; nothing was changed\n",
        )
        assert slotgen.json("rollout", "1")["changed"] is False

    def test_takes_effect_later_while_the_fleet_is_halted(self, slotgen):
        slotgen.open(kill="true")

        _, said = slotgen("rollout", "100")
        document = slotgen.json("rollout", "99")

        assert "the fleet is halted: this takes effect with `slotgen resume" in said
        assert (document["takesEffectAtOnce"], document["widened"]) == (False, [])

    def test_says_everything_as_json(self, slotgen):
        slotgen.open()
        slotgen.outcomes(10)

        document = slotgen.json("rollout", "100")

        assert document["effect"]["jobs"] == 10
        assert (document["before"], document["after"]) == ("'1'", "'100'")
        assert document["undo"] == "slotgen rollout 1"
        assert document["auditId"] == slotgen.dials.audit(1)[0].audit_id

    def test_of_a_malformed_dial_goes_back_to_what_it_meant(self, slotgen):
        slotgen.open(rollout_percent="ten", feature="TRUE", allowlist="{")

        assert undo_of(slotgen("rollout", "5", "--override", "x")[1]) == ["rollout", "0"]
        assert undo_of(slotgen("feature", "on", "--override", "x")[1]) == ["feature", "off"]
        path = slotgen.file("a.json", NARROW)
        assert undo_of(slotgen("allowlist", "push", path, "--override", "x")[1]) == ["allowlist", "disable"]

    @pytest.mark.parametrize("percent", ["ten", "101", "-1", "1.0001", "", "1e1", "½"])
    def test_of_an_invalid_percentage_is_a_usage_error_and_changes_nothing(self, slotgen, percent):
        slotgen.open()

        code, said = slotgen("rollout", "--", percent)

        assert code == 2
        assert "set a number from 0 to 100 with at most three decimals" in re.sub(r"\s*│\n│\s*", " ", said)
        assert slotgen.raw("rollout_percent") == b"1"


class TestOneDimension:
    def test_a_second_one_is_refused_and_an_override_is_recorded(self, slotgen):
        slotgen.open(allowlist=NARROW)
        broad = slotgen.file("broad.json", an_allowlist())
        assert slotgen("rollout", "5", "--override", "to begin with")[0] == 0
        slotgen.outcomes()

        code, said = slotgen("allowlist", "push", broad)

        assert code == 1
        assert re.search(rf"rollout was widened {A_MOMENT_AGO} by", said)
        assert said.endswith("nothing was changed\n")
        assert slotgen.raw("allowlist") == NARROW.encode()
        assert slotgen("allowlist", "push", broad, "--override", "the head of school asked")[0] == 0
        assert slotgen.dials.audit(1)[0].override == "the head of school asked"

    def test_nothing_is_widened_before_an_outcome_has_come(self, slotgen):
        slotgen.open()
        slotgen("rollout", "2")

        code, said = slotgen("rollout", "3")
        slotgen.outcomes()

        assert code == 1
        assert "there is nothing to observe yet" in said
        assert slotgen("rollout", "3")[0] == 0

    @pytest.mark.parametrize(
        "words", [["rollout", "0.5"], ["feature", "off"], ["allowlist", "disable"], ["kill"]]
    )
    def test_narrowing_is_always_allowed_at_once(self, slotgen, words):
        slotgen.open()
        slotgen("rollout", "2")

        assert slotgen(*words)[0] == 0

    def test_what_a_raw_command_has_widened_counts_too(self, slotgen):
        slotgen.open(allowlist=NARROW)
        slotgen.client.set(f"{slotgen.namespace}:rollout_percent", "50")
        slotgen.outcomes()

        code, said = slotgen("allowlist", "push", slotgen.file("broad.json", an_allowlist()))

        assert code == 1
        assert re.search(rf"rollout was widened {A_MOMENT_AGO} by a raw Redis command", said)

    def test_what_was_widened_under_the_brake_is_judged_at_its_release(self, slotgen):
        slotgen.open(allowlist=NARROW)
        slotgen("kill")
        slotgen("rollout", "50")
        slotgen("allowlist", "push", slotgen.file("broad.json", an_allowlist()))

        code, said = slotgen("resume", "--reason", "now")

        assert code == 1
        assert "this widens allowlist and rollout at once; change only one of them" in said
        assert slotgen.raw("kill") == b"true"
        slotgen("rollout", "1")
        assert slotgen("resume", "--reason", "now")[0] == 0
        assert slotgen.dials.audit(1)[0].widened == ("allowlist",)

    @pytest.mark.parametrize(
        "words",
        [
            [["kill"], ["allowlist", "push", "BROAD"], ["rollout", "100"], ["resume", "--reason", "x"]],
            [["feature", "off"], ["allowlist", "push", "BROAD"], ["rollout", "50"], ["feature", "on"]],
            [["rollout", "0"], ["allowlist", "push", "BROAD"], ["rollout", "100"]],
        ],
    )
    def test_closing_the_fleet_in_between_is_no_way_round(self, slotgen, words):
        # Set by raw commands, and never looked at.
        policy = OPEN | {"allowlist": NARROW, "rollout_percent": "1"}
        slotgen.client.mset({f"{slotgen.namespace}:{name}": value for name, value in policy.items()})
        broad = slotgen.file("broad.json", an_allowlist())
        *before, last = [[broad if word == "BROAD" else word for word in each] for each in words]
        assert [slotgen(*each)[0] for each in before] == [0] * len(before)

        code, said = slotgen(*last)

        assert code == 1
        assert "this widens allowlist and rollout at once" in said
        assert slotgen(*last, "--override", "told to")[0] == 0

    def test_the_very_first_opening_is_free(self, slotgen):
        slotgen.open(kill="true")

        assert slotgen("resume", "--reason", "first day")[0] == 0
        assert slotgen.dials.audit(1)[0].widened == ("first_opening",)


class TestResume:
    def test_needs_a_reason(self, slotgen):
        slotgen.open(kill="true")

        assert slotgen("resume")[0] == 2
        code, said = slotgen("resume", "--reason", "  ")
        assert (code, "needs a reason" in said) == (1, True)
        assert slotgen.raw("kill") == b"true"

    def test_shows_what_is_admitted_from_now_on(self, slotgen):
        slotgen.open(kill="true", rollout_percent="100")
        slotgen.outcomes(7)

        _, said = slotgen("resume", "--reason", "mended")

        assert "admitted from now on: feature on, 1 of 1 rule enabled (policy " in said
        assert "100 % of the jobs that match" in said
        assert "of the 7 distinct jobs of the last 24 h, 0 -> 7 would be admitted (+7)" in said
        assert "undo: slotgen kill" in said


class TestAllowlist:
    def test_shows_what_changes_rule_by_rule(self, slotgen):
        slotgen.open(allowlist=an_allowlist(a_rule("kept"), a_rule("gone")))
        new = an_allowlist(a_rule("kept", kinds=["revision"]), a_rule("new", enabled=False))

        _, said = slotgen("allowlist", "push", slotgen.file("new.json", new))

        assert "  rule kept: narrower; kinds -assessment -explanatory -statutory\n" in said
        assert "  rule new: added\n" in said
        assert "  rule gone: removed\n" in said

    def test_shows_what_another_order_of_the_same_rules_newly_admits(self, slotgen):
        strict, free = a_rule("strict", maxJobsPerRun=1), a_rule("free", maxJobsPerRun=9)
        slotgen.open(allowlist=an_allowlist(strict, free))

        _, said = slotgen("allowlist", "push", slotgen.file("new.json", an_allowlist(free, strict)))

        assert "  rule free raises the jobs of a spec from 1 to 9, for one for Biology" in said

    def test_an_invalid_file_changes_nothing_and_names_the_field(self, slotgen):
        slotgen.open()
        path = slotgen.file("bad.json", an_allowlist(a_rule(maxJobsPerRun=1000)))

        code, said = slotgen("allowlist", "push", path)

        assert code == 1
        assert "rules[0].maxJobsPerRun: is greater than 100" in said
        assert slotgen.raw("allowlist") == an_allowlist().encode()
        assert slotgen("allowlist", "validate", path)[0] == 1
        spec = slotgen.file("spec.json", '{"version": "v1"}')
        assert slotgen("allowlist", "validate", spec)[0] == 1
        assert slotgen("allowlist", "validate", slotgen.file("good.json", NARROW))[0] == 0

    def test_show_prints_the_policy_that_is_in_force(self, slotgen):
        slotgen.open()

        code, said = slotgen("allowlist", "show")

        assert code == 0
        assert json.loads(said.partition("\n")[2]) == json.loads(an_allowlist())
        assert slotgen.json("allowlist", "show")["document"] == json.loads(an_allowlist())
        slotgen.open(allowlist=None)
        assert slotgen("allowlist", "show")[1] == "# absent\n"

    def test_there_is_nothing_to_enable_in_a_malformed_policy(self, slotgen):
        slotgen.open(allowlist="{")

        code, said = slotgen("allowlist", "enable")

        assert code == 1
        assert "the policy is malformed, which denies every job" in said

    def test_a_file_or_a_past_change_and_not_both(self, slotgen):
        assert slotgen("allowlist", "push")[0] == 2
        assert slotgen("allowlist", "push", "a.json", "--audit", "1-0")[0] == 2
        assert "there is no change '1-0'" in slotgen("allowlist", "push", "--audit", "1-0")[1]


def test_a_policy_that_is_switched_off_and_on_keeps_its_hash(slotgen):
    policy = '{ "rules": %s,\n "enabled" : true, "mode": "deny_by_default", "version": "allowlist.v1" }'
    policy %= json.dumps(json.loads(an_allowlist(a_rule(), a_rule("r2", enabled=False)))["rules"])
    slotgen.open(allowlist=policy)

    slotgen("allowlist", "disable")
    disabled = slotgen.raw("allowlist")
    slotgen("allowlist", "enable", "--override", "x")

    assert json.loads(disabled) == json.loads(policy) | {"enabled": False}
    assert slotgen.raw("allowlist") == policy.encode()
