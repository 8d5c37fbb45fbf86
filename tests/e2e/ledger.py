"""The witness outside the store: what the handlers of `project` have written down."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

#: A run and a step's instance in it.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a handler has begun, ended, or was told to stop."""

    kind: str
    run: str
    step: str
    attempt: int
    key: str
    pid: int
    at_ns: int
    wall_ms: int = 0

    @property
    def place(self) -> Place:
        """Where in which run."""
        return self.run, self.step


class Ledger:
    """A file of lines.

    Args:
        path: Its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def lines(self, kind: str | None = None) -> list[Line]:
        """What has been written so far; a last line that is only half there is left out."""
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        found = [Line(**json.loads(line)) for line in whole.splitlines()]
        return [line for line in found if kind is None or line.kind == kind]

    def open_in(self, pid: int) -> list[Line]:
        """Handlers that have begun and not ended in a process that stands still."""
        begun = {line.place: line for line in self.lines("begin") if line.pid == pid}
        for line in self.lines("end"):
            begun.pop(line.place, None)
        return list(begun.values())

    def calls(self) -> Counter[Place]:
        """How often each instance was begun."""
        return Counter(line.place for line in self.lines("begin"))

    def check_attempts(self) -> None:
        """Assert that all calls of an instance were the same attempt under one key, which no other instance has."""
        seen: dict[Place, set[tuple[int, str]]] = defaultdict(set)
        for line in self.lines("begin"):
            seen[line.place].add((line.attempt, line.key))
        assert {place: found for place, found in seen.items() if len(found) != 1} == {}
        keys = [key for found in seen.values() for _, key in found]
        assert len(set(keys)) == len(keys)
