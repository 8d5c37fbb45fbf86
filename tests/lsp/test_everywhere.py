"""Questions at all places of the shipped files, whole and cut off as while somebody types: none is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.lsp.completion import complete
from flowlang.lsp.hover import hover
from flowlang.lsp.navigation import definition
from flowlang.lsp.opened import OpenProject
from flowlang.lsp.positions import Encoding, offset_at, position_at
from flowlang.lsp.renaming import renamed_at
from flowlang.source import SourceText

ROOT = Path(__file__).parents[2]
FILES = ["flowlang.yaml", *(file.relative_to(ROOT).as_posix() for file in sorted(ROOT.glob("pipelines/*.yaml")))]


@pytest.mark.parametrize("path", FILES)
def test_every_place_of_a_shipped_file_can_be_asked_about(path: str) -> None:
    project = OpenProject(ROOT)
    text = project.text(path)
    answers = [
        (complete(project, path, offset), hover(project, path, offset), definition(project, path, offset), renamed_at(project, path, offset))
        for offset in range(0, len(text) + 1, 37)
    ]  # fmt: skip
    assert any(offered for offered, *_ in answers)
    assert any(shown for _, shown, *_ in answers)


@pytest.mark.parametrize("path", ["pipelines/lifetime-purchase.yaml", "pipelines/video-uploaded.yaml"])
def test_a_file_can_be_cut_off_anywhere(path: str) -> None:
    project = OpenProject(ROOT)
    text = project.text(path)
    offered = []
    for offset in range(0, len(text), 41):
        project.unsaved[path] = text[:offset]
        offered += complete(project, path, offset)
        hover(project, path, offset)
    assert {"key", "name"} <= {each.kind for each in offered}


@pytest.mark.parametrize("encoding", Encoding)
def test_positions_lead_back_to_their_offsets(encoding: Encoding) -> None:
    source = SourceText("x", "a🎉é\r\n\nß🎉")
    for offset in (0, 1, 2, 3, 5, 6, 7, 8):
        assert offset_at(source, *position_at(source, offset, encoding), encoding) == offset
    assert offset_at(source, 0, 99, encoding) == 3
    assert offset_at(source, 99, 0, encoding) == len(source.text)
