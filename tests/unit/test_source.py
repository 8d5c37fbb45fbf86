from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.source import SourceText, Span


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("", 0, (1, 1)),
        ("ab\ncd", 1, (1, 2)),
        ("ab\ncd", 3, (2, 1)),
        ("ab\r\ncd", 4, (2, 1)),
        ("ab\rcd", 3, (2, 1)),
        ("a\n", 2, (2, 1)),
        ("😀x", 1, (1, 2)),
        ("ab", 99, (1, 3)),
        ("ab", -5, (1, 1)),
    ],
)
def test_lines_and_columns_count_code_points_from_one(text: str, offset: int, expected: tuple[int, int]) -> None:
    assert SourceText("f", text).position(offset) == expected


def test_a_span_knows_both_of_its_ends() -> None:
    assert SourceText("f.yaml", "ab\ncde").span(1, 5) == Span("f.yaml", 1, 5, 1, 2, 2, 3)


def test_a_span_is_moved_into_the_text_and_put_in_order() -> None:
    source = SourceText("f", "abc")
    assert source.span(2, 1) == source.span(2, 2)
    assert source.span(-3, 50) == source.span(0, 3)


def test_an_excerpt_has_every_line_that_the_span_touches_without_its_break() -> None:
    source = SourceText("f", "one\r\ntwo\nthree\n")
    assert source.excerpt(source.span(1, 7)) == ((1, "one"), (2, "two"))


def test_a_line_that_is_not_there_is_an_error() -> None:
    with pytest.raises(IndexError, match="line 3 of 2"):
        SourceText("f", "a\nb").line_text(3)


@given(st.text(alphabet="ab\n\r é😀"), st.integers(0, 30))
def test_a_position_leads_back_to_its_offset(text: str, offset: int) -> None:
    source = SourceText("f", text)
    offset = min(offset, len(text))
    line, column = source.position(offset)
    assert source.line_start(line) + column - 1 == offset
    assert 1 <= line <= source.line_count
