"""Every kind of finding, pinned: `FL###_name.yaml` beside the output that it must give.

`*.flowlang.yaml` are read as project files, the others as pipelines. `--update-golden` rewrites the outputs; what
changed is then for a reader of the diff to judge.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.diagnostics import Diagnostic, render
from flowlang.model import load_pipelines, load_project_file
from flowlang.model.yaml_source import decode
from flowlang.source import SourceText

HERE = Path(__file__).parent
CASES = sorted(path for path in HERE.glob("FL*.yaml"))


def findings_of(path: Path) -> tuple[SourceText, list[Diagnostic]]:
    source, unreadable = decode(path.name, path.read_bytes())
    if unreadable:
        return source, unreadable
    if path.name.endswith(".flowlang.yaml"):
        return source, load_project_file(source)[1]
    return source, load_pipelines(source)[1]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_file_gives_exactly_the_findings_beside_it(path: Path, update_golden: bool) -> None:
    source, found = findings_of(path)
    output = render(found, {source.path: source})
    expected = path.with_suffix(".out")
    if update_golden:
        expected.write_text(output, encoding="utf-8")
    assert output == expected.read_text(encoding="utf-8")
    assert path.name[:5] in {item.code for item in found}


def test_every_output_has_its_file() -> None:
    assert {path.stem for path in HERE.glob("*.out")} == {path.stem for path in CASES}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_no_message_is_in_the_words_of_a_library(path: Path) -> None:
    for item in findings_of(path)[1]:
        assert "is not accepted:" not in item.message
        assert "Input should" not in item.message
        assert not item.message.endswith(".")
