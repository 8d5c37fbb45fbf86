"""Rules: what can be said of pipelines that were lowered, one topic a file; each finds, and none changes anything."""

from __future__ import annotations

from collections.abc import Sequence

from flowlang.compiler.graph import graph_of
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.rules.cycles import cycle_findings
from flowlang.compiler.rules.emitted import emitted_findings
from flowlang.compiler.rules.events import event_findings, unused_events
from flowlang.compiler.rules.subject import Subject
from flowlang.compiler.rules.unused import unused_findings
from flowlang.diagnostics import Diagnostic, has_errors


def ruled(given: ProjectInput, subjects: Sequence[Subject], found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Apply all rules to a project.

    Args:
        given: What was read.
        subjects: Its pipelines, lowered; those without mistakes of shape.
        found: What was found until now.

    Returns:
        All findings, without those that others follow from.
    """
    findings = list(found)
    if given.project is None or len(subjects) < len(given.pipelines):
        return findings  # what is missing may be in a part that cannot be read
    graph = graph_of(given.pipelines, given.project)
    more = [*event_findings(graph, given), *cycle_findings(graph, given), *emitted_findings(graph, given, subjects)]
    unsent = {item.span for item in more if item.code == "FL305"}
    findings = [item for item in findings if item.code != "FL304" or item.span not in unsent]
    findings += more
    if not has_errors(findings) and not given.unreadable_handlers:
        # A name that is misspelt where it is used has been reported there.
        findings += unused_events(graph, given)
        findings += unused_findings(graph, given, subjects)
    return findings
