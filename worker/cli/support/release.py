"""Releases the kill switches of several Redis: all of them, or none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gates import BrakeState, Controls
from gates.kill_switch import DIAL
from tasks.operations.changes.changing import Proposal, Situation
from tasks.operations.changes.dials import Change, RecordedChange
from tasks.operations.timefmt import counted
from worker.cli.support.dial_command import By, permit
from worker.cli.support.errors import CliError
from worker.cli.support.halt import Who, halt_fleet
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import named
from worker.cli.support.several import Target, at_once
from worker.cli.support.signals import termination_ignored
from worker.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """A release that is permitted as long as the dials are of `version`. `lines` say what it admits."""

    change: Change
    version: str
    was_halted: bool
    lines: list[str]


def release_all(
    places: Sequence[Target], by: By, admits: Callable[[Situation, Proposal], list[str]]
) -> dict[str, tuple[Checked, RecordedChange]]:
    """Release every one of `places`, and return by name what was done.

    Raises:
        CliError: one cannot be released. None is, or those that were are halted again, as the text says.

    """
    found = {place.name: checked for place, checked in at_once(places, partial(_check, by, admits))}
    problems = [f"{name}: {each}" for name, each in found.items() if isinstance(each, CliError)]
    if problems:
        raise CliError("\n".join([*problems, "none was released"]))
    checked = {name: each for name, each in found.items() if isinstance(each, Checked)}
    done: dict[str, tuple[Checked, RecordedChange]] = {}
    # One after the other, so that few are to be halted again; and to the end, whoever is in a hurry.
    with termination_ignored():
        for number, place in enumerate(places, 1):
            ((_, released),) = at_once([place], partial(_release, checked[place.name]))
            if isinstance(released, CliError):
                begun = [each for each in places[:number] if checked[each.name].was_halted]
                halted = _halt_again(begun, f"{place.name} could not be released", by)
                raise CliError("\n".join([f"{place.name}: {released}", *halted]))
            done[place.name] = checked[place.name], released
    return done


def _check(by: By, admits: Callable[[Situation, Proposal], list[str]], settings: Settings) -> Checked:
    with open_session(settings, warns=False) as session:
        situation = session.situation()
        proposal, change = permit(situation, DIAL, b"false", by, refused="nothing was changed")
        # A message may have halted workers while the key says `false`.
        latched = any(each.latched for each in session.fleet.workers())
        released = Controls.parse(situation.dials.raw).brake is BrakeState.RELEASED and not latched
        lines = [*admits(situation, proposal), proposal.effect.sentence]
        return Checked(change, situation.dials.version, not released, lines)


def _release(checked: Checked, settings: Settings) -> RecordedChange:
    with open_session(settings, warns=False) as session:
        return session.dials.change(checked.change, checked.version)


def _halt_again(places: Sequence[Target], why: str, by: By) -> list[str]:
    """Halt `places`: also the one whose release failed, for its answer alone may have been lost."""
    who = Who(named(by.actor), by.command, why)
    lines, unsure = [], []
    for place, halt in at_once(places, partial(halt_fleet, who)):
        if isinstance(halt, CliError):
            lines.append(f"{place.name}: {halt}")
        else:
            sure = counted(len(halt.confirmed), "worker", of=halt.number)
            how = "halted again" if halt.engaged.key_set else "halted by a message alone, its key is NOT SET"
            lines.append(f"{place.name}: {how}; {sure} confirmed")
        if isinstance(halt, CliError) or not halt.engaged.key_set or len(halt.confirmed) < halt.number:
            unsure.append(place.name)
    if not unsure:
        return [*lines, "none is released by this"]
    again = "halt all until each is confirmed: slotgen kill --each FILE --keep-trying 1h"
    return [*lines, f"NOT SURE TO BE HALTED: {', '.join(unsure)}; {again}"]
