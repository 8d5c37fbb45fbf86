"""A project becomes plans and a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowlang.compiler.expressions import Checker, Place
from flowlang.compiler.findings import Findings
from flowlang.compiler.flow import differing_limits
from flowlang.compiler.graph import graph_of
from flowlang.compiler.inputs import Compiled, ProjectInput
from flowlang.compiler.observe import lower_observe
from flowlang.compiler.outline import PipelineOutline, invoked_by, outline_of
from flowlang.compiler.pipeline import PipelineLowering
from flowlang.compiler.project_types import ProjectTypes
from flowlang.compiler.rules import pipeline_rules, project_rules
from flowlang.compiler.subject import Subject
from flowlang.compiler.webhooks import lower_webhooks
from flowlang.diagnostics import Diagnostic, Label, has_errors, sorted_diagnostics
from flowlang.durations import milliseconds
from flowlang.model import PipelineDocument, ProjectFile
from flowlang.plan import Manifest, Observe, Plan, QueueRule, WebhookSource
from flowlang.source import Span


@dataclass(frozen=True, slots=True)
class Lowered:
    """A document of a pipeline file after it was lowered.

    Attributes:
        name: The pipeline's name, where it could be read.
        span: Where that is written.
        outline: For the rest of the project; None when the document has mistakes of shape.
        plan: What became of it; None when it has errors, or when the plan is kept elsewhere.
        found: What was found in it.
        sound: Whether it has no errors.
    """

    name: str | None
    span: Span
    outline: PipelineOutline | None = None
    plan: Plan | None = None
    found: tuple[Diagnostic, ...] = ()
    sound: bool = False


def compile_project(project: ProjectInput) -> Compiled:
    """Compile all pipelines of a project.

    Args:
        project: What was read.

    Returns:
        Plans of the pipelines without errors, the manifest when nothing has errors, and all findings.
    """
    names = frozenset(document.name for document in project.pipelines if document.name is not None)
    return join_pipelines(project, lower_pipelines(project, names))


def lower_pipelines(project: ProjectInput, names: frozenset[str]) -> list[Lowered]:
    """Lower pipelines, and find what is wrong within each.

    Args:
        project: What was read; its pipelines are those to be lowered, with all that they invoke.
        names: Of all pipelines of the project.

    Returns:
        What became of each document, in their order.
    """
    types = ProjectTypes(project)
    subjects = {
        id(document): PipelineLowering(document, project, names, types).lower()
        for document in _invoked_first(project.pipelines)
    }
    pipeline_rules(project, subjects.values())
    return [_lowered(document, subjects.get(id(document))) for document in project.pipelines]


def join_pipelines(project: ProjectInput, lowered: Sequence[Lowered]) -> Compiled:
    """Join pipelines to a project, and find what is wrong between them.

    Args:
        project: What was read; which pipelines it has is told by `lowered`.
        lowered: All documents of all pipeline files.

    Returns:
        As `compile_project`.
    """
    outlines = [each.outline for each in lowered if each.outline is not None]
    found = [*_duplicates(lowered), *differing_limits(limit for outline in outlines for limit in outline.limits)]
    whole = not found and all(each.plan is not None for each in lowered)
    found += (item for each in lowered for item in each.found)
    plans = {each.plan.pipeline: each.plan for each in lowered if each.plan is not None}
    webhooks, observe = _project_file(project, found)
    graph = graph_of(outlines, project.project)
    found = project_rules(project, graph, found, whole=len(outlines) == len(lowered) > 0)
    diagnostics = tuple(sorted_diagnostics(found))
    manifest = None
    if whole and project.project is not None and not has_errors(diagnostics):
        manifest = _manifest(project, project.project, plans, webhooks, observe)
    return Compiled(plans, manifest, diagnostics, graph)


def _lowered(document: PipelineDocument, subject: Subject | None) -> Lowered:
    span = document.document.span_at(("pipeline",)) if document.name is not None else document.document.span_at(())
    if subject is None:
        return Lowered(document.name, span)
    plan, found = subject.plan, tuple(subject.findings.found)
    return Lowered(document.name, span, outline_of(subject), plan, found, sound=plan is not None)


def _invoked_first(documents: tuple[PipelineDocument, ...]) -> list[PipelineDocument]:
    """Order pipelines so that those which others invoke come before them, as far as they do not invoke one another."""
    named = {document.name: document for document in reversed(documents) if document.model is not None}
    ordered: dict[int, PipelineDocument] = {}
    for start in documents:
        pending = [(start, False)]
        seen: set[int] = set()
        while pending:
            document, ready = pending.pop()
            if document.model is None or id(document) in ordered:
                continue
            if ready:
                ordered[id(document)] = document
            elif id(document) not in seen:
                seen.add(id(document))
                invoked = invoked_by(document.model)
                pending += [(document, True), *((named[name], False) for name in invoked if name in named)]
    return list(ordered.values())


def _duplicates(lowered: Iterable[Lowered]) -> list[Diagnostic]:
    first: dict[str, Lowered] = {}
    found = []
    for each in lowered:
        if each.name is None:
            continue
        earlier = first.setdefault(each.name, each)
        if earlier is not each:
            label = Label(earlier.span, "the first one")
            message = f"there is a pipeline `{each.name}` already"
            found.append(Diagnostic("FL123", message, each.span, hint="choose another name", labels=(label,)))
    return found


def _project_file(project: ProjectInput, found: list[Diagnostic]) -> tuple[tuple[WebhookSource, ...], Observe | None]:
    if project.project is None or project.project_document is None:
        return (), None
    findings = Findings(project.project_document)
    environ = project.environ if project.deploying else None
    _check_vars(project.project, findings, environ)
    webhooks = lower_webhooks(project.project, findings, project.watch)
    observe = lower_observe(project.project, findings, environ)
    found += findings.found
    return webhooks, observe


def _check_vars(file: ProjectFile, findings: Findings, environ: Mapping[str, str] | None) -> None:
    """Check the project's vars: each sees those above it."""
    checker = Checker(findings, frozenset(), environ)
    before: set[str] = set()
    for name, value in file.vars.items():
        place = Place(frozenset({"event", "run", "vars", "env"}), vars=frozenset(before))
        checker.learn_var(name, checker.value(value, ("vars", name), place).type)
        before.add(name)


def _manifest(
    project: ProjectInput,
    file: ProjectFile,
    plans: dict[str, Plan],
    webhooks: tuple[WebhookSource, ...],
    observe: Observe | None,
) -> Manifest:
    limits = file.limits
    return Manifest(
        project=file.project,
        pipelines={name: plans[name].digest for name in sorted(plans)},
        events=tuple(project.schemas[name] for name in sorted(project.schemas)),
        webhooks=webhooks,
        queues={
            name: QueueRule(queue.order, queue.share or 0, queue.limit) for name, queue in sorted(file.queues.items())
        },
        limits={
            "event": limits.event,
            "webhook_body": limits.webhook_body,
            "step_output": limits.step_output,
            "run": limits.run,
            "steps": limits.steps,
            "foreach": limits.foreach,
            "lookback": milliseconds(limits.lookback),
            "cleanup": milliseconds(limits.cleanup),
            "dead_letters": limits.dead_letters,
            "attempts": limits.attempts,
        },
        errors=dict(file.errors),
        secrets=tuple(dict.fromkeys(file.secrets.from_)),
        durable=project.durable,
        observe=observe,
    )
