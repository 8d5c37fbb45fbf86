"""Rules: what can be said of pipelines that were lowered, one topic a file; each finds, and none changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flowlang.compiler.findings import Findings
from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.policies import Policies
from flowlang.compiler.rules.attempts import attempt_findings
from flowlang.compiler.rules.catching import catch_findings
from flowlang.compiler.rules.classes import misspelt_classes, misspelt_in_project
from flowlang.compiler.rules.conditions import ConditionRules
from flowlang.compiler.rules.cycles import cycle_findings
from flowlang.compiler.rules.emitted import emitted_findings
from flowlang.compiler.rules.events import event_findings, unused_events
from flowlang.compiler.rules.reachability import unreachable_steps
from flowlang.compiler.rules.retries import dead_policies, dead_policies_in_project
from flowlang.compiler.rules.times import time_findings
from flowlang.compiler.rules.unused import unused_findings
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Diagnostic, has_errors
from flowlang.durations import milliseconds
from flowlang.model.project_file import Limits

#: Findings about the data of events by types, and those by names, which say less of the same place.
_TYPED = frozenset({"FL223", "FL224"})
_BY_NAME = frozenset({"FL310", "FL311"})


def pipeline_rules(given: ProjectInput, subjects: Iterable[Subject]) -> None:
    """Report what each pipeline says by itself, and through those that it invokes.

    Args:
        given: What was read.
        subjects: The pipelines, with all that they invoke.
    """
    found = tuple(subjects)
    named: Policies = {} if given.project is None else given.project.retries
    default = None if given.project is None else given.project.defaults.timeout
    for subject in found:
        conditions = ConditionRules(subject)
        conditions.check()
        unreachable_steps(subject.pipeline, subject.findings, conditions.exhaustive)
        catch_findings(subject)
        misspelt_classes(subject)
        dead_policies(subject, named)
        time_findings(subject, named, None if default is None else milliseconds(default))
    limit = Limits().attempts if given.project is None else given.project.limits.attempts
    attempt_findings({subject.pipeline.pipeline: subject for subject in found}, named, limit)


def project_rules(
    given: ProjectInput, graph: ProjectGraph, found: Sequence[Diagnostic], *, whole: bool
) -> list[Diagnostic]:
    """Apply what looks at the project as a whole.

    Args:
        given: What was read.
        graph: The project's.
        found: What was found until now, that of pipelines included.
        whole: Whether all pipelines are in the graph, and there are any.

    Returns:
        All findings, without those that others follow from.
    """
    findings = list(found)
    if given.project is not None and given.project_document is not None:
        of_project = Findings(given.project_document)
        misspelt_in_project(given.project, of_project)
        dead_policies_in_project(given.project.retries, of_project)
        findings += of_project.found
    if given.project is None or not given.complete or not whole:
        return findings  # what is missing may be in a part that cannot be read
    typed = {item.span for item in findings if item.code in _TYPED}
    more = [*event_findings(graph, given), *cycle_findings(graph, given), *emitted_findings(graph, given)]
    unsent = {item.span for item in more if item.code == "FL305"}
    findings = [item for item in findings if item.code != "FL304" or item.span not in unsent]
    findings += (item for item in more if item.code not in _BY_NAME or item.span not in typed)
    if not has_errors(findings) and not given.unreadable_handlers:
        # A name that is misspelt where it is used has been reported there.
        findings += unused_events(graph, given)
        findings += unused_findings(graph, given)
    return findings
