"""Pages of a list of which somebody may see a part: read on behind what is not for them, and not without end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

Row = TypeVar("Row")

#: Rows that are read at a time while some of them may be left out.
ROWS: Final = 200

#: Times that a page reads on; it is a short one then, and still names where the next one begins.
_READS: Final = 10


def page_of(
    read: Callable[[str | None, int], Sequence[Row]],
    name: Callable[[Row], str],
    *,
    may: Callable[[Row], bool] | None,
    before: str | None,
    limit: int,
) -> tuple[list[Row], str | None]:
    """A page.

    Args:
        read: Rows after a name, at most so many; fewer only at the end.
        name: Of a row.
        may: Whether a row may be seen; None: all may.
        before: Go on after this name of the last page.
        limit: At most so many.

    Returns:
        The rows, and where the next page begins; None: there is none.
    """
    found: list[Row] = []
    size = limit if may is None else ROWS
    for _ in range(_READS):
        rows = read(before, size)
        for row in rows:
            before = name(row)
            if may is None or may(row):
                found.append(row)
                if len(found) == limit:
                    return found, before
        if len(rows) < size:
            return found, None
    return found, before
