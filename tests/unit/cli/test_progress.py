from __future__ import annotations

import importlib.util

import pytest

from flowlang.cli.console import Console
from flowlang.cli.progress import bar


class Watched(Console):
    """A console whose talk somebody watches."""

    @property
    def interactive(self) -> bool:
        return True


def told(console: Console) -> None:
    with bar(console) as show:
        for done in (0, 4, 9, 10, 11, 55, 56, 100, 100):
            show("working", done, 100, f"{done} steps/s")


def test_who_does_not_watch_gets_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    told(Console({}))
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines() == [
        "working: 10 of 100, 10 steps/s",
        "working: 55 of 100, 55 steps/s",
        "working: 100 of 100, 100 steps/s",
    ]


def test_each_thing_that_goes_on_has_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(Console({})) as show:
        show("sending", 5_000, 10_000, "fast")
        show("working", 5_000, 10_000, "slow")
    assert capsys.readouterr().err.splitlines() == ["sending: 5,000 of 10,000, fast", "working: 5,000 of 10,000, slow"]


def test_who_watches_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes what is captured for a terminal
    told(Watched({}))
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "100/100" in seen.err
    assert "100 steps/s" in seen.err


def test_without_rich_who_watches_gets_the_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    told(Watched({}))
    assert len(capsys.readouterr().err.splitlines()) == 3
