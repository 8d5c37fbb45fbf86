"""Groups of children: what is created for items of a foreach or branches of a parallel, and what an end weighs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

from flowlang.engine import retry
from flowlang.engine.ops import Group
from flowlang.engine.program import Program
from flowlang.engine.state import ErrorInfo, Result, ScopeState, encode
from flowlang.engine.view import handled_error
from flowlang.plan import Plan, Race, Step


def items_group(program: Program, state: ScopeState, ident: str, step: Step, items: Sequence[Any]) -> Group:
    """The group of a foreach: one child an item, which loads only its own input.

    Args:
        program: The pipeline.
        state: The scope that makes it.
        ident: The loop's instance; `pages` makes the children `pages[0]`, `pages[1]`, …
        step: The step with the foreach.
        items: JSON values.
    """
    assert step.foreach is not None
    return Group(
        id=ident,
        prefix=f"{ident}[",
        suffix="]",
        total=len(items),
        max_parallel=step.foreach.max_parallel,
        limit=tolerated(step, len(items)),
        cancel_rest=False,
        state=_first_state(state, step, branch=False),
        reads=(*program.reads(step.index, state.inside, state.loops, "item"), "=$"),
        inputs=tuple(encode(item) for item in items),
    )


def branches_group(
    program: Program, state: ScopeState, ident: str, step: Step, branches: Sequence[int], *, race: bool
) -> Group:
    """The group of a parallel or race: all branches at once that need no other; what decides it cancels the rest.

    Args:
        program: The pipeline.
        state: The scope that makes it.
        ident: The container's instance; `both` makes the children `both/0`, `both/1`, …
        step: The container.
        branches: The numbers of its branches.
        race: Whether the first success ends it, and no failure; else the first failure does.
    """
    total = len(branches)
    needs = tuple(program.plan.steps[branch].needs for branch in branches)
    return Group(
        id=ident,
        prefix=f"{ident}/",
        suffix="",
        total=total,
        max_parallel=max(1, total),
        limit=total if race else 0,
        cancel_rest=True,
        state=_first_state(state, step, branch=True),
        reads=program.reads(step.index, state.inside, state.loops, "branches"),
        needs=needs if any(needs) else (),
    )


def _first_state(state: ScopeState, step: Step, *, branch: bool) -> bytes:
    return encode(
        ScopeState(
            loops=state.loops,
            inside=state.inside,
            starts=state.starts,
            child=step.index,
            branch=branch,
            started_ms=state.started_ms,
            error=handled_error(state),
        )
    )


def tolerated(step: Step, total: int) -> int:
    """How many of a loop's items may fail.

    Args:
        step: The step with the foreach.
        total: How many items there are; a share is of all of them, rounded down.
    """
    tolerate = step.tolerate
    if tolerate is None:
        return 0
    if tolerate.failed is not None:
        return tolerate.failed
    if tolerate.failed_percent is not None:
        return int(total * Fraction(str(tolerate.failed_percent)) / 100)
    return total


def is_tolerable(step: Step, error: ErrorInfo) -> bool:
    """Whether a step's `tolerate` speaks of an error."""
    return step.tolerate is not None and retry.names(step.tolerate.errors or ("all",), error)


def weight_of(plan: Plan, parent: int, state: ScopeState, result: Result) -> Literal[0, 1, 2, 3]:
    """What a child's end weighs in its group; see `ops.Join`.

    Args:
        plan: The pipeline.
        parent: The step with the group.
        state: The child.
        result: How it ended.
    """
    step = plan.steps[parent]
    if state.branch and isinstance(step.verb, Race):
        return _weight_in_race(result)
    if result.kind != "fail" or result.error is None:
        return 0
    if state.branch:
        return 2
    tolerate = step.tolerate
    if tolerate is None:
        return 1  # none is tolerated: the first one closes the group
    if not is_tolerable(step, result.error):
        return 2
    return 0 if tolerate.failed is None and tolerate.failed_percent is None else 1


def _weight_in_race(result: Result) -> Literal[0, 1, 3]:
    """A branch that failed or was skipped drops out; the first of the others wins."""
    if result.kind == "cancel" or (result.dropped and result.error is None):
        return 0
    return 1 if result.error is not None else 3
