"""What was found in pipeline files before, kept from one check of a project to the next.

A file's record counts while its text is the same and so is all else that its pipelines were checked against: the
project file, schemas, handlers, the names of all pipelines, the files of those that it invokes, and this release. What
does not count is found again; a record that is lost or cannot be read costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

import flowlang
from flowlang.compiler.outline import PipelineOutline
from flowlang.compiler.project import Lowered
from flowlang.diagnostics import Diagnostic
from flowlang.plan import Plan, plan_from_json
from flowlang.project.caches import keep
from flowlang.source import Span

#: Changes with the layout of records.
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """What became of a document.

    Attributes:
        name: The pipeline's name, where it could be read.
        span: Where that is written.
        outline: For the rest of the project; None when the document has mistakes of shape.
        plan: Its plan as JSON; empty when it has errors.
        found: What was found in it after it was read.
    """

    name: str | None
    span: Span
    outline: PipelineOutline | None
    plan: bytes
    found: tuple[Diagnostic, ...]

    @classmethod
    def of(cls, lowered: Lowered) -> KeptDocument:
        """The document to keep."""
        plan = b"" if lowered.plan is None else lowered.plan.to_json()
        return cls(lowered.name, lowered.span, lowered.outline, plan, lowered.found)

    def lowered(self) -> Lowered:
        """The document as it was lowered, without its plan."""
        return Lowered(self.name, self.span, self.outline, None, self.found, sound=bool(self.plan))


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What was found in a file.

    Attributes:
        text: Digest of the file's text.
        context: Digest of what its pipelines were checked against.
        documents: In their order.
        mistakes: What was found when it was read.
    """

    text: str
    context: str
    documents: tuple[KeptDocument, ...]
    mistakes: tuple[Diagnostic, ...]


@dataclass(slots=True)
class Kept:
    """The records of a project's files.

    Attributes:
        file: Where they are kept; None: nowhere.
        records: By path from the project's root.
    """

    file: Path | None
    records: Mapping[str, FileRecord] = field(default_factory=dict)

    def write(self, records: Mapping[str, FileRecord]) -> None:
        """Keep these records, if they are others; where that cannot be, the next check takes longer."""
        if self.file is None or records == self.records:
            return
        keep(self.file, msgspec.msgpack.encode((_release(), records)))


class KeptPlans(Mapping[str, Plan]):
    """Plans by pipeline, read when they are asked for.

    Args:
        ready: Those that were made.
        kept: Those that are kept, as JSON.
    """

    def __init__(self, ready: Mapping[str, Plan], kept: Mapping[str, bytes]) -> None:
        self._ready = dict(ready)
        self._kept = kept

    def __getitem__(self, name: str) -> Plan:
        if name not in self._ready:
            self._ready[name] = plan_from_json(self._kept[name])
        return self._ready[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._ready, **self._kept})

    def __len__(self) -> int:
        return len({*self._ready, *self._kept})

    def __contains__(self, name: object) -> bool:
        return name in self._ready or name in self._kept


def read_kept(folder: Path, caches: Path) -> Kept:
    """The records of a project.

    Args:
        folder: The project's, absolute and without links.
        caches: Where this program may keep things.
    """
    file = caches / "validate" / hashlib.sha256(str(folder).encode()).hexdigest()[:32]
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, AssertionError):
        release, records = msgspec.msgpack.decode(file.read_bytes(), type=tuple[str, dict[str, FileRecord]])
        if release == _release():
            return Kept(file, records)
    return Kept(file)


def digest_of(*texts: str) -> str:
    """A digest of texts, each of which may hold anything."""
    found = hashlib.blake2b(digest_size=20)
    for text in texts:
        content = text.encode("utf-8", errors="surrogatepass")
        found.update(b"%d\0" % len(content))
        found.update(content)
    return found.hexdigest()


@cache
def _release() -> str:
    """Names this release, and the state of its files while somebody works on it."""
    folder = Path(flowlang.__file__).parent
    texts = [flowlang.__version__, str(_FORMAT)]
    for place, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith((".py", ".lark", ".json")):
                seen = (Path(place) / name).stat()
                texts.append(f"{place}/{name} {seen.st_size} {seen.st_mtime_ns}")
    return digest_of(*texts)
