"""Files that commands write from a project: written, printed, or compared with what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flowlang.cli.session import OK, REFUSED, Session
from flowlang.errors import ConfigError


def write_files(session: Session, folder: Path, contents: Mapping[str, str]) -> int:
    """Write files that have changed.

    Args:
        session: Of the command.
        folder: Where.
        contents: Path from the folder → text.

    Returns:
        The exit status.

    Raises:
        ConfigError: when one cannot be written.
    """
    written = _stale(folder, contents)
    for path in written:
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(contents[path], encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {folder / path}: {error.strerror}") from error
    if session.as_json:
        session.console.document({"files": list(contents), "written": written})
        return OK
    for path in written:
        session.console.out(str(folder / path))
    if not written:
        session.console.say("all files are as they should be")
    return OK


def check_files(session: Session, folder: Path, contents: Mapping[str, str], command: str) -> int:
    """Say which files are not what they would be if they were written now.

    Args:
        session: Of the command.
        folder: Where they are.
        contents: Path from the folder → text.
        command: What writes them.

    Returns:
        The exit status.
    """
    stale = _stale(folder, contents)
    if session.as_json:
        session.console.document({"files": list(contents), "stale": stale})
    for path in stale:
        session.console.fail(f"{folder / path} is not what it would be now; run `{command}`")
    return REFUSED if stale else OK


def _stale(folder: Path, contents: Mapping[str, str]) -> list[str]:
    return [path for path, text in contents.items() if _text(folder / path) != text]


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
