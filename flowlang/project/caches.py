"""Where this program keeps what it can make again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """`flowlang` below `XDG_CACHE_HOME`, or below `.cache` in the home folder."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    base = Path(chosen) if chosen else Path(os.environ.get("HOME") or tempfile.gettempdir()) / ".cache"
    return base / "flowlang"
