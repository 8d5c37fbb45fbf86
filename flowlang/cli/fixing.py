"""Fixes of a project's files: found without touching them, then shown as a difference or written."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from flowlang.cli.choosing import Choice
from flowlang.cli.wiring import Checked
from flowlang.diagnostics import Diagnostic
from flowlang.diagnostics.fixes import Settled, settle
from flowlang.errors import ConfigError
from flowlang.source import SourceText

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def settled_project(load: Callable[[Mapping[str, str]], Checked], choice: Choice, *, unsafe: bool) -> Settled:
    """The files after all fixes of the findings that were asked for; nothing is written.

    Args:
        load: Checks the project, with other texts in place of some of its files.
        choice: Which findings are put right.
        unsafe: Whether fixes are made that a person should choose.
    """

    def check(texts: Mapping[str, str]) -> tuple[Sequence[Diagnostic], Mapping[str, SourceText]]:
        project = load(texts)
        return choice.of(project), project.sources

    return settle(check, unsafe=unsafe)


def difference(settled: Settled) -> Iterator[str]:
    """What changes, as lines of a unified difference that `git apply` takes."""
    for path in sorted(settled.after):
        before, after = (texts[path].splitlines(keepends=True) for texts in (settled.before, settled.after))
        for line in difflib.unified_diff(before, after, f"a/{path}", f"b/{path}"):
            yield line.rstrip("\n")
            if not line.endswith("\n"):
                yield "\\ No newline at end of file"


def write_fixed(folder: Path, settled: Settled) -> None:
    """Write the files that change.

    Args:
        folder: The project's.
        settled: Their contents before and after.

    Raises:
        ConfigError: when one is no longer as it was read; nothing is written then.
    """
    contents: dict[Path, bytes] = {}
    for path, text in settled.after.items():
        file = folder / path
        found = file.read_bytes()
        mark = _BYTE_ORDER_MARK if found.startswith(_BYTE_ORDER_MARK) else b""
        if found != mark + settled.before[path].encode():
            raise ConfigError(f"{path} has changed while it was checked: nothing is written")
        contents[file] = mark + text.encode()
    for file, content in contents.items():
        file.write_bytes(content)
