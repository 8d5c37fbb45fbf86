"""A project in a folder, in which one file at a time is replaced and the whole checked again."""

from __future__ import annotations

import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flowlang.diagnostics import Diagnostic
from flowlang.project import load_project
from flowlang.project.signatures import read_signatures
from tests.mutations.mistakes import KINDS, Known
from tests.mutations.written import Mistake, Written

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT.parent / "shared" / "examples"


@dataclass
class Outcome:
    """What came of some mistakes."""

    made: list[Mistake] = field(default_factory=list)
    missed: list[tuple[Mistake, list[Diagnostic]]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How many of a hundred were reported on the right line."""
        return 100 * (1 - len(self.missed) / max(len(self.made), 1))


class Bench:
    """A copy of a project to make mistakes in.

    Args:
        folder: Where the copy is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        project = load_project(folder, entry_points=False)
        self.clean = Counter((item.code, item.message) for item in project.diagnostics)
        self.found = project.diagnostics
        signatures, _ = read_signatures(folder, entry_points=False)
        schemas = {event.name: event.schema for event in project.events}
        names = frozenset(document.name for document in project.pipelines if document.name)
        self.known = Known(signatures, schemas, names)
        paths = sorted({document.source.path for document in project.pipelines})
        self.files = [Written(path, project.sources[path].text) for path in paths]

    def check(self, path: str, text: str) -> list[Diagnostic]:
        """The findings that the project has with another text in one file, and did not have before."""
        file = self.folder / path
        before = file.read_bytes()
        file.write_text(text, encoding="utf-8")
        try:
            found = load_project(self.folder, entry_points=False).diagnostics
        finally:
            file.write_bytes(before)
        known = Counter(self.clean)
        new = []
        for item in found:
            if known[item.code, item.message]:
                known[item.code, item.message] -= 1
            else:
                new.append(item)
        return new

    def mistakes(self, count: int, seed: int) -> list[Mistake]:
        """Choose mistakes, of each kind about as many."""
        chance = random.Random(seed)
        by_kind: dict[str, list[Mistake]] = defaultdict(list)
        for file in self.files:
            for kind in KINDS:
                for mistake in kind(file, self.known, chance):
                    if mistake.text != file.text:
                        by_kind[mistake.kind].append(mistake)
        for made in by_kind.values():
            chance.shuffle(made)
        chosen: list[Mistake] = []
        while len(chosen) < count and any(by_kind.values()):
            chosen += [made.pop() for made in by_kind.values() if made]
        return chosen[:count]

    def judge(self, mistakes: Iterable[Mistake]) -> Outcome:
        """Check each mistake by itself."""
        outcome = Outcome()
        for mistake in mistakes:
            outcome.made.append(mistake)
            found = self.check(mistake.path, mistake.text)
            if not any(item.span.path == mistake.path and item.span.line in mistake.lines for item in found):
                outcome.missed.append((mistake, found))
        return outcome


def shipped(folder: Path) -> Path:
    """Copy the shipped project."""
    for name in ("pipelines", "handlers", "schemas", "flowlang.yaml"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return _without_tests(folder)


def examples(folder: Path) -> Path:
    """Make a project of the examples of the language's description, with what they take as given."""
    shutil.copytree(ROOT / "tests" / "examples" / "project", folder, dirs_exist_ok=True)
    shutil.copytree(EXAMPLES, folder / "pipelines", dirs_exist_ok=True)
    return _without_tests(folder)


def _without_tests(folder: Path) -> Path:
    """Leave out pipeline tests: they name steps, so a consistent change would have to be made in them as well."""
    for file in folder.rglob("*.test.yaml"):
        file.unlink()
    return folder
