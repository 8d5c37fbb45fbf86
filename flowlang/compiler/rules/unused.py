"""What is declared and never used: schemas, vars, retry policies, queues, webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flowlang.compiler.expressions import expressions_in
from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.outline import PipelineOutline, policy_names
from flowlang.diagnostics import Diagnostic, Severity
from flowlang.model import Path, ProjectFile
from flowlang.source import SourceText

_SCHEMAS = "schemas/"


def unused_findings(graph: ProjectGraph, given: ProjectInput) -> Iterator[Diagnostic]:
    """Find what nothing uses.

    Args:
        graph: The project's.
        given: What was read.
    """
    outlines = graph.nodes.values()
    yield from _schemas(given)
    yield from _own_vars(outlines)
    if given.project is None or given.project_document is None:
        return

    def unused(code: str, path: Path, message: str, hint: str) -> Diagnostic:
        assert given.project_document is not None
        # What a project has in store may be meant for pipelines to come; a var is computed for nothing.
        severity = Severity.WARNING if code == "FL318" else Severity.INFO
        return Diagnostic(code, message, given.project_document.span_at(path, key=True), severity, hint)

    file = given.project
    read = _vars_read(file, outlines)
    for name in file.vars:
        if name not in read:
            yield unused("FL318", ("vars", name), f"no pipeline reads the var `{name}`", f"read it as `vars.{name}`")
    named = _policies_named(given, outlines) if file.retries else set()
    for name in file.retries:
        if name not in named:
            hint = f"name it where it is meant: `retry: {name}`"
            yield unused("FL319", ("retries", name), f"nothing uses the retry policy `{name}`", hint)
    queues = {"default"}.union(*(outline.queues for outline in outlines))
    for name in file.queues:
        if name not in queues:
            hint = f"name it where it is meant: `queue: {name}`"
            yield unused("FL320", ("queues", name), f"nothing uses the queue `{name}`", hint)
    for name in file.webhooks:
        if not any(graph.webhook_of(taker.event) == name for taker in graph.takers):
            message = f"no pipeline takes the events of the webhook `{name}`"
            yield unused("FL321", ("webhooks", name), message, f"a trigger such as `- event: {name}/…` takes them")


def _schemas(given: ProjectInput) -> Iterator[Diagnostic]:
    """Schema files that are no event's, and that nothing names; those at the top may be written for editors."""
    for path in sorted(given.schema_files):
        below = path.removeprefix(_SCHEMAS)
        if "/" in below and not below.startswith("events/") and path not in given.used_schemas:
            span = SourceText(path, "").span(0, 0)
            hint = f"name it as `input: {path}`, or refer to it from another schema"
            yield Diagnostic("FL317", f"nothing uses the schema `{path}`", span, Severity.INFO, hint)


def _own_vars(outlines: Iterable[PipelineOutline]) -> Iterator[Diagnostic]:
    for outline in outlines:
        for name, span in outline.unread_vars:
            message = f"nothing reads the var `{name}`"
            yield Diagnostic("FL318", message, span, Severity.WARNING, f"read it as `vars.{name}`")


def _vars_read(file: ProjectFile, outlines: Iterable[PipelineOutline]) -> set[str]:
    read = {name for outline in outlines for name in outline.vars_read}
    for value in file.vars.values():
        for expression in expressions_in(value):
            read |= {path[1] for path in expression.paths if path[0] == "vars" and len(path) > 1}
    return read


def _policies_named(given: ProjectInput, outlines: Iterable[PipelineOutline]) -> set[str]:
    written: list[Any] = [signature.retry for signature in given.signatures.values()]
    assert given.project is not None
    written += given.project.retries.values()
    written += [given.project.defaults.retry]
    for environment in given.project.environments.values():
        written += [environment.defaults.retry, *environment.retries.values()]
    named = {name for policies in written for name in policy_names(policies)}
    return named.union(*(outline.policies for outline in outlines))
