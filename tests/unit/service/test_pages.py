"""Pages of a list of which somebody may see a part."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowlang.service.pages import ROWS, page_of


class Rows:
    """A list of numbers as names, and how it was read."""

    def __init__(self, count: int) -> None:
        self.names = [f"{number:05d}" for number in range(count)]
        self.reads: list[int] = []

    def read(self, before: str | None, size: int) -> list[str]:
        self.reads.append(size)
        start = 0 if before is None else self.names.index(before) + 1
        return self.names[start : start + size]

    def all(self, may: Callable[[str], bool] | None, limit: int) -> list[list[str]]:
        pages, before = [], None
        while True:
            found, before = page_of(self.read, str, may=may, before=before, limit=limit)
            pages.append(found)
            if before is None:
                return pages


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 2_500])
@pytest.mark.parametrize("limit", [1, 10, 200])
@pytest.mark.parametrize("each", [1, 3, 700])
def test_all_pages_together_are_what_may_be_seen_in_order(count: int, limit: int, each: int) -> None:
    rows = Rows(count)
    pages = rows.all(lambda name: int(name) % each == 0, limit)
    assert [name for page in pages for name in page] == rows.names[::each]
    assert all(len(page) <= limit for page in pages)


def test_who_may_see_all_reads_no_more_than_is_asked_for() -> None:
    rows = Rows(25)
    assert [len(page) for page in rows.all(None, 10)] == [10, 10, 5]
    assert rows.reads == [10, 10, 10]


def test_a_page_of_one_who_may_see_little_ends_and_names_where_the_next_one_begins() -> None:
    rows = Rows(3_000)
    found, after = page_of(rows.read, str, may=lambda name: name == "02999", before=None, limit=5)
    assert (found, rows.reads) == ([], [ROWS] * 10)
    assert page_of(rows.read, str, may=lambda name: name == "02999", before=after, limit=5) == (["02999"], None)
