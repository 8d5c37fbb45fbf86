"""The page of settings is what the code declares."""

from __future__ import annotations

from pathlib import Path

from flowlang.cli.settings_page import PAGE, settings_page

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_fresh() -> None:
    written = (ROOT / PAGE).read_text(encoding="utf-8")
    assert written == settings_page(), "run `python -m flowlang.cli.settings_page`"
