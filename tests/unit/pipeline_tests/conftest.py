"""The shop that tests of this folder play in."""

from __future__ import annotations

from tests.unit.pipeline_tests.playing import player

__all__ = ["player"]
