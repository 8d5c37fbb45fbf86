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
    return next(iter(nearest(word, candidates)), None)


def suggestion(word: str, candidates: Iterable[str]) -> str | None:
    """The hint that names what is near; of names that are equally near it names up to three, for a person to choose.

    Args:
        word: What was written.
        candidates: What could have been meant.
    """
    names = [f"`{name}`" for name in nearest(word, candidates)[:3]]
    if not names:
        return None
    *others, last = names
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def nearest(word: str, candidates: Iterable[str]) -> list[str]:
    """All candidates that are equally near to a word, and nearer than the others; in order of the alphabet.

    Args:
        word: What was written.
        candidates: What could have been meant.
    """
    if not word or len(word) > _LONGEST:
        return []
    folded, least = _fold(word), _slips(word)
    best: list[str] = []
    for candidate in sorted(set(candidates) - {word}):
        if len(candidate) > _LONGEST or abs(len(candidate) - len(word)) > least:
            continue
        distance = _distance(folded, _fold(candidate))
        if distance <= least:
            best = [*best, candidate] if distance == least else [candidate]
            least = distance
    return best


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
