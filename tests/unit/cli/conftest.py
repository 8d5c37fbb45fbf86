"""Fixtures of the command line's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.desk import Desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """Commands on a store in memory, in a project's folder."""
    (tmp_path / "flowlang.yaml").write_text("flowlang: 1\nproject: academy\n")
    return Desk(monkeypatch, tmp_path)
