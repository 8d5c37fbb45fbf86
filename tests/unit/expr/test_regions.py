"""Expressions inside texts are found by the lexer, in whole ones and in ones that YAML cut."""

from __future__ import annotations

import pytest

from flowlang.expr.regions import left_open, template_regions


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
        ("${{ b'}}' + b\"}}\" }}", ["${{ b'}}' + b\"}}\" }}"], None),
        ("${{ 'a\\'}}' }}", ["${{ 'a\\'}}' }}"], None),
        ("${{ a // }}\n }}", ["${{ a // }}\n }}"], None),
        ("${{ a // }}", ["${{ a // }}"], None),
        ("${{}}", ["${{}}"], None),
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
