"""What an outline draws: parts one below another, and lanes of parts beside one another inside of a part."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a part does; each has a look of its own."""

    CALL = "call"
    SEND = "send"
    WAIT = "wait"
    VALUE = "value"
    BLOCK = "block"
    PARALLEL = "parallel"
    RACE = "race"
    CHOICE = "choice"
    STOP = "stop"
    FAIL = "fail"
    START = "start"


@dataclass(frozen=True, slots=True)
class Lane:
    """Parts that follow one another, inside of a part.

    Attributes:
        label: What the lane is; empty: it needs no name.
        parts: From top to bottom.
        aside: Whether it is not the way that things go when all is well.
    """

    label: str
    parts: tuple[Part, ...]
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is done.

    Attributes:
        key: Unique in the outline.
        kind: What it does.
        title: Its name.
        notes: More lines: its condition, loop, limits.
        lanes: What lies inside it; none: it is one box.
        loops: Whether it is done more than once.
        ends: Whether nothing follows it.
        needs: Keys of the parts beside it that it comes after.
    """

    key: str
    kind: Kind
    title: str
    notes: tuple[str, ...] = ()
    lanes: tuple[Lane, ...] = ()
    loops: bool = False
    ends: bool = False
    needs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data; what is empty is left out."""
        found: dict[str, Any] = {"key": self.key, "kind": self.kind.value, "title": self.title}
        if self.notes:
            found["notes"] = list(self.notes)
        if self.loops:
            found["loops"] = True
        if self.ends:
            found["ends"] = True
        if self.needs:
            found["needs"] = list(self.needs)
        if self.lanes:
            found["lanes"] = [_lane_json(lane) for lane in self.lanes]
        return found


@dataclass(frozen=True, slots=True)
class Outline:
    """A whole picture.

    Attributes:
        title: What it shows.
        lanes: The main one first.
    """

    title: str
    lanes: tuple[Lane, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"title": self.title, "lanes": [_lane_json(lane) for lane in self.lanes]}


def _lane_json(lane: Lane) -> dict[str, Any]:
    found: dict[str, Any] = {"label": lane.label} if lane.label else {}
    if lane.aside:
        found["aside"] = True
    return {**found, "parts": [part.to_json() for part in lane.parts]}
