"""A project becomes plans and a manifest."""

from __future__ import annotations

from collections.abc import Mapping

from flowlang.compiler import not_yet
from flowlang.compiler.expressions import Checker, Place
from flowlang.compiler.findings import Findings
from flowlang.compiler.flow import shared_limits
from flowlang.compiler.inputs import Compiled, ProjectInput
from flowlang.compiler.pipeline import PipelineLowering
from flowlang.compiler.webhooks import lower_webhooks
from flowlang.diagnostics import Diagnostic, Label, has_errors, sorted_diagnostics
from flowlang.durations import milliseconds
from flowlang.model import PipelineDocument, ProjectFile
from flowlang.plan import Manifest, Plan, QueueRule, WebhookSource


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
    whole = not found
    for document in project.pipelines:
        if document.model is None:
            whole = False
            continue
        plan, findings = PipelineLowering(document, project, names).lower()
        found += findings
        if plan is not None:
            plans[plan.pipeline] = plan
    webhooks = _project_file(project, found)
    diagnostics = tuple(sorted_diagnostics(found))
    manifest = None
    if whole and project.project is not None and not has_errors(diagnostics):
        manifest = _manifest(project, project.project, plans, webhooks)
    return Compiled(plans, manifest, diagnostics)


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


def _project_file(project: ProjectInput, found: list[Diagnostic]) -> tuple[WebhookSource, ...]:
    if project.project is None or project.project_document is None:
        return ()
    findings = Findings(project.project_document)
    not_yet.check_project(project.project, findings)
    _check_vars(project.project, findings, project.environ if project.deploying else None)
    webhooks = lower_webhooks(project.project, findings)
    found += findings.found
    return webhooks


def _check_vars(file: ProjectFile, findings: Findings, environ: Mapping[str, str] | None) -> None:
    """Check the project's vars: each sees those above it."""
    checker = Checker(findings, frozenset(), environ)
    before: set[str] = set()
    for name, value in file.vars.items():
        place = Place(frozenset({"event", "run", "vars", "env"}), vars=frozenset(before))
        checker.learn_var(name, checker.value(value, ("vars", name), place).type)
        before.add(name)


def _manifest(
    project: ProjectInput, file: ProjectFile, plans: dict[str, Plan], webhooks: tuple[WebhookSource, ...]
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
    )
