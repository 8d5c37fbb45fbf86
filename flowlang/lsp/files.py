"""One file as an editor holds it: its documents, and what can be read where expressions stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path as FilePath

from flowlang.compiler import ProjectInput
from flowlang.compiler.expressions import Seen
from flowlang.compiler.findings import Findings
from flowlang.compiler.outline import invoked_by
from flowlang.compiler.pipeline import PipelineLowering
from flowlang.compiler.project_types import ProjectTypes
from flowlang.compiler.webhooks import lower_webhooks
from flowlang.model import (
    Path,
    Pipeline,
    PipelineDocument,
    PipelineTest,
    ProjectFile,
    YamlDocument,
    load_pipelines,
    load_project_file,
)
from flowlang.model.base import Part
from flowlang.model.yaml_nodes import Mapping as YamlMapping
from flowlang.model.yaml_nodes import Node as YamlNode
from flowlang.model.yaml_nodes import Sequence as YamlSequence
from flowlang.model.yaml_source import read_yaml
from flowlang.project.files import PROJECT_FILE, ProjectFiles
from flowlang.project.inputs import checked_inputs
from flowlang.project.schema_files import SchemaFiles
from flowlang.project.tests import SUFFIXES
from flowlang.source import SourceText


class Kind(Enum):
    """What a file holds, by its path."""

    PIPELINES = Pipeline
    PROJECT = ProjectFile
    TESTS = PipelineTest

    @property
    def model(self) -> type[Part]:
        """The model of its documents."""
        model: type[Part] = self.value
        return model


def kind_of(path: str) -> Kind | None:
    """What a file holds.

    Args:
        path: From the project's root.
    """
    lowered = path.lower()
    if path == PROJECT_FILE:
        return Kind.PROJECT
    if lowered.endswith(SUFFIXES):
        return Kind.TESTS
    is_pipeline = path.startswith("pipelines/") and lowered.endswith((".yaml", ".yml"))
    return Kind.PIPELINES if is_pipeline else None


@dataclass(frozen=True, slots=True)
class View:
    """A file, read.

    Attributes:
        source: Its text.
        kind: What it holds.
        documents: Those that could be read; a list of tests counts as so many documents.
        seen: For each of them, what can be read at each value and expression, by path; empty where it has mistakes.
    """

    source: SourceText
    kind: Kind
    documents: tuple[YamlDocument, ...]
    seen: tuple[Mapping[Path, Seen], ...]

    def number_at(self, offset: int) -> int | None:
        """The number of the document at an offset, the last one that begins before it; None when there is none."""
        starts = [number for number, document in enumerate(self.documents) if document.root.start <= offset]
        return starts[-1] if starts else None


@dataclass(slots=True)
class _Collector:
    """Takes in what can be read, by path; of a path that is seen twice, the last word counts."""

    seen: dict[Path, Seen] = field(default_factory=dict)

    def __call__(self, seen: Seen) -> None:
        self.seen[seen.path] = seen


@dataclass(frozen=True, slots=True)
class Rest:
    """The rest of a project.

    Attributes:
        inputs: What the compiler was given when it was last read.
        folder: The project's folder, absolute.
        owners: Names of all pipelines → the path of the file that each is in.
        text: Gives the text of a file by its path.
    """

    inputs: ProjectInput
    folder: FilePath
    owners: Mapping[str, str]
    text: Callable[[str], str]


def view(source: SourceText, kind: Kind, rest: Rest) -> View:
    """Read a file as part of a project.

    Args:
        source: Its text.
        kind: What it holds.
        rest: The rest of the project.
    """
    if kind is Kind.PIPELINES:
        return _pipelines(source, rest)
    if kind is Kind.PROJECT:
        return _project(source)
    documents: list[YamlDocument] = []
    for document in read_yaml(source)[0]:
        items = document.root.items if isinstance(document.root, YamlSequence) else (document.root,)
        documents += [YamlDocument(source, _test(item)) for item in items]
    return View(source, kind, tuple(documents), ({},) * len(documents))


def _test(node: YamlNode) -> YamlNode:
    """A test, or what stands below `shared`."""
    if isinstance(node, YamlMapping) and "shared" in node.entries:
        return node.entries["shared"].value
    return node


def _pipelines(source: SourceText, rest: Rest) -> View:
    schemas = SchemaFiles(ProjectFiles(rest.folder))
    documents = checked_inputs(load_pipelines(source)[0], schemas, [])
    names = frozenset({*rest.owners, *(document.name for document in documents if document.name is not None)})
    types = ProjectTypes(rest.inputs)
    for path in _invoked_files(documents, rest):
        for other in checked_inputs(load_pipelines(SourceText(path, rest.text(path)))[0], schemas, []):
            if other.model is not None:
                PipelineLowering(other, rest.inputs, names, types).lower()  # `types` learns what it takes and gives
    seen: list[Mapping[Path, Seen]] = []
    for document in documents:
        collector = _Collector()
        if document.model is not None:
            PipelineLowering(document, replace(rest.inputs, watch=collector), names, types).lower()
        seen.append(collector.seen)
    return View(source, Kind.PIPELINES, tuple(document.document for document in documents), tuple(seen))


def _invoked_files(documents: Iterable[PipelineDocument], rest: Rest) -> list[str]:
    """The other files whose pipelines are invoked from here, as they are saved or open."""
    invoked = {name for document in documents if document.model is not None for name in invoked_by(document.model)}
    own = {document.source.path for document in documents}
    return sorted({rest.owners[name] for name in invoked if name in rest.owners} - own)


def _project(source: SourceText) -> View:
    documents, _ = read_yaml(source)
    model, _ = load_project_file(source)
    collector = _Collector()
    if model is not None:
        lower_webhooks(model, Findings(documents[0]), collector)
    return View(source, Kind.PROJECT, tuple(documents[:1]), (collector.seen,) if documents else ())
