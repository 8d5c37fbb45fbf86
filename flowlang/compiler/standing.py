"""Where each step of a pipeline stands: what is around it, and whether every run comes to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from flowlang.model import Pipeline, Step


@dataclass(frozen=True, slots=True)
class Standing:
    """A step where it stands.

    Attributes:
        step: The step.
        around: The steps that it lies in, outermost first.
        sure: Whether every run that gets this far without a failure begins it: nothing above it is a condition, a
            choice, a loop over a list that may be empty, or something that may end the run before.
        slow: Whether something above it takes time by itself: a sleep, or a wait for an event.
    """

    step: Step
    around: tuple[Step, ...] = ()
    sure: bool = True
    slow: bool = False


@dataclass(frozen=True, slots=True)
class _Way:
    """How one gets to a step."""

    around: tuple[Step, ...] = ()
    sure: bool = True
    slow: bool = False

    def inside(self, step: Step, *, sure: bool = True) -> _Way:
        return replace(self, around=(*self.around, step), sure=self.sure and sure)


def standings(pipeline: Pipeline) -> Iterator[Standing]:
    """Walk the steps of a pipeline.

    Args:
        pipeline: As written.

    Yields:
        Each step before those inside it; siblings in written order, `on_failure` last.
    """
    yield from _block(pipeline.steps, _Way())
    yield from _block(pipeline.on_failure, _Way(sure=False))


def _block(steps: Sequence[Step], way: _Way) -> Iterator[Standing]:
    for step in steps:
        yield from _step(step, way)
        if any(inner.verb in {"stop", "fail"} for inner in within(step)):
            way = replace(way, sure=False)
        if any(inner.verb in {"sleep", "wait_for"} for inner in within(step)):
            way = replace(way, slow=True)


def _step(step: Step, way: _Way) -> Iterator[Standing]:
    sure = way.sure and step.if_ is None and step.foreach is None and not step.needs
    yield Standing(step, way.around, sure, way.slow)
    inner = way.inside(step, sure=sure)
    yield from _block(step.steps or (), inner)
    for child in step.parallel or ():
        yield from _step(child, inner)
    for child in (*(step.race or ()), *(step.switch or ())):
        yield from _step(child, replace(inner, sure=False))
    for arm in step.catch:
        yield from _block(arm.steps, replace(inner, sure=False))
    yield from _block(step.finally_, inner)


def within(step: Step) -> Iterator[Step]:
    """A step and all that lie inside it, in any order."""
    pending = [step]
    while pending:
        found = pending.pop()
        yield found
        for children in (found.steps, found.parallel, found.race, found.switch, found.finally_):
            pending.extend(children or ())
        for arm in found.catch:
            pending.extend(arm.steps)
