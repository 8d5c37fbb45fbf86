"""Whatever a file holds, findings about it can be ignored, put right and shown in every form."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.diagnostics import Format, apply_fixes, render, sorted_diagnostics, with_fixes
from flowlang.diagnostics.ignores import suppress
from flowlang.model import load_pipelines
from flowlang.model.yaml_source import decode
from flowlang.project.comments import project_ignores
from tests.unit.diagnostics.test_formats import check_junit, run_of

TEXTS = [
    path.read_text(encoding="utf-8", errors="replace")
    for path in sorted((Path(__file__).parents[1] / "diagnostics").glob("FL*.yaml"))
    if path.stat().st_size < 2000
]

#: Pieces that mean something to YAML, to expressions, to our comments, or to a format.
PIECES = [
    "# flowlang: ignore[FL101, FL220] why", " # flowlang: ignore-file[FL405]", "# flowlang: ingore", "${{", "}}", "{", "}", "[", "]",
    "\n", "\r\n", "\r", "\t", "  ", ": ", "- ", "'", '"', "|", "|-", ">", "#", " #", "!", "*a", "&a ", "stpes", "::", "%0A", "<b>", "`",
    "]]>", "\u2028", "é", "😀", "\x07", "\ufeff", "---\n", "0777", "1e3", "if", "retry",
]  # fmt: skip

mutations = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from(["", *PIECES]) | st.text(max_size=4)),
    max_size=4,
)


def mutated(text: str, changes: list[tuple[int, int, str]]) -> str:
    for place, length, piece in changes:
        at = place % (len(text) + 1)
        text = text[:at] + piece + text[at + length :]
    return text


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEXTS), mutations)
def test_nothing_in_a_file_breaks_ignores_fixes_or_formats(text: str, changes: list[tuple[int, int, str]]) -> None:
    content = mutated(text, changes).encode("utf-8", errors="replace")
    source, unreadable = decode("p.yaml", content)
    sources = {source.path: source}
    found = unreadable or list(load_pipelines(source)[1])
    ignores, mistakes = project_ignores(sources)
    kept, suppressed, about = suppress(found, ignores)
    found = sorted_diagnostics(with_fixes([*kept, *mistakes, *about], sources))
    for item in found:
        assert 0 <= item.span.start <= item.span.end <= len(source.text)
        for edit in item.fix.edits if item.fix else ():
            assert 0 <= edit.span.start <= edit.span.end <= len(source.text)
    for unsafe in (False, True):
        fixed = apply_fixes(found, sources, unsafe=unsafe)
        assert set(fixed.texts) <= {source.path}
        assert bool(fixed.texts) <= bool(fixed.applied)
    texts = {kind: render(found, sources, output_format=kind, suppressed=suppressed, prefix="a b/") for kind in Format}
    assert len(run_of(texts[Format.SARIF])["results"]) == len(found) + len(suppressed)
    assert len(json.loads(texts[Format.JSON])["diagnostics"]) == len(found)
    check_junit(ET.fromstring(texts[Format.JUNIT]))
    for kind in (Format.TEXT, Format.CONCISE, Format.GITHUB, Format.MARKDOWN):
        assert not any(char in texts[kind] for char in "\x07\x1b\r\u2028")
    assert len(texts[Format.CONCISE].split("\n")) == len(found) + 2
    assert len(texts[Format.GITHUB].split("\n")) <= len(found) + 3
