"""Where this program keeps what it can make again."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """`flowlang` below `XDG_CACHE_HOME`, or below `.cache` in the home folder."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    base = Path(chosen) if chosen else Path(os.environ.get("HOME") or tempfile.gettempdir()) / ".cache"
    return base / "flowlang"


def keep(file: Path, content: bytes) -> None:
    """Write a file that others may read at the same time: as it was, or whole. Where that cannot be, nothing is kept.

    Args:
        file: Below `cache_folder`.
        content: To be kept.
    """
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("wb", dir=file.parent, delete=False) as written:
            try:
                written.write(content)
                written.flush()
                Path(written.name).replace(file)
            except OSError:
                Path(written.name).unlink()
                raise
