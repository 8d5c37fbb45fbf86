"""Writes projects as files, for whatever reads them from a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from flowlang.diagnostics import Diagnostic

#: The smallest `flowlang.yaml`; projects that write none get it.
PROJECT_FILE = "flowlang: 1\nproject: test\n"

#: The smallest pipeline.
PIPELINE = "flowlang: 1\npipeline: p\nsteps:\n  - {id: a, set: {x: 1}}\n"


def write_project(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a project's files into a folder, by their paths from its root; returns the folder."""
    for path, content in {"flowlang.yaml": PROJECT_FILE, **files}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def places(found: Iterable[Diagnostic]) -> list[tuple[str, str]]:
    """Codes and places of findings: `("FL101", "flowlang.yaml:3:1")`."""
    return [(item.code, f"{item.span.path}:{item.span.line}:{item.span.column}") for item in found]
