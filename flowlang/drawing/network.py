"""What a network draws: spots, and links that lead from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Sort(StrEnum):
    """What a spot is; each has a look of its own."""

    PIPELINE = "pipeline"
    EVENT = "event"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Spot:
    """Something that has a name.

    Attributes:
        key: Unique in the network.
        sort: What it is.
        title: Its name.
    """

    key: str
    sort: Sort
    title: str


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """One spot leads to another.

    Attributes:
        source: Key of the one.
        target: Key of the other.
        label: How; empty: as is to be expected.
        weak: Whether it starts nothing.
    """

    source: str
    target: str
    label: str = ""
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """A whole picture.

    Attributes:
        title: What it shows.
        spots: In the order in which they are listed.
        links: Each once.
    """

    title: str
    spots: tuple[Spot, ...]
    links: tuple[Link, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {
            "title": self.title,
            "nodes": [{"id": spot.key, "kind": spot.sort.value, "name": spot.title} for spot in self.spots],
            "edges": [
                {"from": link.source, "to": link.target, "label": link.label, "starts": not link.weak}
                for link in self.links
            ],
        }
