"""Sets of jobs as boxes: one set of values for each field a rule has, and every combination of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gates.rule import FIELDS, AllowRule

Box = tuple[frozenset[str], ...]
# The values of a longer list are not looked up one by one: it counts as touching every box.
_MOST_LOOKUPS = 64


class ComplexityLimit(Exception):  # noqa: N818 - says what is the matter
    """The answer would take too many steps."""


def cell_of(rule: AllowRule, every_slot: frozenset[str]) -> Box:
    """Return the jobs that `rule` alone matches; `every_slot` stands for an empty `slotIds`."""
    return (*rule.lists[:-1], rule.slot_ids or every_slot)


def overlap(one: Box, other: Box) -> Box:
    """Return what is in both; a box with an empty field is empty."""
    return tuple(mine & theirs for mine, theirs in zip(one, other, strict=True))


@dataclass(frozen=True, slots=True)
class Cells:
    """Numbered boxes, indexed so that a box's neighbours are found without trying each.

    Sets of them are integers: bit i is box i, as in `Allowlist`.
    """

    cells: Sequence[Box]
    _indexes: tuple[dict[str, int], ...]
    _long: tuple[int, ...]

    @classmethod
    def of(cls, cells: Sequence[Box]) -> Cells:
        """Return `cells`, numbered in their order."""
        fields = [[cell[field] for cell in cells] for field in range(len(FIELDS))]
        return cls(cells, tuple(_index(lists) for lists in fields), tuple(_long(lists) for lists in fields))

    def touching(self, cell: Box) -> int:
        """Return every box that overlaps `cell`, and possibly some that do not."""
        found = (1 << len(self.cells)) - 1
        for values, index, long in zip(cell, self._indexes, self._long, strict=True):
            if len(values) <= _MOST_LOOKUPS:
                held = long
                for value in values:
                    held |= index.get(value, 0)
                found &= held
        return found

    def _held(self, cell: Box, covers: int) -> bool:
        """Whether one of `covers` contains all of `cell`: most pieces end so, not in ever smaller ones."""
        for values, index, long in zip(cell, self._indexes, self._long, strict=True):
            for value in values if len(values) <= _MOST_LOOKUPS else ():
                covers &= index.get(value, 0) | long
            if not covers:
                return False
        return any(overlap(cell, self.cells[number]) == cell for number in numbers(covers))

    def outside(self, cell: Box, covers: int, steps: Iterator[int]) -> Iterator[Box]:
        """Yield what is left of `cell` once `covers` are cut away, as boxes that do not overlap.

        Raises:
            ComplexityLimit: the `steps`, one for each piece, have run out.

        """
        pieces = [(cell, covers)] if all(cell) else []
        while pieces:
            piece, near = pieces.pop()
            if next(steps, None) is None:
                raise ComplexityLimit
            near &= self.touching(piece)
            if self._held(piece, near):
                continue
            if not near:
                yield piece
                continue
            first = near & -near
            cut = _outside(piece, self.cells[first.bit_length() - 1])
            pieces.extend((rest, near ^ first) for rest in cut)


def numbers(bits: int) -> Iterator[int]:
    """Yield the numbers in a set of boxes, lowest first."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _index(lists: Iterable[frozenset[str]]) -> dict[str, int]:
    index: dict[str, int] = {}
    for number, values in enumerate(lists):
        for value in values if len(values) <= _MOST_LOOKUPS else ():
            index[value] = index.get(value, 0) | 1 << number
    return index


def _long(lists: Iterable[frozenset[str]]) -> int:
    return sum(1 << number for number, values in enumerate(lists) if len(values) > _MOST_LOOKUPS)


def _outside(piece: Box, other: Box) -> Iterator[Box]:
    if not all(overlap(piece, other)):
        yield piece
        return
    inside: Box = ()
    for number, (mine, theirs) in enumerate(zip(piece, other, strict=True)):
        if mine - theirs:
            yield (*inside, mine - theirs, *piece[number + 1 :])
        inside = (*inside, mine & theirs)
