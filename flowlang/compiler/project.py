"""A project becomes plans and a manifest."""

from __future__ import annotations

from collections.abc import Mapping

from flowlang.compiler.expressions import Checker, Place
from flowlang.compiler.findings import Findings
from flowlang.compiler.flow import every_step, shared_limits
from flowlang.compiler.graph import graph_of
from flowlang.compiler.inputs import Compiled, ProjectInput
from flowlang.compiler.observe import lower_observe
from flowlang.compiler.pipeline import PipelineLowering
from flowlang.compiler.project_types import ProjectTypes
from flowlang.compiler.rules import ruled
from flowlang.compiler.rules.subject import Subject
from flowlang.compiler.webhooks import lower_webhooks
from flowlang.diagnostics import Diagnostic, Label, has_errors, sorted_diagnostics
from flowlang.durations import milliseconds
from flowlang.model import PipelineDocument, ProjectFile
from flowlang.plan import Manifest, Observe, Plan, QueueRule, WebhookSource


def compile_project(project: ProjectInput) -> Compiled:
    """Compile all pipelines of a project.

    Args:
        project: What was read.

    Returns:
        Plans of the pipelines without errors, the manifest when nothing has errors, and all findings.
    """
    found: list[Diagnostic] = [*_duplicates(project.pipelines), *shared_limits(project.pipelines)]
    names = frozenset(document.name for document in project.pipelines if document.name is not None)
    plans: dict[str, Plan] = {}
    subjects: list[Subject] = []
    whole = not found
    types = ProjectTypes(project)
    whole = whole and all(document.model is not None for document in project.pipelines)
    for document in _invoked_first(project.pipelines):
        subject, findings = PipelineLowering(document, project, names, types).lower()
        found += findings
        subjects.append(subject)
        if subject.plan is not None:
            plans[subject.plan.pipeline] = subject.plan
    webhooks, observe = _project_file(project, found)
    graph = graph_of(project.pipelines, project.project)
    found = ruled(project, graph, subjects, found)
    diagnostics = tuple(sorted_diagnostics(found))
    manifest = None
    if whole and project.project is not None and not has_errors(diagnostics):
        manifest = _manifest(project, project.project, plans, webhooks, observe)
    return Compiled(plans, manifest, diagnostics, graph)


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
                invoked = (step.invoke.pipeline for step in every_step(document.model) if step.invoke is not None)
                pending += [(document, True), *((named[name], False) for name in invoked if name in named)]
    return list(ordered.values())


def _duplicates(documents: tuple[PipelineDocument, ...]) -> list[Diagnostic]:
    first: dict[str, PipelineDocument] = {}
    found = []
    for document in documents:
        if document.name is None:
            continue
        earlier = first.setdefault(document.name, document)
        if earlier is not document:
            label = Label(earlier.document.span_at(("pipeline",)), "the first one")
            span = document.document.span_at(("pipeline",))
            message = f"there is a pipeline `{document.name}` already"
            found.append(Diagnostic("FL123", message, span, hint="choose another name", labels=(label,)))
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
