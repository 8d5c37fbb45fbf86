"""A project that an editor has open: its files with what is not saved yet, read again as they change."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from flowlang.compiler import ProjectInput
from flowlang.compiler.expressions import Seen
from flowlang.diagnostics import Diagnostic
from flowlang.errors import FlowError
from flowlang.handler.signature import Signature
from flowlang.lsp.expressions import everywhere
from flowlang.lsp.files import Kind, Rest, View, kind_of, view
from flowlang.model import Path, YamlDocument
from flowlang.project import Checked, check_project
from flowlang.project.files import PROJECT_FILE
from flowlang.source import SourceText

#: Names that expressions have in a pipeline, wherever they stand.
_ROOTS: Final = frozenset({"event", "steps", "run", "vars", "secrets"})
_TEST_NAMES: Final = frozenset({"status", "output", "error", "steps", "calls", "emitted", "runs"})
_NAMED: Final = {root: re.compile(rf"\b{root}\.([A-Za-z_][A-Za-z0-9_]*)") for root in ("secrets", "env")}


def project_folder(file: FilePath) -> FilePath | None:
    """The project that a file belongs to: the nearest folder above it with a `flowlang.yaml`."""
    return next((folder for folder in file.parents if (folder / PROJECT_FILE).is_file()), None)


class OpenProject:
    """A project in an editor.

    Args:
        folder: Its folder.

    Attributes:
        unsaved: Texts of open files, by path from the folder.
    """

    def __init__(self, folder: FilePath) -> None:
        self.folder = folder.resolve()
        self.unsaved: dict[str, str] = {}
        self._project: Checked | None = None
        self._loaded: dict[str, str] | None = None
        self._views: dict[str, View] = {}
        self._seen: dict[tuple[str, int], Mapping[Path, Seen]] = {}

    def path_of(self, file: FilePath) -> str | None:
        """The path of a file from the folder, with `/`; None when it does not lie in it."""
        try:
            return file.resolve().relative_to(self.folder).as_posix()
        except (ValueError, OSError):
            return None

    def load(self) -> Checked | None:
        """Read the whole project again. None when its `flowlang.yaml` is gone."""
        environment = os.environ.get("FLOWLANG_ENV") or "development"
        try:
            self._project = check_project(self.folder, environment=environment, unsaved=dict(self.unsaved))
        except FlowError:
            self._project = None
        self._views.clear()
        self._loaded = dict(self.unsaved)
        return self._project

    def take(self, other: OpenProject) -> None:
        """Take in what another thread has read of the same folder."""
        self._project, self._loaded = other._project, other._loaded
        self._views.clear()

    def refresh(self) -> None:
        """Read the project again where texts have changed since it was read."""
        if self._loaded != self.unsaved:
            self.load()

    @property
    def project(self) -> Checked | None:
        """The project as it was last read."""
        return self.load() if self._project is None else self._project

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """The findings of when it was last read."""
        return () if self.project is None else self.project.diagnostics

    @property
    def inputs(self) -> ProjectInput:
        """What the compiler was given when it was last read."""
        return ProjectInput((), None) if self.project is None else self.project.inputs

    @property
    def owners(self) -> Mapping[str, str]:
        """Names of all pipelines → the path of the file that each is in."""
        return {} if self.project is None else self.project.owners

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Handlers by name."""
        return self.inputs.signatures

    def text(self, path: str) -> str:
        """A file's text, as the editor holds it or as it is saved; empty when it cannot be read."""
        if path in self.unsaved:
            return self.unsaved[path]
        source = None if self.project is None else self.project.sources.get(path)
        if source is not None:
            return source.text
        try:
            return (self.folder / path).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def view(self, path: str) -> View | None:
        """A file, read as it is now; None when it is none of ours."""
        text = self.text(path)
        known = self._views.get(path)
        if known is None or known.source.text != text:
            known = self.read(path, text)
            if known is not None:
                self._views[path] = known
        return known

    def read(self, path: str, text: str) -> View | None:
        """A file, read as if it had another text."""
        kind = kind_of(path)
        if kind is None:
            return None
        rest = Rest(self.inputs, self.folder, self.owners, self.text)
        found = view(SourceText(path, text), kind, rest)
        for number, seen in enumerate(found.seen):
            if seen:
                self._seen[path, number] = seen
        return found

    def seen_at(self, view: View, number: int, path: Path) -> Seen:
        """What can be read at a place.

        Args:
            view: The file.
            number: Of the document in it.
            path: The place. What was last known of it counts where the document has mistakes now.
        """
        for seen in (view.seen[number], self._seen.get((view.source.path, number), {})):
            for length in range(len(path), 0, -1):
                if path[:length] in seen:
                    return seen[path[:length]]
        return self._roughly(view, number)

    def _roughly(self, view: View, number: int) -> Seen:
        """What may be read in a document of which only the text is known."""
        if view.kind is Kind.TESTS:
            return everywhere(_TEST_NAMES, frozenset(), frozenset())
        data = view.documents[number].data()
        own = data.get("vars") if isinstance(data, dict) else None
        of_project = {} if self.inputs.project is None else self.inputs.project.vars
        variables = frozenset({*of_project, *(own if isinstance(own, dict) else ())})
        return everywhere(_ROOTS, frozenset(name for name, _ in steps_of(view.documents[number])), variables)

    def names_read(self, root: str) -> list[str]:
        """The names that some file of the project reads behind `secrets.` or `env.`."""
        found: set[str] = set()
        for path in () if self.project is None else self.project.sources:
            if path.endswith((".yaml", ".yml")):
                found.update(_NAMED[root].findall(self.text(path)))
        return sorted(found)

    def documents(self) -> Iterator[tuple[View, int, YamlDocument]]:
        """All documents of all files of the project, each with its file and its number there."""
        for path in () if self.project is None else sorted({*self.project.sources, *self.unsaved}):
            found = self.view(path)
            for number, document in enumerate(() if found is None else found.documents):
                assert found is not None
                yield found, number, document

    def pipeline(self, name: str) -> tuple[View, YamlDocument] | None:
        """The document of a pipeline."""
        for found, _, document in self.documents():
            if found.kind is Kind.PIPELINES and value_at(document, ("pipeline",)) == name:
                return found, document
        return None

    def events(self) -> list[str]:
        """The names of all events that the project speaks of."""
        names = set(self.inputs.schemas)
        for pipeline in self.owners:
            names.update(f"pipeline/{pipeline}.{end}" for end in ("succeeded", "failed", "cancelled"))
        return sorted(names)


def value_at(document: YamlDocument, path: Path) -> Any:
    """The plain data at a path; None when nothing is there."""
    data = document.data()
    for step in path:
        is_item = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if is_item or (isinstance(data, dict) and step in data):
            data = data[step]
        else:
            return None
    return data


def steps_of(document: YamlDocument) -> Iterator[tuple[str, Path]]:
    """The ids of a pipeline's steps, each with the path of its step."""
    pending: list[tuple[Any, Path]] = [(document.data(), ())]
    while pending:
        data, path = pending.pop(0)
        if isinstance(data, list):
            pending += [(item, (*path, place)) for place, item in enumerate(data)]
        elif isinstance(data, dict):
            if path and isinstance(data.get("id"), str):
                yield data["id"], path
            pending += [(data[key], (*path, key)) for key in data if key in _HOLDERS]


#: Keys below which steps lie.
_HOLDERS: Final = frozenset({"steps", "on_failure", "parallel", "race", "switch", "catch", "finally"})
