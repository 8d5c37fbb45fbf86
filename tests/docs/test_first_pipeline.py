"""The guide's first pipeline, done as a reader does it: the same commands in the same order, and what they print.

Ids, times and versions differ from those in the guide. An id that is shown stands for the one that was printed in its
place, so later commands are called with that.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT, Block, blocks

GUIDE = ROOT / "docs/guide/first-pipeline.md"

_ID = re.compile(r"[er]00-[a-z0-9]{24}")

#: Times, versions and durations, which differ from one time to the next.
_VARYING = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\(version [0-9a-f]+\)|\b[0-9.]+m?s\b")


class Reader:
    """Somebody who follows the guide.

    Args:
        folder: Where to begin.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: dict[str, str] = {}
        self.url = ""
        self.background: subprocess.Popen[str] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLANG_")}
        self._environ = {**kept, "NO_COLOR": "1"}

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if "write" in block.words:
            (self.folder / block.words["write"]).write_text(block.text, encoding="utf-8")
            self._await_new_workers()
        elif "background" in block.words:
            (command,) = _commands(block.text)
            self._start(command[0])
        elif "run" in block.words:
            for line, shown in _commands(block.text):
                self._do(line, shown, int(block.words.get("status", "0")))

    def stop(self) -> int:
        """Press Ctrl-C in the terminal that goes on. Returns its exit status."""
        assert self.background is not None
        self.background.send_signal(signal.SIGINT)
        self.background.communicate(timeout=60)
        return self.background.returncode

    def _do(self, line: str, shown: list[str], status: int) -> None:
        words = [self.ids.get(word, word) for word in shlex.split(line)]
        if words[0] == "cd":
            self.folder /= words[1]
            return
        if words[1] in {"runs", "dead-letters"}:
            self._await_runs()
        done = self._call(words[1:])
        assert done.returncode == status, done.stdout + done.stderr
        printed = done.stdout.rstrip("\n").split("\n") if done.stdout else []
        assert len(printed) == len(shown), done.stdout
        for expected, found in zip(shown, printed, strict=True):
            self._compare(expected, found)

    def _compare(self, shown: str, found: str) -> None:
        new = [ident for ident in _ID.findall(shown) if ident not in self.ids]
        printed = [ident for ident in _ID.findall(found) if ident not in self.ids.values()]
        self.ids.update(zip(new, printed, strict=True))
        assert _plain(found) == _plain(_ID.sub(lambda ident: self.ids[ident[0]], shown))

    def _call(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flowlang", *words],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _start(self, line: str) -> None:
        words = shlex.split(line)
        self.background = subprocess.Popen(
            [sys.executable, "-m", "flowlang", *words[1:], "--port", "0", "--processes", "1", "--json"],
            cwd=self.folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        ready = self._await(lambda event: event["event"] == "ready")
        self.url, self.token = ready["http"], ready["token"]

    def _await_new_workers(self) -> None:
        """Read on until the worker has been replaced: a reader sees it end in the other terminal."""
        self._await(lambda event: event["event"] == "restarting")
        self._await(lambda event: event["event"] == "started" and event["child"].startswith("worker-"))

    def _await(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        assert self.background is not None
        assert self.background.stdout is not None
        for line in self.background.stdout:
            event: dict[str, Any] = json.loads(line)
            if wanted(event):
                return event
        raise AssertionError("it ended")

    def _await_runs(self) -> None:
        """Let runs end, as they have when a reader has typed the next command."""
        for _ in range(2_000):
            asked = urllib.request.Request(f"{self.url}/runs", headers={"authorization": f"Bearer {self.token}"})
            with urllib.request.urlopen(asked) as answer:
                if all("ended_at" in run for run in json.load(answer)["runs"]):
                    return


def _plain(line: str) -> str:
    """A line without what varies, and without the width of its columns."""
    return re.sub(r" +", " ", _VARYING.sub("(varies)", line))


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    if reader.background is not None and reader.background.poll() is None:
        reader.background.kill()
        reader.background.communicate()


def test_the_guide_can_be_followed_step_by_step(reader: Reader) -> None:
    for block in blocks(path=GUIDE):
        reader.follow(block)
    assert len(reader.ids) == 5
    assert reader.stop() == 0
