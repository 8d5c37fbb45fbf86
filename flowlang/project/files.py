"""Finds and reads the files of a project's folder; whatever lies there becomes a text or a finding.

Owns what counts as a file of the project: what is hidden is passed over, and nothing is read through a link that leads
out of the folder, since excerpts of it would be shown. What the texts mean is left to others.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flowlang.diagnostics import Diagnostic
from flowlang.model.yaml_source import decode
from flowlang.source import SourceText

PROJECT_FILE: Final = "flowlang.yaml"


class ProjectFiles:
    """The files of one folder, read at most once each.

    Args:
        folder: Absolute and without links.
        unsaved: Texts that an editor holds, by path from the folder; they are read in place of the files.
    """

    def __init__(self, folder: Path, unsaved: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._unsaved: Mapping[str, str] = unsaved or {}
        self.sources: dict[str, SourceText] = {}
        self.found: list[Diagnostic] = []
        self._read: dict[str, SourceText | None] = {}

    def below(self, folder: str, suffixes: tuple[str, ...], *, shared: bool = False) -> list[str]:
        """The files below a folder.

        Args:
            folder: Path from the project's root; it need not exist.
            suffixes: How the names end, in lower case; of files, upper case counts too.
            shared: Whether others keep things there too: links, and folders that are projects, are then passed over.

        Returns:
            Paths from the project's root with `/`, sorted. Links to folders are reported, not followed.
        """
        paths = [path for path in self._unsaved if path.startswith(f"{folder}/") and path.lower().endswith(suffixes)]
        pending = [folder]
        while pending:
            at = pending.pop()
            entries = self._entries(at)
            if shared and any(entry.name == PROJECT_FILE for entry in entries):
                continue
            for entry in entries:
                path = f"{at}/{entry.name}"
                named = entry.name.lower().endswith(suffixes)
                if entry.is_dir(follow_symlinks=False) and not named:
                    pending.append(path)
                elif not named and not shared and entry.is_symlink() and entry.is_dir():
                    self._refuse(path, "is a link to a folder, which is not followed", "put the folder itself here")
                elif named:
                    paths.append(path)
        return sorted(set(paths))

    def read(self, path: str) -> SourceText | None:
        """Read a file.

        Args:
            path: From the project's root.

        Returns:
            Its text, or None when it cannot be used, which has then been reported.
        """
        if path not in self._read:
            self._read[path] = self._text(path)
        return self._read[path]

    def show(self, file: Path) -> None:
        """Take in a file for excerpts only: who reads it, and what is wrong with it, is another's business.

        Args:
            file: An absolute path; one that does not lie in the project is passed over.
        """
        try:
            if file.resolve().is_relative_to(self.folder):
                path = file.relative_to(self.folder).as_posix()
                self.sources[path] = decode(path, file.read_bytes())[0]
        except (OSError, RuntimeError, ValueError):
            return

    def peek(self, path: str) -> str:
        """The text of a file for comparing it with what it was; nothing is reported, and it does not count as read."""
        try:
            unsaved = self._unsaved.get(path)
            content = (self.folder / path).read_bytes() if unsaved is None else unsaved.encode(errors="replace")
        except (OSError, ValueError):
            return ""
        return content.decode("latin-1")  # which takes any bytes, and each in its own way

    def _text(self, path: str) -> SourceText | None:
        content = self._content(path)
        if content is None:
            return None
        source, found = decode(path, content)
        self.sources[path] = source
        self.found += found
        return None if found else source

    def _content(self, path: str) -> bytes | None:
        if path in self._unsaved:
            return self._unsaved[path].encode("utf-8", errors="replace")
        file = self.folder / path
        try:
            real = file.resolve(strict=True)
            if not real.is_relative_to(self.folder):
                self._refuse(path, "is a link that leads out of the project", "put the file itself here")
                return None
            if not stat.S_ISREG(real.stat().st_mode):
                what = "a folder" if real.is_dir() else "no ordinary file"
                self._refuse(path, f"is {what}, and has the name of a file", "give it another name")
                return None
            return real.read_bytes()
        except FileNotFoundError:
            dangling = file.is_symlink()
            self._refuse(path, "is a link to nothing" if dangling else "was there, and is gone", None)
        except (OSError, RuntimeError) as error:  # a circle of links is a RuntimeError before Python 3.13
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._refuse(path, f"cannot be read: {reason}", None)
        return None

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.folder / folder) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            return []
        except OSError as error:
            self._refuse(folder, f"cannot be read: {error.strerror}", None)
            return []

    def _refuse(self, path: str, what: str, hint: str | None) -> None:
        span = SourceText(path, "").span(0, 0)
        self.found.append(Diagnostic("FL126", f"`{path}` {what}", span, hint=hint))
