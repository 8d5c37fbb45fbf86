"""The rows that a check looks at, in the one form in which both backends give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from flowlang.engine.reference.tables import SCOPE_DEPTH

LIVE = frozenset({"pending", "running"})
ENDED = frozenset({"succeeded", "failed", "cancelled", "skipped"})


class Entry(NamedTuple):
    """A member of an index.

    Attributes:
        kind: Name of the index, as `store.keys` has it.
        key: What follows its name; empty for those that exist once.
        member: The member.
    """

    kind: str
    key: str
    member: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a scope asks of gates.

    Attributes:
        member: Its place in the line of the first gate; empty: it has not been asked.
        kind: `slot`, `pace` or `window`; empty when no gate is left.
        key: Of the first gate.
        limit: Of a slot.
    """

    member: str
    kind: str = ""
    key: str = ""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class ScopeFacts:
    """A scope's row.

    Attributes:
        facts: How many are in its inbox.
        places: (key, member) of places at gates.
    """

    status: str
    parent: str | None = None
    queue: str = ""
    group: str | None = None
    facts: int = 0
    timers: tuple[str, ...] = ()
    waits: frozenset[str] = frozenset()
    asked: Asked | None = None
    places: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group's row.

    Attributes:
        startable: A child could start if the group were open and had room.
    """

    parent: str
    total: int
    max_parallel: int
    next: int
    alive: int
    closed: bool
    fired: bool
    startable: bool


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """A run's own place at a gate."""

    key: str
    member: str
    state: str
    limit: int
    active: int
    wanting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunHead:
    """What one run needs to know of another."""

    status: str
    parent: str | None
    root: str

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.status in LIVE


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run with its rows; for an entry of an index only with the scope that it is about.

    Attributes:
        under: Of a root with a family: runs below it that have not ended.
        waits: (scope, wait) → its keys.
        left_ms: Part → milliseconds until the server drops it, None: never; of parts that are there. None as a whole:
            the backend has no such thing.
    """

    id: str
    pipeline: str
    version: str
    status: str
    created_ms: int
    ended: bool
    root: str
    parent: str | None = None
    under: int | None = None
    admitting: bool = False
    slot: SlotFacts | None = None
    scopes: Mapping[str, ScopeFacts] = field(default_factory=dict)
    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    waits: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    children: frozenset[str] = frozenset()
    followers: frozenset[str] = frozenset()
    family: frozenset[str] = frozenset()
    left_ms: Mapping[str, int | None] | None = None

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.status in LIVE

    def under_living(self, scope: ScopeFacts) -> bool:
        """Whether no scope above this one has ended."""
        parent = scope.parent
        for _ in range(SCOPE_DEPTH):
            if parent is None:
                return True
            above = self.scopes.get(parent)
            if above is None or above.status == "ended":
                return False
            parent = above.parent
        return False


class Index(Protocol):
    """What a judgement may ask beside the rows of its run; all answers are of one moment."""

    def score(self, kind: str, key: str, member: str) -> int | None:
        """A member's score in an index; None: it is not there. Of sets and hashes 0."""

    def head(self, run: str) -> RunHead | None:
        """Another run."""

    def awaited(self, run: str, scope: str) -> bool:
        """Whether a run that has not ended will tell this scope of its end."""
