"""What the handler `bench.note` wrote down: when each call began."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Began:
    """When a call began, by the clock for spans and by that of the day; nanoseconds."""

    monotonic_ns: int
    wall_ns: int


class Notes:
    """The file that workers append to.

    Args:
        path: Of the file, which begins anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pause = threading.Event()
        path.write_text("")

    @property
    def environ(self) -> dict[str, str]:
        """Variables of workers that write here."""
        return {"BENCH_NOTES": str(self.path)}

    def read(self) -> dict[int, Began]:
        """All that is noted, by number."""
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return {int(n): Began(int(monotonic), int(wall)) for n, monotonic, wall in lines}

    def wait(self, count: int) -> dict[int, Began]:
        """Wait until so much is noted."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._pause.wait(0.005)  # first: whoever has just sent something is in nobody's way meanwhile
            found = self.read()
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(found)} of {count} calls have begun, and no more come")
