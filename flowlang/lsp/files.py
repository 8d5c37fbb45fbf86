"""One file as an editor holds it: its documents, and what can be read where expressions stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path as FilePath

from flowlang.compiler import ProjectInput
from flowlang.compiler.expressions import Seen
from flowlang.compiler.findings import Findings
from flowlang.compiler.pipeline import PipelineLowering
from flowlang.compiler.project_types import ProjectTypes
from flowlang.compiler.webhooks import lower_webhooks
from flowlang.model import Path, Pipeline, PipelineTest, ProjectFile, YamlDocument, load_pipelines, load_project_file
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


def view(source: SourceText, kind: Kind, inputs: ProjectInput, folder: FilePath) -> View:
    """Read a file as part of a project.

    Args:
        source: Its text.
        kind: What it holds.
        inputs: The rest of the project, as it was when it was last read.
        folder: The project's folder, absolute.
    """
    if kind is Kind.PIPELINES:
        return _pipelines(source, inputs, folder)
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


def _pipelines(source: SourceText, inputs: ProjectInput, folder: FilePath) -> View:
    loaded, _ = load_pipelines(source)
    documents = checked_inputs(loaded, SchemaFiles(ProjectFiles(folder)), [])
    names = frozenset(document.name for document in (*inputs.pipelines, *documents) if document.name is not None)
    seen: list[Mapping[Path, Seen]] = []
    for document in documents:
        collector = _Collector()
        if document.model is not None:
            PipelineLowering(document, replace(inputs, watch=collector), names, ProjectTypes(inputs)).lower()
        seen.append(collector.seen)
    return View(source, Kind.PIPELINES, tuple(document.document for document in documents), tuple(seen))


def _project(source: SourceText) -> View:
    documents, _ = read_yaml(source)
    model, _ = load_project_file(source)
    collector = _Collector()
    if model is not None:
        lower_webhooks(model, Findings(documents[0]), collector)
    return View(source, Kind.PROJECT, tuple(documents[:1]), (collector.seen,) if documents else ())
