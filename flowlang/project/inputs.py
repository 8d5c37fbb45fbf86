"""The `input` of pipelines: schemas written in place, and files that they name."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from flowlang.diagnostics import Diagnostic
from flowlang.model import PipelineDocument
from flowlang.project.schema_bundle import Report
from flowlang.project.schema_check import SchemaProblem
from flowlang.project.schema_files import SchemaFiles


def checked_inputs(
    documents: Iterable[PipelineDocument], files: SchemaFiles, found: list[Diagnostic]
) -> tuple[PipelineDocument, ...]:
    """Check the schemas that pipelines write in place, and follow their references.

    Args:
        documents: All pipelines.
        files: The project's schemas.
        found: Takes the mistakes.

    Returns:
        The documents with schemas that stand alone; without one where it has mistakes.
    """
    return tuple(_checked(document, files, found) for document in documents)


def named_inputs(named: Container[str], files: SchemaFiles) -> Mapping[str, Any]:
    """The schema files that `input` may name; only those that some pipeline names are read, others are None."""
    return {path: files.schema(path) if path in named else None for path in files.paths}


def _checked(document: PipelineDocument, files: SchemaFiles, found: list[Diagnostic]) -> PipelineDocument:
    model = document.model
    if model is None or not isinstance(model.input, dict):
        return document
    schema = files.inline(model.input, _reporter(document, found))
    if schema == model.input:
        return document
    return replace(document, model=model.model_copy(update={"input": schema}))


def _reporter(document: PipelineDocument, found: list[Diagnostic]) -> Report:
    def report(problem: SchemaProblem) -> None:
        span = document.document.span_at(("input", *problem.path))
        found.append(Diagnostic("FL117", problem.message, span, hint=problem.hint))

    return report
