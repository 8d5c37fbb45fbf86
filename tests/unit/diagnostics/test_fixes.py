"""Fixes: read off hints that say one thing, made together, and none that touches another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from flowlang.diagnostics import Diagnostic, Edit, Fix, apply_fixes, with_fixes
from flowlang.diagnostics.fixes import edited, settle
from flowlang.source import SourceText

TEXT = "stpes: []   # all of them\nuses: 'mail.sned'\nsize: 512KB\n1: x\n"
SOURCE = SourceText("p.yaml", TEXT)
SOURCES = {"p.yaml": SOURCE}
QUOTE = "'"


def finding(word: str, hint: str | None, code: str = "FL101", fix: Fix | None = None) -> Diagnostic:
    start = TEXT.index(word)
    return Diagnostic(
        code, f"there is no `{word.strip(QUOTE)}`", SOURCE.span(start, start + len(word)), hint=hint, fix=fix
    )


@pytest.mark.parametrize(
    ("word", "hint", "text"),
    [
        ("stpes", "did you mean `steps`?", "steps"),
        ("'mail.sned'", "did you mean `mail.send`?", "'mail.send'"),
        ("512KB", "write `512KiB`", "512KiB"),
        ("1", '`"1":`', '"1"'),
    ],
)
def test_a_hint_that_says_one_thing_is_a_fix(word: str, hint: str, text: str) -> None:
    (item,) = with_fixes([finding(word, hint)], SOURCES)
    assert item.fix is not None
    assert [edit.text for edit in item.fix.edits] == [text]
    assert item.fix.edits[0].span == item.span
    assert item.fix.certain


@pytest.mark.parametrize(
    ("word", "hint", "code"),
    [
        ("stpes", None, "FL101"),
        ("stpes", "did you mean `steps` or `step`?", "FL101"),
        ("stpes", "its keys are: `steps`", "FL101"),
        ("stpes: []", "did you mean `steps`?", "FL101"),
        ("512KB", "write `30s` for seconds", "FL113"),
        ("512KB", "write `limit: 2`", "FL113"),
        ("512KB", "write `schemas/events/a/b.json`", "FL304"),
        ("[]", "write `x`", "FL103"),
    ],
)
def test_a_hint_that_leaves_a_choice_is_none(word: str, hint: str | None, code: str) -> None:
    assert [item.fix for item in with_fixes([finding(word, hint, code)], SOURCES)] == [None]


def test_a_place_that_is_wider_than_the_word_is_left_alone() -> None:
    item = replace(finding("stpes", "did you mean `steps`?"), message="there is no `s`")
    assert [each.fix for each in with_fixes([item], SOURCES)] == [None]


def test_a_word_that_is_far_from_the_one_that_is_proposed_is_left_to_a_person() -> None:
    items = with_fixes([finding("stpes", "did you mean `succeeded`?")], SOURCES)
    assert items[0].fix is not None
    assert not items[0].fix.certain
    assert apply_fixes(items, SOURCES).texts == {}
    assert apply_fixes(items, SOURCES, unsafe=True).texts == {"p.yaml": TEXT.replace("stpes", "succeeded")}


def test_a_fix_of_the_check_itself_is_kept() -> None:
    fix = Fix("do", (Edit(SOURCE.span(0, 0), "x"),))
    assert with_fixes([finding("stpes", "did you mean `steps`?", fix=fix)], SOURCES)[0].fix == fix


def test_all_fixes_are_made_at_once_and_comments_stay() -> None:
    found = with_fixes([finding("512KB", "write `512KiB`"), finding("stpes", "did you mean `steps`?")], SOURCES)
    fixed = apply_fixes(found, SOURCES)
    assert fixed.texts == {"p.yaml": TEXT.replace("stpes", "steps").replace("KB", "KiB")}
    assert fixed.applied == tuple(found)


def test_of_fixes_that_touch_the_first_is_made_and_the_same_one_counts_twice() -> None:
    fix = Fix("swap", (Edit(SOURCE.span(0, 5), "steps"),))
    wider = Fix("drop", (Edit(SOURCE.span(5, 7), ""), Edit(SOURCE.span(20, 21), "")))
    items = [finding("stpes", None, fix=fix), finding("stpes:", None, fix=fix), finding("stpes: []", None, fix=wider)]
    fixed = apply_fixes(items, SOURCES)
    assert fixed.applied == tuple(items[:2])
    assert fixed.texts == {"p.yaml": TEXT.replace("stpes", "steps")}


def test_a_fix_in_a_file_that_was_not_read_is_not_made() -> None:
    elsewhere = Fix("do", (Edit(SourceText("other.yaml", "x").span(0, 1), "y"),))
    assert apply_fixes([finding("stpes", None, fix=elsewhere)], SOURCES).applied == ()


def test_edits_may_come_in_any_order() -> None:
    edits = [Edit(SOURCE.span(7, 9), "[a]"), Edit(SOURCE.span(0, 5), "steps"), Edit(SOURCE.span(9, 9), " ")]
    assert edited("stpes: []x", edits) == "steps: [a] x"


def test_fixes_are_made_until_there_are_none_and_what_one_uncovers_in_the_next_round() -> None:
    def check(texts: Mapping[str, str]) -> tuple[list[Diagnostic], Mapping[str, SourceText]]:
        source = SourceText("p.yaml", texts.get("p.yaml", "a b c"))
        at = next((source.text.index(letter) for letter in "abc" if letter in source.text), None)
        if at is None:
            return [], {"p.yaml": source}
        fix = Fix("raise", (Edit(source.span(at, at + 1), source.text[at].upper()),))
        return [Diagnostic("FL101", f"small at {at}", source.span(at, at + 1), fix=fix)], {"p.yaml": source}

    settled = settle(check)
    assert (settled.before, settled.after) == ({"p.yaml": "a b c"}, {"p.yaml": "A B C"})
    assert (settled.rounds, settled.found) == (3, ())
    assert [item.message for item in settled.applied] == ["small at 0", "small at 2", "small at 4"]


def test_fixes_that_undo_one_another_come_to_an_end_and_what_ends_as_it_began_is_no_change() -> None:
    def check(texts: Mapping[str, str]) -> tuple[list[Diagnostic], Mapping[str, SourceText]]:
        source = SourceText("p.yaml", texts.get("p.yaml", "a"))
        fix = Fix("swap", (Edit(source.span(0, 1), "b" if source.text == "a" else "a"),))
        return [Diagnostic("FL101", "x", source.span(0, 1), fix=fix)], {"p.yaml": source}

    settled = settle(check)
    assert settled.rounds == 10
    assert settled.after == {}
