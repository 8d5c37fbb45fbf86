from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.diagnostics import did_you_mean, suggestion

KEYS = ["concurrency", "description", "id", "if", "invoke", "max_parallel", "on_failure", "retry", "steps", "timeout"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("stpes", "steps"),
        ("step", "steps"),
        ("Timeout", "timeout"),
        ("max-parallel", "max_parallel"),
        ("onfailure", "on_failure"),
        ("concurency", "concurrency"),
        ("retrys", "retry"),
        ("xx", None),
        ("frobnicate", None),
        ("", None),
        ("steps", None),
        ("s" * 100, None),
    ],
)
def test_the_near_name_is_found_and_far_ones_are_not_offered(word: str, expected: str | None) -> None:
    assert did_you_mean(word, KEYS) == expected


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=8))
def test_a_suggestion_is_one_of_the_candidates_and_never_the_word_itself(word: str, candidates: list[str]) -> None:
    suggestion = did_you_mean(word, candidates)
    assert suggestion is None or (suggestion in candidates and suggestion != word)
    assert suggestion == did_you_mean(word, list(reversed(candidates)))


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("stpes", "did you mean `steps`?"),
        ("xab", "did you mean `aab` or `bab`?"),
        ("xxb", None),
        ("colour", "did you mean `colourA`, `colourB` or `colourC`?"),
    ],
)
def test_of_equally_near_names_up_to_three_are_named(word: str, hint: str | None) -> None:
    names = ["steps", "bab", "aab", "colourD", "colourC", "colourB", "colourA"]
    assert suggestion(word, names) == hint
