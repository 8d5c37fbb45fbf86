"""From a file to models: the door of this package."""

from __future__ import annotations

from dataclasses import dataclass

from flowlang.diagnostics import Diagnostic, has_errors, sorted_diagnostics
from flowlang.model.base import found
from flowlang.model.pipeline import Pipeline
from flowlang.model.pipeline_rules import pipeline_findings
from flowlang.model.project_file import ProjectFile
from flowlang.model.shape import read_shape
from flowlang.model.step_rules import step_findings
from flowlang.model.yaml_nodes import MapData, YamlDocument
from flowlang.model.yaml_source import read_yaml
from flowlang.source import SourceText


@dataclass(frozen=True, slots=True)
class PipelineDocument:
    """A document of a pipeline file.

    Args:
        name: The pipeline's name, when it could be read; other pipelines may speak of it even if it has mistakes.
        model: The pipeline; None when it has errors, all of which have been reported.
        document: The tree with places.
        source: The file.
    """

    name: str | None
    model: Pipeline | None
    document: YamlDocument
    source: SourceText


def load_pipelines(source: SourceText) -> tuple[list[PipelineDocument], list[Diagnostic]]:
    """Read the pipelines of a file, one a document.

    Args:
        source: The file.

    Returns:
        The documents in order, and all findings, sorted by place.
    """
    documents, diagnostics = read_yaml(source)
    if not documents and not diagnostics:
        diagnostics = [_nothing_here(source, "a pipeline begins with `flowlang: 1` and `pipeline: name`")]
    loaded = []
    for document in documents:
        pipeline, more = _load_pipeline(document, already_wrong=_faulty(document, diagnostics))
        loaded.append(pipeline)
        diagnostics += more
    return loaded, sorted_diagnostics(diagnostics)


def _load_pipeline(document: YamlDocument, *, already_wrong: bool) -> tuple[PipelineDocument, list[Diagnostic]]:
    data = document.data()
    if not isinstance(data, MapData):
        return PipelineDocument(None, None, document, document.source), [_no_map(document, "a pipeline", data)]
    model, diagnostics = read_shape(document, Pipeline)
    diagnostics += step_findings(document, data)
    diagnostics += pipeline_findings(document, data)
    name = data.get("pipeline")
    usable = model is not None and not already_wrong and not has_errors(diagnostics)
    loaded = PipelineDocument(
        name if isinstance(name, str) else None, model if usable else None, document, document.source
    )
    return loaded, diagnostics


def load_project_file(source: SourceText) -> tuple[ProjectFile | None, list[Diagnostic]]:
    """Read `flowlang.yaml`.

    Args:
        source: The file.

    Returns:
        The project, or None when it has errors, and all findings, sorted by place.
    """
    documents, diagnostics = read_yaml(source)
    if not documents:
        if not diagnostics:
            diagnostics = [_nothing_here(source, "a project begins with `flowlang: 1` and `project: name`")]
        return None, diagnostics
    for document in documents[1:]:
        message = "`flowlang.yaml` has one document, and here another begins"
        diagnostics.append(Diagnostic("FL104", message, document.span_at(()), hint="remove the `---`"))
    document = documents[0]
    if not isinstance(document.data(), MapData):
        return None, [*diagnostics, _no_map(document, "`flowlang.yaml`", document.data())]
    model, more = read_shape(document, ProjectFile)
    diagnostics = sorted_diagnostics([*diagnostics, *more])
    return (None if has_errors(diagnostics) else model), diagnostics


def _faulty(document: YamlDocument, diagnostics: list[Diagnostic]) -> bool:
    """Whether the loader found an error inside of a document."""
    start, end = document.root.start, document.root.end
    return has_errors(item for item in diagnostics if start <= item.span.start <= end)


def _nothing_here(source: SourceText, hint: str) -> Diagnostic:
    return Diagnostic("FL100", "the file is empty", source.span(0, 0), hint=hint)


def _no_map(document: YamlDocument, called: str, data: object) -> Diagnostic:
    return Diagnostic("FL103", f"{called} is a map; found {found(data)}", document.span_at(()))
