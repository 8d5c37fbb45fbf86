"""The near name: what somebody who misspelt a word most likely meant."""

from __future__ import annotations

from collections.abc import Iterable

#: Longer words are not compared: the cost grows with the product of the lengths.
_LONGEST = 64


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is nearest to a word, or None when none is near.

    Near is one slip in three letters: a letter too many, missing, changed, or two neighbours swapped. Case, and `-`
    written for `_`, cost nothing.

    Args:
        word: What was written.
        candidates: What could have been meant; of equally near ones the first in order of the alphabet wins.
    """
    if not word or len(word) > _LONGEST:
        return None
    folded = _fold(word)
    best: tuple[int, str] | None = None
    for candidate in sorted(set(candidates) - {word}):
        if len(candidate) > _LONGEST or abs(len(candidate) - len(word)) > _slips(word):
            continue
        distance = _distance(folded, _fold(candidate))
        if distance <= _slips(word) and (best is None or distance < best[0]):
            best = (distance, candidate)
    return best[1] if best else None


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_")


def _slips(word: str) -> int:
    """How many slips are forgiven in a word: of two letters none, else one in three, at most three."""
    return min(len(word) // 3, 3)


def _distance(left: str, right: str) -> int:
    """Edit distance that counts a swap of neighbours as one slip (optimal string alignment)."""
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        current = [i]
        for j, b in enumerate(right, start=1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]
