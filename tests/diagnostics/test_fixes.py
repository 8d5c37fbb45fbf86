"""Fixes, pinned and held to their promise: making them all brings nothing new.

For each golden input with fixes, `fixes/NAME.diff` is what they change. `--update-golden` rewrites the diffs.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from flowlang.diagnostics import Diagnostic, apply_fixes, with_fixes
from flowlang.model import load_pipelines, load_project_file
from flowlang.project import load_project
from flowlang.source import SourceText
from tests.diagnostics import test_golden, test_project_golden

HERE = Path(__file__).parent

Check = Callable[[Mapping[str, str]], tuple[list[Diagnostic], Mapping[str, SourceText]]]


def check_of(case: Path, folder: Path) -> Check:
    """Validates a golden input, with other texts in place of some of its files."""
    if case.suffix == ".project":
        test_project_golden.load_case(case, folder)
        options = test_project_golden.options_of(case)

        def check_project(texts: Mapping[str, str]) -> tuple[list[Diagnostic], Mapping[str, SourceText]]:
            project = load_project(folder, entry_points=False, texts=texts, **options)
            return list(project.diagnostics), project.sources

        return check_project
    read = load_project_file if case.name.endswith(".flowlang.yaml") else load_pipelines

    def check(texts: Mapping[str, str]) -> tuple[list[Diagnostic], Mapping[str, SourceText]]:
        if case.name not in texts:
            source, found = test_golden.findings_of(case)
        else:
            source = SourceText(case.name, texts[case.name])
            found = list(read(source)[1])
        return with_fixes(found, {source.path: source}), {source.path: source}

    return check


def kinds(found: Iterable[Diagnostic]) -> Counter[tuple[str, str]]:
    return Counter((item.code, item.message) for item in found)


#: What a mistake had hidden: a step that was not read has no verb, a handler that is not known no arguments.
HIDDEN = {
    "FL006_next_document_is_read": {"FL104"},
    "FL101_misspelt": {"FL106"},
    "FL202_unknown_name": {"FL211"},
    "FL401_unknown_handler": {"FL402"},
}

CASES = [*test_golden.CASES, *test_project_golden.CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_all_fixes_bring_nothing_new_and_are_as_pinned(case: Path, tmp_path: Path, update_golden: bool) -> None:
    check = check_of(case, tmp_path)
    texts: dict[str, str] = {}
    before, sources = check(texts)
    original, found, rounds = dict(sources), before, 0
    while (fixed := apply_fixes(found, sources)).texts:
        rounds += 1
        assert rounds <= 5, "the fixes of one round are undone by the next"
        texts.update(fixed.texts)
        found, sources = check(texts)
    gone = kinds(before) - kinds(found)
    new = kinds(found) - kinds(before)
    assert {code for code, _ in new} == HIDDEN.get(case.stem, set())
    assert bool(gone) == bool(texts)
    diff = "".join(
        line
        for path in sorted(texts)
        for line in difflib.unified_diff(
            original[path].text.splitlines(keepends=True), texts[path].splitlines(keepends=True), path, path, n=0
        )
    )
    pinned = HERE / "fixes" / f"{case.stem}.diff"
    if update_golden:
        pinned.unlink(missing_ok=True)
        if diff:
            pinned.write_text(diff, encoding="utf-8")
    assert diff == (pinned.read_text(encoding="utf-8") if pinned.exists() else "")
