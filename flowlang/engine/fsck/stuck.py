"""Never stuck: whoever waits has something that will wake it."""

from __future__ import annotations

from flowlang.engine.fsck.facts import Index, RunFacts, ScopeFacts


def why_stuck(run: RunFacts, name: str, scope: ScopeFacts, index: Index) -> str:
    """Say why nothing will wake a waiting scope of a living run; empty when something will.

    Args:
        run: With all its rows.
        name: Of the scope.
        scope: Its row, which waits.
        index: Of the same moment.
    """
    if not run.under_living(scope):
        return ""  # nobody needs it any more
    wants_place = run.slot is not None and name in run.slot.wanting
    if scope.facts:
        return "" if wants_place else f"{scope.facts} facts are in its inbox, and it is not ready"
    if scope.timers or scope.waits or scope.asked is not None or wants_place:
        return ""
    if any(group.parent == name and not group.fired for group in run.groups.values()):
        return ""
    if index.awaited(run.id, name):
        return ""
    return "it waits, and has no timer, wait, group, child or gate"
