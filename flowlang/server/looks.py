"""When which run is looked at again: soon after somebody has begun to wait for it, then ever later. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Between two looks at a run: at first, at last, and how they grow; milliseconds.
FIRST_MS: Final = 50.0
LAST_MS: Final = 500.0
GROWTH: Final = 1.5
#: What is due within this time is looked at now, together with what is due already; milliseconds.
TOGETHER_MS: Final = 25.0


@dataclass(slots=True)
class _Look:
    due_ms: float
    pause_ms: float


class Looks:
    """The runs that are waited for, and when each is due."""

    def __init__(self) -> None:
        self._runs: dict[str, _Look] = {}

    def __bool__(self) -> bool:
        """Whether any run is waited for."""
        return bool(self._runs)

    def begin(self, run: str, now_ms: float) -> None:
        """Somebody waits for a run: it is looked at often again, also where others have waited for long."""
        self._runs[run] = _Look(now_ms + FIRST_MS, FIRST_MS)

    def end(self, run: str) -> None:
        """Nobody waits for a run any more."""
        self._runs.pop(run, None)

    def due(self, now_ms: float) -> list[str]:
        """The runs to be looked at now; each is due again after a pause that grows."""
        found = [run for run, look in self._runs.items() if look.due_ms <= now_ms + TOGETHER_MS]
        for run in found:
            pause_ms = min(LAST_MS, self._runs[run].pause_ms * GROWTH)
            self._runs[run] = _Look(now_ms + pause_ms, pause_ms)
        return found
