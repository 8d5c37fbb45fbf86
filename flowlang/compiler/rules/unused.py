"""What is declared and never used: schemas, vars, retry policies, queues, webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flowlang.compiler.expressions import expressions_in
from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.rules.subject import Subject
from flowlang.compiler.standing import standings
from flowlang.diagnostics import Diagnostic, Severity
from flowlang.model import Path, ProjectFile
from flowlang.source import SourceText

_SCHEMAS = "schemas/"


def unused_findings(graph: ProjectGraph, given: ProjectInput, subjects: Sequence[Subject]) -> Iterator[Diagnostic]:
    """Find what nothing uses.

    Args:
        graph: The project's.
        given: What was read.
        subjects: Its pipelines.
    """
    yield from _schemas(given)
    yield from _own_vars(subjects)
    if given.project is None or given.project_document is None:
        return

    def unused(code: str, path: Path, message: str, hint: str) -> Diagnostic:
        assert given.project_document is not None
        # What a project has in store may be meant for pipelines to come; a var is computed for nothing.
        severity = Severity.WARNING if code == "FL318" else Severity.INFO
        return Diagnostic(code, message, given.project_document.span_at(path, key=True), severity, hint)

    file = given.project
    read = _vars_read(file, subjects)
    for name in file.vars:
        if name not in read:
            yield unused("FL318", ("vars", name), f"no pipeline reads the var `{name}`", f"read it as `vars.{name}`")
    named = _policies_named(given, subjects) if file.retries else set()
    for name in file.retries:
        if name not in named:
            hint = f"name it where it is meant: `retry: {name}`"
            yield unused("FL319", ("retries", name), f"nothing uses the retry policy `{name}`", hint)
    queues = _queues_named(subjects) if file.queues else set()
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


def _own_vars(subjects: Sequence[Subject]) -> Iterator[Diagnostic]:
    for subject in subjects:
        for name in subject.pipeline.vars:
            if name not in subject.checker.vars_read:
                span = subject.findings.span(("vars", name), key=True)
                message = f"nothing reads the var `{name}`"
                yield Diagnostic("FL318", message, span, Severity.WARNING, f"read it as `vars.{name}`")


def _vars_read(file: ProjectFile, subjects: Sequence[Subject]) -> set[str]:
    read = {name for subject in subjects for name in subject.checker.vars_read}
    for value in file.vars.values():
        for expression in expressions_in(value):
            read |= {path[1] for path in expression.paths if path[0] == "vars" and len(path) > 1}
    return read


def _policies_named(given: ProjectInput, subjects: Sequence[Subject]) -> set[str]:
    written: list[Any] = [signature.retry for signature in given.signatures.values()]
    assert given.project is not None
    written += given.project.retries.values()
    written += [given.project.defaults.retry]
    for environment in given.project.environments.values():
        written += [environment.defaults.retry, *environment.retries.values()]
    for subject in subjects:
        written.append(subject.pipeline.retry)
        for standing in standings(subject.pipeline):
            undo = standing.step.undo
            written += [standing.step.retry, None if undo is None else undo.retry]
    return {name for policies in written for name in _names(policies)}


def _names(policies: Any) -> Iterator[str]:
    """The names among policies: one, or a list of them."""
    for policy in policies if isinstance(policies, list | tuple) else (policies,):
        if isinstance(policy, str):
            yield policy


def _queues_named(subjects: Sequence[Subject]) -> set[str]:
    steps = {standing.step.queue or "default" for subject in subjects for standing in standings(subject.pipeline)}
    return {"default"} | steps | {subject.pipeline.queue for subject in subjects}
