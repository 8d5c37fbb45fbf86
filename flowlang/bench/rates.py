"""What follows from the moments at which things ended: rates and percentiles."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

#: Share of the ends that is left out at the beginning: workers are still starting.
WARM = 0.1

#: Most windows into which the rest is cut; one that the machine disturbs does not count then.
WINDOWS = 9

#: Ends that a window needs at least: several of them come from one flush, at the same moment.
LEAST = 50


def rate(ends_s: Sequence[float]) -> float:
    """Ends a second: the median of windows with the same number of ends each.

    Args:
        ends_s: When things ended, in seconds, in any order; at least three.

    Raises:
        ValueError: when there are fewer, or all ended at the same moment.
    """
    ends = sorted(ends_s)
    ends = ends[int(len(ends) * WARM) :]
    if len(ends) < 3 or ends[0] == ends[-1]:
        raise ValueError(f"{len(ends_s)} ends tell no rate; measure more")
    windows = max(1, min(WINDOWS, (len(ends) - 1) // LEAST))
    edges = [round(number * (len(ends) - 1) / windows) for number in range(windows + 1)]
    spans = [(last - first, ends[last] - ends[first]) for first, last in pairwise(edges)]
    # A window without a length says that the clock is too coarse for it, not that the rate is infinite.
    if any(span <= 0 for _, span in spans):
        return (len(ends) - 1) / (ends[-1] - ends[0])
    return statistics.median(count / span for count, span in spans)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies.

    Args:
        values: In any order, at least one.
        share: 0 to 1.
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
