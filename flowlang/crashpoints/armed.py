"""What an armed crash point does: it counts passings, and strikes once over all processes that share a folder of notes.

`FLOWLANG_CRASH=label:n:action` strikes when this process passes the label for the n-th time; several of them stand
with commas between. A child that was killed is replaced by one with the same variable, which would die again and again:
so the first process that comes to strike makes a file in `FLOWLANG_CRASH_NOTES`, and whoever finds it goes on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, get_args

from flowlang.crashpoints.catalog import CATALOG
from flowlang.errors import ConfigError, StoreUnavailableError

#: `kill`: the process is gone at once. `raise`: an error that nobody expects. `stop`: the process stands still until
#: somebody sends SIGCONT. `drop`: the store seems to have given no answer; behind a write, its reply is lost.
Action = Literal["kill", "raise", "stop", "drop"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)


class CrashError(Exception):
    """Raised at a crash point: an error that no code foresees."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What is to happen where.

    Attributes:
        label: At which crash point.
        nth: At which passing of a process, from 1.
        action: What.
    """

    label: str
    nth: int
    action: Action

    def __str__(self) -> str:
        return f"{self.label}:{self.nth}:{self.action}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `label:n:action`.

        Raises:
            ConfigError: saying what would be right.
        """
        label, nth, action = ([*text.split(":"), "", ""])[:3]
        if label not in CATALOG:
            raise ConfigError(f"FLOWLANG_CRASH: there is no crash point {label!r}; see flowlang/crashpoints/catalog.py")
        if not nth.isdecimal() or int(nth) < 1 or action not in ACTIONS or text.count(":") != 2:
            raise ConfigError(f"FLOWLANG_CRASH: write label:n:action with {', '.join(ACTIONS)}, not {text!r}")
        return cls(label, int(nth), action)


class Notes:
    """A folder in which processes write down what they passed and what struck them.

    Args:
        folder: Its place; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def pass_by(self, label: str) -> None:
        """Note a passing."""
        file = os.open(self.folder / f"passed {label}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, b".")
        finally:
            os.close(file)

    def begin(self, strike: Strike) -> bool:
        """Note that this process is struck; False when one was before."""
        mine = self.folder / f"mine {os.getpid()} {threading.get_ident()} {strike}"
        mine.write_text(str(os.getpid()), encoding="ascii")
        try:
            os.link(mine, self.folder / f"struck {strike}")  # whole or not at all, whoever else is killed here
        except FileExistsError:
            return False
        finally:
            mine.unlink()
        return True

    def passed(self) -> dict[str, int]:
        """How often each label has been passed by all processes."""
        files = self.folder.glob("passed *")
        return {path.name.removeprefix("passed "): path.stat().st_size for path in files}

    def struck(self) -> dict[str, int]:
        """What has struck which process, by the text of the strike."""
        files = {path.name.removeprefix("struck "): path for path in self.folder.glob("struck *")}
        return {name: int(path.read_text(encoding="ascii")) for name, path in files.items()}


class Armed:
    """Crash points of a process. Thread-safe.

    Args:
        strikes: What is to happen.
        notes: Shared by all processes; None: this process is on its own.
    """

    def __init__(self, strikes: tuple[Strike, ...], notes: Notes | None = None) -> None:
        self._strikes: dict[str, list[Strike]] = {}
        for strike in strikes:
            self._strikes.setdefault(strike.label, []).append(strike)
        self._notes = notes
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """What the variables say.

        Raises:
            ConfigError: naming what cannot be read.
        """
        texts = [text for text in environ.get("FLOWLANG_CRASH", "").split(",") if text.strip()]
        folder = environ.get("FLOWLANG_CRASH_NOTES")
        return cls(tuple(Strike.parse(text.strip()) for text in texts), Notes(Path(folder)) if folder else None)

    def passed(self, label: str, /) -> None:
        """Pass a label.

        Raises:
            CrashError, StoreUnavailableError: when it strikes so.
            LookupError: when no such label is in the catalog.
        """
        if label not in CATALOG:
            raise LookupError(f"the crash point {label!r} is not in flowlang/crashpoints/catalog.py")
        with self._lock:
            self._counts[label] += 1
            nth = self._counts[label]
        if self._notes is not None:
            self._notes.pass_by(label)
        for strike in self._strikes.get(label, ()):
            if strike.nth == nth and (self._notes is None or self._notes.begin(strike)):
                _strike(strike)


def _strike(strike: Strike) -> None:
    match strike.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise CrashError(str(strike))
        case "drop":
            raise _unavailable(strike.label)(f"the answer is lost ({strike})")


def _unavailable(label: str) -> type[Exception]:
    """What whoever asked at a label is told when no answer comes: hints are asked for without the store."""
    if not label.startswith(("consumer.", "broker.")):
        return StoreUnavailableError
    from redis.exceptions import ConnectionError  # noqa: A004, PLC0415 - only here, where something is struck

    return ConnectionError
