"""Watching a project's files: what has changed since the last look.

Only the folders of the project that FlowLang reads are watched; a virtual environment beside them would cost thousands
of watches. They may come and go, and `flowlang.yaml` lies beside them, so these are looked at once a second.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowlang.errors import ConfigError

_FOLDERS: Final = ("pipelines", "schemas", "handlers", "tests")
_CODE: Final = frozenset({".py"})
_DATA: Final = frozenset({".yaml", ".yml", ".json"})

#: Saves that follow one another within this time are one change, in milliseconds.
_QUIET_MS: Final = 150

#: How often folders that come and go are looked at, in seconds.
_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Changes:
    """Files that changed since the last look.

    Args:
        files: Their paths, sorted.
        code: Whether Python is among them.
    """

    files: tuple[str, ...]
    code: bool


class Watcher:
    """Watches one project in a thread of its own.

    Args:
        folder: The project's folder.

    Raises:
        ConfigError: when `watchfiles` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import watchfiles  # noqa: F401, PLC0415 - an optional dependency, whose absence is found here
        except ImportError:
            raise ConfigError(
                "watching files needs the package watchfiles: pip install 'flowlang-pipelines[dev]'"
            ) from None
        self._folder = folder.resolve()
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flowlang-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def changes(self) -> Changes | None:
        """What has changed since the last call; None when nothing has."""
        with self._lock:
            changed, self._changed = self._changed, set()
        if not changed:
            return None
        return Changes(tuple(sorted(changed)), code=any(Path(path).suffix in _CODE for path in changed))

    def _watch(self) -> None:
        state = self._state()
        while not self._ended.is_set():
            folders = [path for path, _ in state if path.is_dir()]
            if folders:
                self._watch_folders(folders, state)
            else:
                self._ended.wait(_LOOK_S)
            found = self._state()
            self._note(str(path) for path, _ in set(state) ^ set(found))
            state = found

    def _watch_folders(self, folders: list[Path], state: list[tuple[Path, int]]) -> None:
        """Watch until the state of the project's folder is another one."""
        import watchfiles  # noqa: PLC0415 - an optional dependency

        for batch in watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=_QUIET_MS,
            step=20,
            stop_event=self._ended,
            rust_timeout=round(_LOOK_S * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            self._note(path for _, path in batch if Path(path).suffix in _CODE | _DATA)
            if self._state() != state:
                return

    def _state(self) -> list[tuple[Path, int]]:
        """Which watched folders there are, and when `flowlang.yaml` was written."""
        found = [(path, 0) for name in _FOLDERS if (path := self._folder / name).is_dir()]
        project = self._folder / "flowlang.yaml"
        try:
            found.append((project, project.stat().st_mtime_ns))
        except OSError:  # it is being replaced, or it is gone
            found.append((project, 0))
        return found

    def _note(self, paths: Iterable[str]) -> None:
        with self._lock:
            self._changed.update(self._short(path) for path in paths)

    def _short(self, path: str) -> str:
        try:
            return str(Path(path).relative_to(self._folder))
        except ValueError:
            return path
