"""A widening is judged against the widest exposure that was live in the window, however it is gone about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import DIALS, RawControls, allowlist, feature_flag, kill_switch, rollout
from tasks.operations.changes import spend_cap
from tasks.operations.changes.changing import (
    ChangeRefused,
    Proposal,
    Situation,
    permission_to_release,
    permitted,
    propose,
)
from tasks.operations.changes.dials import RAW_ACTOR, RAW_COMMAND, DialValues, RecordedChange
from tasks.operations.changes.exposure import is_live, widened
from tests.builders import OPEN, a_rule, an_allowlist
from tests.tasks.operations.past import NOW_MS, an_outcome

WINDOW_MS = 900_000
NARROW, BROAD = (
    an_allowlist(a_rule(kinds=kinds)).encode() for kinds in (["revision"], ["revision", "assessment"])
)
NO_POLICY = an_allowlist(a_rule(kinds=["revision"]), enabled=False).encode()
FEATURE, POLICY, SHARE, KILL = feature_flag.DIAL, allowlist.DIAL, rollout.DIAL, kill_switch.DIAL
AT_ONE_PERCENT = OPEN | {"allowlist": NARROW, "rollout_percent": b"1", "budget_usd": None}


class Fleet:
    """The dials with their record, as Redis keeps them, on a clock that steps. `lived` has what was live."""

    def __init__(self, raw: RawControls = AT_ONE_PERCENT) -> None:
        self.wall_ms = NOW_MS - 10 * WINDOW_MS
        self.raw: dict[str, bytes | None] = dict(raw)
        self.recent: list[RecordedChange] = []
        self.live: dict[str, bytes | None] = {}
        self._keep_live()
        self.lived = [self.raw] if is_live(self.raw) else []
        self.outcomes = [an_outcome(minutes_ago=0)]

    def situation(self) -> Situation:
        dials = DialValues(dict(self.raw), "1-0", dict(self.live))
        return Situation(dials, self.recent, self.outcomes, self.wall_ms, WINDOW_MS // 1000)

    def set(self, dial, after, *, override: str = "") -> Proposal:
        """Set a dial by a command. Raises ChangeRefused."""
        self.step()
        proposal = propose(self.situation(), dial, after)
        change = permitted(proposal, actor="ann", command="slotgen x", reason="", override=override)
        self._record(dial, after, "ann", "slotgen x", change.widened)
        return proposal

    def raw_set(self, dial, after) -> None:
        self.step()
        self._record(dial, after, RAW_ACTOR, RAW_COMMAND, ())

    def step(self, milliseconds: int = 1000) -> None:
        self.wall_ms += milliseconds

    def _record(self, dial, after, actor, command, widens) -> None:
        change = RecordedChange(
            f"{self.wall_ms}-0",
            self.wall_ms,
            dial.name,
            self.raw[dial.name],
            after,
            actor,
            command,
            "",
            widens,
            "",
        )
        self.recent.insert(0, change)
        self.raw = self.raw | {dial.name: after}
        self._keep_live()
        if is_live(self.raw):
            self.lived.append(self.raw)

    def _keep_live(self) -> None:
        if kill_switch.parse(self.raw["kill"] or b"") is kill_switch.BrakeState.RELEASED:
            self.live = self.raw


DETOURS = {
    "by a percentage of 0": [(SHARE, b"0"), (POLICY, BROAD), (SHARE, b"100")],
    "by the feature": [(FEATURE, b"false"), (POLICY, BROAD), (SHARE, b"50"), (FEATURE, b"true")],
    "by the policy": [(POLICY, NO_POLICY), (SHARE, b"50"), (POLICY, BROAD)],
    "by no policy": [(POLICY, None), (SHARE, b"50"), (POLICY, BROAD)],
    "by the kill switch": [(KILL, b"true"), (POLICY, BROAD), (SHARE, b"100"), (KILL, b"false")],
    "by two of them": [(KILL, b"true"), (SHARE, b"0"), (KILL, b"false"), (POLICY, BROAD), (SHARE, b"100")],
}


@pytest.mark.parametrize("detour", DETOURS.values(), ids=DETOURS)
def test_two_dimensions_are_not_widened_by_closing_in_between(detour):
    fleet = Fleet()
    *before, (dial, after) = detour
    for each in before:
        fleet.set(*each)

    with pytest.raises(ChangeRefused, match="this widens allowlist and rollout at once"):
        fleet.set(dial, after)

    assert fleet.set(dial, after, override="told to").widens == ("allowlist", "rollout")


@pytest.mark.parametrize("shut", [(SHARE, b"0"), (FEATURE, b"false"), (POLICY, NO_POLICY), (KILL, b"true")])
def test_a_dimension_that_follows_another_within_the_window_is_refused_after_a_close_too(shut):
    fleet = Fleet()
    fleet.set(POLICY, BROAD)
    was = fleet.raw[shut[0].name]
    fleet.set(*shut)
    fleet.set(SHARE, b"100") if shut[0] is not SHARE else None

    with pytest.raises(ChangeRefused, match=r"allowlist was widened [23] s ago by ann"):
        fleet.set(shut[0], was if shut[0] is not SHARE else b"100")


@pytest.mark.parametrize("shut", [(SHARE, b"0"), (FEATURE, b"false"), (POLICY, NO_POLICY), (KILL, b"true")])
@pytest.mark.parametrize("pause_ms", [0, 5 * WINDOW_MS])
def test_what_was_live_before_is_free_again_however_long_it_was_shut(shut, pause_ms):
    fleet = Fleet()
    fleet.outcomes = []
    fleet.set(SHARE, b"5")
    was = fleet.raw[shut[0].name]
    fleet.set(*shut)
    fleet.step(pause_ms)

    assert fleet.set(shut[0], was).widens == ()


def test_what_was_live_before_the_window_is_not_free_while_less_is():
    fleet = Fleet()
    fleet.set(SHARE, b"50")
    fleet.set(SHARE, b"1")
    fleet.step(WINDOW_MS + 1000)

    assert fleet.set(SHARE, b"50").widens == ("rollout",)


def test_a_percentage_of_one_time_and_a_policy_of_another_were_never_live_together():
    fleet = Fleet(AT_ONE_PERCENT | {"rollout_percent": b"100"})
    fleet.set(SHARE, b"1")
    fleet.set(POLICY, BROAD)

    assert fleet.set(SHARE, b"100").widens == ("allowlist",)


def test_what_raw_commands_passed_through_in_one_look_was_never_live():
    fleet = Fleet(AT_ONE_PERCENT | {"kill": b"true", "rollout_percent": b"100"})
    fleet.raw_set(KILL, b"false")
    fleet.wall_ms -= 1000
    fleet.raw_set(SHARE, b"1")

    assert fleet.set(SHARE, b"100").widens == ("rollout",)


def test_a_fleet_that_was_never_released_opens_freely_and_one_whose_record_is_gone_does_not():
    halted = AT_ONE_PERCENT | {"kill": b"true"}
    fresh, forgotten = Fleet(halted), Fleet(halted)
    forgotten.live = AT_ONE_PERCENT | {"rollout_percent": b"0"}

    assert fresh.set(KILL, b"false").widens == ("first_opening",)
    with pytest.raises(ChangeRefused, match="the record of changes does not say what was live before"):
        forgotten.set(KILL, b"false")
    assert forgotten.set(KILL, b"false", override="begun anew").widens == ("first_opening",)


def test_a_record_that_has_its_beginning_knows_that_nothing_was_live():
    fleet = Fleet(dict.fromkeys(AT_ONE_PERCENT))
    fleet.set(KILL, b"false")
    for dial in DIALS:
        if dial not in {KILL, SHARE}:
            fleet.set(dial, dial.open_value or BROAD)

    assert fleet.set(SHARE, b"100").widens == ("first_opening",)


def test_a_release_of_all_at_once_is_judged_like_one_by_one():
    fleet = Fleet()
    fleet.set(KILL, b"true")

    wide = AT_ONE_PERCENT | {"rollout_percent": b"5", "allowlist": BROAD}

    assert not permission_to_release(fleet.situation(), wide).allowed
    assert permission_to_release(fleet.situation(), AT_ONE_PERCENT).allowed


def test_a_cap_that_was_lowered_is_raised_as_a_dimension():
    fleet = Fleet()
    fleet.set(spend_cap.DIAL, b"5")

    assert fleet.set(spend_cap.DIAL, b"6").widens == ("budget",)


VALUES = {dial: [dial.open_value, None] for dial in DIALS} | {
    KILL: [b"true", b"false", None],
    FEATURE: [b"true", b"false", None],
    POLICY: [NARROW, BROAD, NO_POLICY, None, b"{"],
    SHARE: [b"0", b"1", b"5", b"100", None, b"ten"],
}
commands = st.sampled_from([(dial, value) for dial in DIALS for value in VALUES[dial]])


@given(st.lists(st.tuples(commands, st.sampled_from([1, 60_000, WINDOW_MS // 2])), max_size=12))
def test_no_commands_of_one_window_exceed_what_was_live_in_more_than_one_dimension(sequence):
    fleet = Fleet()
    began = fleet.wall_ms
    for (dial, value), pause_ms in sequence:
        if fleet.wall_ms + pause_ms + 1000 - began >= WINDOW_MS:
            break
        fleet.step(pause_ms)
        try:
            fleet.set(dial, value)
        except ChangeRefused:
            continue
    beyond = {each for raw in fleet.lived for each in widened(AT_ONE_PERCENT, raw)}

    assert len(beyond) <= 1


@given(st.lists(commands, max_size=12), st.data())
def test_all_that_was_live_within_the_window_may_be_live_again(sequence, data):
    fleet = Fleet()
    for dial, value in sequence:
        fleet.set(dial, value, override="told to")
    again = data.draw(st.sampled_from(fleet.lived))
    fleet.outcomes = []
    fleet.step()

    assert permission_to_release(fleet.situation(), again).allowed


def test_what_was_noticed_in_the_moment_in_which_it_was_closed_was_live():
    fleet = Fleet(AT_ONE_PERCENT | {"allowlist": None})
    fleet.raw_set(POLICY, NARROW)
    fleet.step(-1000)
    fleet.set(FEATURE, b"false")
    fleet.set(SHARE, b"50")
    fleet.set(POLICY, BROAD)

    with pytest.raises(ChangeRefused, match="this widens allowlist and rollout at once"):
        fleet.set(FEATURE, b"true")


def test_what_lies_between_two_raw_commands_that_were_noticed_together_never_was():
    fleet = Fleet()
    fleet.raw_set(SHARE, b"100")
    fleet.step(-1000)
    fleet.raw_set(POLICY, NO_POLICY)

    with pytest.raises(ChangeRefused, match="this widens allowlist and rollout at once"):
        fleet.set(POLICY, BROAD)
