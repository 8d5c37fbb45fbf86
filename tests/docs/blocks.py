"""The code blocks of the documents, and the projects that the titled ones among them make together.

The first word behind the fence is the language, which is all that a reader's viewer looks at. What follows says how a
test reads the block: `title="pipelines/welcome.yaml"` is a file of the page's project, `steps` a list of steps,
`refused=FL101` a file or list that `validate` refuses with that code. See `docs/contributing.md`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: One page a code, written from `flowlang/diagnostics/rules`, whose examples have tests of their own.
RULES = ROOT / "docs/rules"
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(set((ROOT / "docs").rglob("*.md")) - set(RULES.iterdir()))]
)

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: What a page's project has when the page does not show it.
_PROJECT = "flowlang: 1\nproject: documents\n"


@dataclass(frozen=True, slots=True)
class Block:
    """A code block.

    Attributes:
        path: Of its document.
        line: Of its fence, from 1.
        language: Such as `yaml`.
        words: How it is read, such as `{"steps": ""}`.
        text: What is in it.
    """

    path: Path
    line: int
    language: str
    words: dict[str, str]
    text: str

    @property
    def place(self) -> str:
        """Where it is, for the names of tests."""
        return f"{name(self.path)}:{self.line}"


def name(path: Path) -> str:
    """A document's path from the root."""
    return path.relative_to(ROOT).as_posix()


def blocks(language: str | None = None, path: Path | None = None) -> Iterator[Block]:
    """The blocks of all documents, or of one; of all languages, or of one."""
    for document in DOCUMENTS if path is None else [path]:
        text = document.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            if language in {None, found[1]}:
                words = dict(part.partition("=")[::2] for part in shlex.split(found[2]))
                yield Block(document, text.count("\n", 0, found.start()) + 1, found[1], words, found[3])


def titled(path: Path) -> dict[str, str]:
    """The files that a page shows, by their titles; the last one of a name counts."""
    return {block.words["title"]: block.text for block in blocks(path=path) if "title" in block.words}


def pages_with_files() -> list[Path]:
    """The pages that show files of a project."""
    return [path for path in DOCUMENTS if titled(path)]


def write_project(folder: Path, files: dict[str, str]) -> Path:
    """Write the files of a project, with a `flowlang.yaml` where there is none."""
    for title, text in {"flowlang.yaml": _PROJECT, **files}.items():
        path = folder / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def commands() -> Iterator[tuple[Block, list[str]]]:
    """The lines behind a `$` in console blocks, continued ones joined, as words; what follows a pipe is left out."""
    for block in blocks("console"):
        for line in re.findall(r"^\$ ((?:.*\\\n)*.*)$", block.text, re.MULTILINE):
            words = shlex.split(line.replace("\\\n", " "), comments=True)
            ends = [words.index(sign) for sign in ("|", ">", ">>", "&", "&&") if sign in words]
            yield block, words[: min(ends)] if ends else words


def names_of(path: Path) -> dict[str, object]:
    """The root names that a page's expressions read: its block `json names`."""
    found: dict[str, object] = {}
    for block in blocks("json", path):
        if "names" in block.words:
            found |= json.loads(block.text)
    return found
