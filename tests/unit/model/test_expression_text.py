from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.model.expression_text import left_open, quoted, template_regions
from flowlang.model.yaml_source import read_yaml
from flowlang.source import SourceText


@pytest.mark.parametrize(
    ("text", "regions", "unclosed"),
    [
        ("plain", [], None),
        ("${{ a }}", ["${{ a }}"], None),
        ("x ${{ a }} y ${{ b }}", ["${{ a }}", "${{ b }}"], None),
        ("${{ {'a': {'b': 1}} }}", ["${{ {'a': {'b': 1}} }}"], None),
        ("${{ '}}' }}!", ["${{ '}}' }}"], None),
        ("${{ r'\\' }} ${{ b }}", ["${{ r'\\' }}", "${{ b }}"], None),
        ("${{ '''}}''' }}", ["${{ '''}}''' }}"], None),
        ("$${{ a }} ${{ b }}", ["${{ b }}"], None),
        ("${{ it's }}", ["${{ it's }}"], None),
        ("ok ${{ a", [], 3),
        ("${{ a }} ${{ b }", ["${{ a }}"], 9),
    ],
)
def test_templates_are_found(text: str, regions: list[str], unclosed: int | None) -> None:
    found, rest = template_regions(text)
    assert [text[region.start : region.end] for region in found] == regions
    assert rest == unclosed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a(b)", None),
        ("a(b", "("),
        ("[1, {2}", "["),
        ("x == 'a", "'"),
        ('"a\\"', '"'),
        ("r'\\'", None),
        ("'(' + b", None),
        (")(", "("),
    ],
)
def test_what_is_left_open_is_named(text: str, expected: str | None) -> None:
    assert left_open(text) == expected


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_quoted_text_is_read_back(text: str) -> None:
    [document], found = read_yaml(SourceText("t", f"description: {quoted(text)}"))
    assert found == []
    assert document.data() == {"description": text}
