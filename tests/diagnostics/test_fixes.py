"""Fixes, pinned and held to their promise: making them all brings nothing new.

For each golden input with fixes, `fixes/NAME.diff` is what those change that are certain, and `NAME.unsafe.diff` what
all do, where that is more. `--update-golden` rewrites the diffs.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from flowlang.diagnostics import Diagnostic, with_fixes
from flowlang.diagnostics.fixes import Check, settle
from flowlang.model import load_pipelines, load_project_file
from flowlang.project import load_project
from flowlang.source import SourceText
from tests.diagnostics import test_golden, test_project_golden

HERE = Path(__file__).parent


def check_of(case: Path, folder: Path) -> Check:
    """Validates a golden input, with other texts in place of some of its files."""
    if case.suffix == ".project":
        test_project_golden.load_case(case, folder)
        options = test_project_golden.options_of(case)

        def check_project(texts: Mapping[str, str]) -> tuple[list[Diagnostic], Mapping[str, SourceText]]:
            project = load_project(folder, entry_points=False, unsaved=texts, **options)
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
    "FL105_words": {"FL105"},
    "FL202_unknown_name": {"FL211"},
    "FL401_unknown_handler": {"FL402"},
}

#: What fixes that leave a choice uncover.
HIDDEN_UNSAFE = {"FL901_unknown_code": {"FL902"}}

CASES = [*test_golden.CASES, *test_project_golden.CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
@pytest.mark.parametrize("unsafe", [False, True])
def test_all_fixes_bring_nothing_new_and_are_as_pinned(
    case: Path, unsafe: bool, tmp_path: Path, update_golden: bool
) -> None:
    check = check_of(case, tmp_path)
    before, _ = check({})
    settled = settle(check, unsafe=unsafe)
    assert settled.rounds <= 3
    gone, new = kinds(before) - kinds(settled.found), kinds(settled.found) - kinds(before)
    assert {code for code, _ in new} == HIDDEN.get(case.stem, set()) | (
        HIDDEN_UNSAFE.get(case.stem, set()) if unsafe else set()
    )
    assert bool(gone) == any(not path.endswith(".py") for path in settled.after)  # Python is read from its file
    diff = "".join(
        line
        for path in sorted(settled.after)
        for line in difflib.unified_diff(
            settled.before[path].splitlines(keepends=True),
            settled.after[path].splitlines(keepends=True),
            path,
            path,
            n=0,
        )
    )
    pinned = HERE / "fixes" / f"{case.stem}{'.unsafe' if unsafe else ''}.diff"
    if unsafe and settled == settle(check):
        diff = ""  # nothing leaves a choice, and what is certain is pinned already
    if update_golden:
        pinned.unlink(missing_ok=True)
        if diff:
            pinned.write_text(diff, encoding="utf-8")
    assert diff == (pinned.read_text(encoding="utf-8") if pinned.exists() else "")
