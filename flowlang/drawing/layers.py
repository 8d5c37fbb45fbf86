"""Where the spots of a network stand: in columns, so that links lead to the right wherever they can.

Links that lead back are found by a walk in the given order; columns are the longest ways; within a column spots are put
near those that they are linked to. Links over more than one column go through points of their own. (Sugiyama's method.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

#: How often the order within the columns is improved; more changes little.
_SWEEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Layers:
    """An arrangement.

    Attributes:
        columns: Keys from left to right, each column from top to bottom; points of long links are `(link, column)`.
        ways: For each link, by position, what it goes through from source to target, both included.
        back: Positions of the links that lead back, whose ways are from target to source.
    """

    columns: tuple[tuple[object, ...], ...]
    ways: tuple[tuple[object, ...], ...]
    back: frozenset[int]


def arranged(keys: Sequence[str], links: Sequence[tuple[str, str]]) -> Layers:
    """Put the spots of a network into columns.

    Args:
        keys: Of all spots.
        links: Source and target of each.
    """
    back = _leading_back(keys, links)
    forward = [(b, a) if number in back else (a, b) for number, (a, b) in enumerate(links)]
    column = _columns(keys, forward)
    count = max(column.values(), default=-1) + 1
    columns: list[list[object]] = [[] for _ in range(count)]
    for key in keys:
        columns[column[key]].append(key)
    ways: list[tuple[object, ...]] = []
    beside: dict[object, list[object]] = {}
    for number, (source, target) in enumerate(forward):
        points: list[object] = [(number, at) for at in range(column[source] + 1, column[target])]
        for at, each in enumerate(points, start=column[source] + 1):
            columns[at].append(each)
        way: list[object] = [source, *points, target] if source != target else [source]
        for one, other in pairwise(way):
            beside.setdefault(one, []).append(other)
            beside.setdefault(other, []).append(one)
        ways.append(tuple(way))
    _order(columns, beside)
    return Layers(tuple(tuple(each) for each in columns), tuple(ways), back)


def _leading_back(keys: Sequence[str], links: Sequence[tuple[str, str]]) -> frozenset[int]:
    """Links that close a circle, in a walk that begins where nothing leads to."""
    after: dict[str, list[tuple[int, str]]] = {key: [] for key in keys}
    reached = set()
    for number, (source, target) in enumerate(links):
        after[source].append((number, target))
        if source != target:
            reached.add(target)
    back: set[int] = set()
    done: set[str] = set()
    for first in sorted(keys, key=lambda key: key in reached):
        if first in done:
            continue
        way = {first: iter(after[first])}
        while way:
            here = next(reversed(way))
            step = next(way[here], None)
            if step is None:
                done.add(here)
                del way[here]
            elif step[1] in way:
                back.add(step[0])
            elif step[1] not in done:
                way[step[1]] = iter(after[step[1]])
    return frozenset(back)


def _columns(keys: Sequence[str], forward: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The column of each spot: behind the last of those that lead to it."""
    after: dict[str, list[str]] = {key: [] for key in keys}
    waiting = dict.fromkeys(keys, 0)
    for source, target in forward:
        if source != target:
            after[source].append(target)
            waiting[target] += 1
    column = dict.fromkeys(keys, 0)
    ready = [key for key in keys if not waiting[key]]
    for key in ready:  # grows while it is walked
        for target in after[key]:
            column[target] = max(column[target], column[key] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return column


def _order(columns: list[list[object]], beside: Mapping[object, list[object]]) -> None:
    """Sort each column by the middle of what its spots are linked to in the column before, or behind."""
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        order = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for at in order:
            fixed = {key: place for place, key in enumerate(columns[at - 1 if forth else at + 1])}
            middles: dict[object, float] = {}
            for place, key in enumerate(columns[at]):
                places = [fixed[other] for other in beside.get(key, ()) if other in fixed]
                middles[key] = sum(places) / len(places) if places else float(place)
            columns[at].sort(key=lambda key: middles[key])
