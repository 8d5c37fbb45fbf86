"""The generic cell rate algorithm at the edge: what is not let through is refused, and nothing waits.

Its state is one number: the moment at which all that was granted is used up. Times are whole microseconds.
"""

from __future__ import annotations

from flowlang.engine.ports import Spent


def spend(used_up_us: int, now_us: int, *, step_us: int, cap_us: int, least: int, want: int) -> tuple[Spent, int]:
    """Grant up to `want`, or nothing when not even `least` can be.

    Args:
        used_up_us: The state; 0 at first.
        now_us: The time.
        step_us: Between two that follow one another evenly.
        cap_us: How far ahead of the time the state may be: the burst.
        least: Fewer are of no use.
        want: More are not.

    Returns:
        What was granted, and the state.
    """
    ahead_us = max(used_up_us - now_us, 0)
    granted = min(want, (cap_us - ahead_us) // step_us)
    if granted < least:
        return Spent(0, ahead_us + least * step_us - cap_us), used_up_us
    return Spent(granted, 0), now_us + ahead_us + granted * step_us
