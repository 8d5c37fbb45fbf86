from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flowlang.model.yaml_nodes import Scalar, YamlDocument, scalars
from flowlang.model.yaml_offsets import map_offsets
from flowlang.model.yaml_source import read_yaml
from flowlang.source import SourceText


def document_of(text: str) -> YamlDocument:
    [document], found = read_yaml(SourceText("t.yaml", text))
    assert [item for item in found if item.severity == "error"] == []
    return document


@pytest.mark.parametrize(
    ("text", "part", "place"),
    [
        ("k: steps.a.b > 1", "a.b", (1, 10, 13)),
        ("k: 'it''s steps.a'", "steps.a", (1, 11, 18)),
        ('k: "x\\ty steps.a"', "steps.a", (1, 10, 17)),
        ('k: "\\u00e9\\" steps.a"', "steps.a", (1, 14, 21)),
        ('k: "a \\\n   steps.a"', "steps.a", (2, 4, 11)),
        ("k: a &&\n   steps.a\n     || b", "steps.a", (2, 4, 11)),
        ("k: a &&\n   b\n\n   steps.a", "steps.a", (4, 4, 11)),
        ("k: |\n  a &&\n    steps.a\n", "steps.a", (3, 5, 12)),
        ("k: |2-\n   a\n  steps.a", "steps.a", (3, 3, 10)),
        ("k: >-\n  a &&\n  steps.a\n", "steps.a", (3, 3, 10)),
        ("k: >\n  a\n\n    more\n  b\n\n\n  steps.a\n\n", "steps.a", (8, 3, 10)),
        ("k: 'a\n\n  steps.a'", "steps.a", (3, 3, 10)),
        ("k: >+ # note\n\n a\n steps.a\n\n", "steps.a", (4, 2, 9)),
        ("x: 😀\nk: '😀 steps.a'", "steps.a", (2, 7, 14)),
    ],
)
def test_a_part_of_a_value_is_found_in_the_file(text: str, part: str, place: tuple[int, int, int]) -> None:
    document = document_of(text)
    value = document.data()["k"]
    start = value.index(part)
    span = document.span_in(("k",), start, start + len(part))
    assert (span.line, span.column, span.end_column) == place


def test_the_end_of_a_value_is_a_place_too() -> None:
    document = document_of("k: 'ab'")
    assert document.span_in(("k",), 2, 2).column == 7
    assert document.span_in(("k",), 0, 99).end_column == 7


def test_an_empty_value_gives_its_own_place() -> None:
    assert document_of('k: ""').span_in(("k",), 0, 0).column == 4


def test_a_value_that_cannot_be_followed_gives_the_whole_scalar() -> None:
    document = document_of("k: a\u2028 b")
    span = document.span_in(("k",), 1, 2)
    assert span.column == 4


LINES = st.lists(st.text(alphabet="ab '\"\\#:é", max_size=8), min_size=1, max_size=5)


def followed(text: str) -> None:
    """Every character of every scalar is found again, or stands for a break or an escape."""
    documents, _ = read_yaml(SourceText("t.yaml", text))
    for document in documents:
        for scalar in scalars(document.root):
            check(text, scalar)


def check(text: str, scalar: Scalar) -> None:
    places = map_offsets(text, scalar.start, scalar.end, scalar.style, scalar.text)
    assert places is not None, (text, scalar)
    assert len(places) == len(scalar.text)
    for char, (start, end) in zip(scalar.text, places, strict=True):
        assert 0 <= start <= end <= len(text)
        written = text[start:end]
        assert char in {" ", "\n"} or written == char or written[0] in {"\\", "'"}


@settings(max_examples=300)
@given(LINES, st.sampled_from(["|", "|-", "|+", ">", ">-", ">+"]), st.integers(1, 4))
def test_block_scalars_are_followed(lines: list[str], header: str, indent: int) -> None:
    followed(f"k: {header}\n" + "".join(" " * indent + line + "\n" for line in lines))


@settings(max_examples=300)
@given(LINES, st.sampled_from(["", "'", '"']), st.integers(1, 4), st.booleans())
def test_flow_scalars_are_followed(lines: list[str], quote: str, indent: int, blank: bool) -> None:
    body = ("\n\n" if blank else "\n").join(" " * indent + line for line in lines)
    if quote == "'":
        body = body.replace("'", "''")
    if quote == '"':
        body = body.replace('"', '\\"')
    followed(f"k: {quote}{body}{quote}\n")


@given(st.text(max_size=20))
def test_json_texts_are_followed(value: str) -> None:
    text = f"k: {json.dumps(value)}"
    documents, _ = read_yaml(SourceText("t.yaml", text))
    assume(documents)
    document = documents[0]
    places = map_offsets(text, 3, len(text), '"', document.data()["k"])
    assert "\\ud" in text or (places is not None and len(places) == len(value))
