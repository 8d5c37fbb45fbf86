"""Whatever spelling a hidden value has in a text or in data, nothing of it is left; and what is none of it stays."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.redaction import HIDDEN, HIDE_ALL, MOST, KnownSecrets, Mask, spellings

VALUE = "s3cr3t-välue/+ ~~~???>>> 'q\"\\ \n4242"
texts = st.text(st.characters(codec="utf-8"), min_size=4, max_size=30)


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        quote(VALUE, safe="").lower(),
        urlencode({"key": VALUE}),
        json.dumps({"key": VALUE}),
        json.dumps({"key": VALUE}, ensure_ascii=False),
        repr(VALUE),
        repr({"key": VALUE}),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        base64.b64encode(f"user:{VALUE}".encode()).decode(),
        base64.b64encode(f"users:{VALUE}:more".encode()).decode(),
        base64.b64encode(f"u:{VALUE}x".encode()).decode(),
    ],
)
def test_a_value_is_hidden_in_each_spelling(written: str) -> None:
    cleaned = Mask([VALUE]).text(f"before {written} behind")
    assert HIDDEN in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" behind")
    assert not any(spelling in cleaned for spelling in spellings(VALUE))


@given(texts, st.text(max_size=20), st.text(max_size=20))
def test_no_spelling_of_a_value_is_left_in_a_text(value: str, before: str, behind: str) -> None:
    mask = Mask([value])
    for spelling in spellings(value):
        assert HIDDEN in mask.text(f"{before}{spelling}{behind}")


@given(st.lists(texts, max_size=4), st.text(max_size=40))
def test_a_text_without_any_value_stays_as_it_is(values: list[str], text: str) -> None:
    if not any(spelling in text for value in values for spelling in spellings(value)):
        assert Mask(values).text(text) == text


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"card": "4242424242424242", "n": 1}, {"card": HIDDEN, "n": 1}),
        (["x 4242424242424242 y"], [f"x {HIDDEN} y"]),
        ({"4242424242424242": 0}, {HIDDEN: 0}),
        ({"pin": 90125, "text": "it is 90125, not 901256"}, {"pin": HIDDEN, "text": f"it is {HIDDEN}, not 901256"}),
        ({"pin": 90125.0, "no": 1.5, "yes": True, "null": None}, {"pin": HIDDEN, "no": 1.5, "yes": True, "null": None}),
        ("ab", HIDDEN),
        ("cab", "cab"),
        ({"short": "ab"}, {"short": HIDDEN}),
    ],
)
def test_data_is_cleaned_wherever_a_value_stands(data: Any, shown: Any) -> None:
    assert Mask(["4242424242424242", 90125, "ab", 1.5, True, None]).tree(data) == shown


def test_a_mask_of_nothing_changes_nothing() -> None:
    data = {"a": [1, "b"]}
    assert Mask().tree(data) is data
    assert not Mask([None, True])
    assert Mask(["long enough"]) | Mask(["another one"])


def test_masks_add_up() -> None:
    both = Mask(["first-one"]) | Mask(["other-one"])
    assert both.text("first-one other-one third-one") == f"{HIDDEN} {HIDDEN} third-one"


def test_secrets_are_known_from_when_they_were_handed_out() -> None:
    known = KnownSecrets()
    known.add("")
    assert known.mask.text("hunter2") == "hunter2"
    known.add("hunter2")
    known.add("hunter2")
    assert known.mask.text("hunter2") == HIDDEN


def test_of_very_many_values_texts_are_hidden_as_a_whole() -> None:
    few, many = (Mask(f"value-{n}" for n in range(count)) for count in (MOST, MOST + 1))
    assert few.text("nothing of it, value-1") == f"nothing of it, {HIDDEN}"
    assert many.tree({"a": ["value-1", "nothing of it", 7, None, "ab"]}) == {"a": [HIDDEN, HIDDEN, 7, None, "ab"]}


def test_what_hides_all_leaves_the_form_of_data() -> None:
    assert HIDE_ALL.tree({"a": ["x", 1, None], "b": {"c": True}}) == {"a": [HIDDEN, HIDDEN, None], "b": {"c": HIDDEN}}
    assert HIDE_ALL.text("") == HIDDEN
    assert HIDE_ALL | Mask(["x"]) is HIDE_ALL
    assert (Mask(["xxxx"]) | HIDE_ALL).text("y") == HIDDEN
