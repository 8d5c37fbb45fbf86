"""An ordered set: members by score, equal scores by the member's own order; the shape of a Redis sorted set."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator


class Ranked:
    """Members with scores, kept in order."""

    __slots__ = ("_order", "_scores")

    def __init__(self) -> None:
        self._order: list[tuple[int, str]] = []
        self._scores: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, member: str) -> bool:
        return member in self._scores

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(self._order)

    def put(self, member: str, score: int) -> None:
        """Add a member or move it."""
        self.drop(member)
        self._scores[member] = score
        insort(self._order, (score, member))

    def drop(self, member: str) -> bool:
        """Take a member out; tell whether it was there."""
        score = self._scores.pop(member, None)
        if score is None:
            return False
        del self._order[bisect_left(self._order, (score, member))]
        return True

    def score(self, member: str) -> int | None:
        """A member's score."""
        return self._scores.get(member)

    def first(self) -> tuple[int, str] | None:
        """Lowest score and its member."""
        return self._order[0] if self._order else None

    def up_to(self, score: int, limit: int) -> list[str]:
        """First `limit` members of at most this score."""
        end = bisect_right(self._order, score, key=_score_of)
        return [member for _, member in self._order[: min(end, limit)]]

    def count_up_to(self, score: int) -> int:
        """How many members have at most this score."""
        return bisect_right(self._order, score, key=_score_of)


def _score_of(entry: tuple[int, str]) -> int:
    return entry[0]
