"""Waiting for a run to end, by looking again and again: the store has no way to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from flowlang.cli.shapes import plural
from flowlang.clock import monotonic_ms

if TYPE_CHECKING:
    from flowlang.service import Service
    from flowlang.service.views import RunDetail

#: Between the first two looks, in seconds; it grows to the longest wait, so that a short run is answered at once and a
#: long one costs little.
_FIRST_S: Final = 0.05
_LONGEST_S: Final = 1.0


def await_end(
    service: Service,
    run: str,
    timeout: float | None,
    show: Callable[[str], None],
    pause: Callable[[float], object] | None = None,
) -> RunDetail:
    """Wait until a run has ended, or the one that it was merged into.

    Args:
        service: The use cases.
        run: Its id.
        timeout: Longest wait in seconds; None waits as long as it takes.
        show: Told how it goes, in a few words.
        pause: Waits so many seconds; by default really.

    Returns:
        The run as it was at the last look; `run.ended_at` is None when the time ran out.
    """
    wait = pause or threading.Event().wait
    begun = monotonic_ms()
    step_s = _FIRST_S
    while True:
        detail = service.run(run)
        if detail.run.merged_into is not None:
            run = detail.run.merged_into
            continue
        if detail.run.ended_at is not None:
            return detail
        left = None if timeout is None else timeout - (monotonic_ms() - begun) / 1000
        if left is not None and left <= 0:
            return detail
        show(_state(detail))
        wait(step_s if left is None else min(step_s, left))
        step_s = min(step_s * 1.5, _LONGEST_S)


def _state(detail: RunDetail) -> str:
    ended = sum(step.ended_at is not None for step in detail.steps)
    waits = [name.partition("|")[2] for name in detail.timers if name.partition("|")[2].startswith("retry:")]
    retry = f", {waits[0].removeprefix('retry:')} is tried again later" if waits else ""
    return f"{detail.run.status}, {plural(ended, 'step')} ended{retry}"
