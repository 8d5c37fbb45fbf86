"""What of a pipeline tests have run: steps, both sides of `if`, cases, catches, and loops of none, one and many."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowlang.engine.retry import names
from flowlang.engine.state import ErrorInfo
from flowlang.model import PipelineDocument, YamlDocument
from flowlang.pipeline_tests.expect import UNDO
from flowlang.pipeline_tests.result import RunJournal
from flowlang.plan import Plan, Step, Switch, WaitFor

_LAST = re.compile(r"(?P<prefix>(?:.*\.)?)(?P<key>[a-z][a-z0-9_-]*)(?:\[(?P<index>[0-9]+)\])?")


_PART = re.compile(r"([a-z_]+)|\[([0-9]+)\]")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """Something that a run can do at a step.

    Args:
        step: Number of the step in its plan.
        what: Such as `ran`, `if is false`, `catch 2`, `1 item`.
    """

    step: int
    what: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which points of a pipeline were reached.

    Args:
        plan: The pipeline.
        points: All of them, in the order of the steps.
        hit: Those that were reached.
        places: Where each step is written: line and path; empty when it is not known.
    """

    plan: Plan
    points: tuple[Point, ...]
    hit: frozenset[Point]
    places: tuple[int, ...] = ()

    @property
    def percent(self) -> float:
        """Share of the points that were reached."""
        return 100.0 * len(self.hit) / len(self.points) if self.points else 100.0

    def line(self, step: int) -> int | None:
        """The line at which a step is written."""
        return self.places[step] if step < len(self.places) else None

    def lines(self) -> Iterator[tuple[Step, tuple[str, ...], tuple[str, ...]]]:
        """Each step, in the order of lines, with what was reached and what was missed."""
        for step in sorted(self.plan.steps, key=lambda step: (self.line(step.index) or 0, step.index)):
            here = [point for point in self.points if point.step == step.index]
            reached = tuple(point.what for point in here if point in self.hit)
            yield step, reached, tuple(point.what for point in here if point not in self.hit)


def coverage_of(
    plans: Iterable[Plan], journals: Iterable[RunJournal], documents: Iterable[PipelineDocument] = ()
) -> list[Coverage]:
    """The coverage of pipelines by the runs of tests.

    Args:
        plans: The pipelines.
        journals: Of all runs of all tests.
        documents: Where pipelines are written.
    """
    written = {document.name: document.document for document in documents}
    by_pipeline: dict[str, list[RunJournal]] = defaultdict(list)
    for journal in journals:
        by_pipeline[journal.pipeline].append(journal)
    found = []
    for plan in plans:
        points = tuple(_points(plan))
        hit = {point for journal in by_pipeline[plan.pipeline] for point in _Reader(plan).hits(journal.entries)}
        lines = _lines(plan, written[plan.pipeline]) if plan.pipeline in written else ()
        found.append(Coverage(plan, points, frozenset(hit) & frozenset(points), lines))
    return found


def total(coverages: Iterable[Coverage]) -> float:
    """Share of all points that were reached, in percent."""
    listed = list(coverages)
    points = sum(len(each.points) for each in listed)
    return 100.0 * sum(len(each.hit) for each in listed) / points if points else 100.0


def _lines(plan: Plan, document: YamlDocument) -> tuple[int, ...]:
    """The line of each step."""
    if plan.places is None:
        return ()
    paths = (tuple(_parts(path)) for path in plan.places.steps)
    return tuple(document.span_at(path).line for path in paths)


def _parts(path: str) -> Iterator[str | int]:
    """The keys and positions of a path such as `steps[2].catch[0].steps[1]`."""
    for key, index in _PART.findall(path):
        yield int(index) if index else key


def _points(plan: Plan) -> Iterator[Point]:
    cases = {case for step in plan.steps if isinstance(step.verb, Switch) for case in step.verb.cases}
    for step in plan.steps:
        at = step.index
        yield Point(at, "ran")
        if step.condition is not None and at not in cases:
            yield Point(at, "if is true")
            yield Point(at, "if is false")
        if isinstance(step.verb, Switch) and all(plan.steps[case].condition is not None for case in step.verb.cases):
            yield Point(at, "no case")
        if step.foreach is not None:
            yield from (Point(at, what) for what in ("0 items", "1 item", "many items"))
        if step.repeat is not None:
            yield from (Point(at, what) for what in ("1 round", "many rounds"))
        yield from (Point(at, _arm(step, number)) for number in range(len(step.catch)))
        if isinstance(step.verb, WaitFor):
            yield Point(at, "an event")
            if step.verb.timeout is not None:
                yield Point(at, "no event in time")
        if step.undo is not None:
            yield Point(at, "undone")


def _arm(step: Step, number: int) -> str:
    return "catch" if len(step.catch) == 1 else f"catch {number + 1}"


class _Reader:
    """Reads which points a run's journal tells of."""

    def __init__(self, plan: Plan) -> None:
        self._steps = {step.key: step for step in plan.steps}
        self._owners = {
            case: step.index for step in plan.steps if isinstance(step.verb, Switch) for case in step.verb.cases
        }

    def hits(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[Point]:
        """The points that were reached."""
        ended: list[tuple[str, Step]] = []
        chosen: set[tuple[str, int]] = set()
        rounds: dict[tuple[str, int], set[str]] = defaultdict(set)
        for entry in entries:
            match = _LAST.fullmatch(entry.get("step", "").removesuffix(UNDO))
            step = None if match is None else self._steps.get(match["key"])
            if match is None or step is None:
                continue
            if entry["kind"] == "step.ended":
                ended.append((match["prefix"], step))
                if match["index"] is not None:
                    rounds[match["prefix"], step.index].add(match["index"])
            if entry["kind"] in {"step.ended", "step.skipped"} and step.index in self._owners:
                chosen.add((match["prefix"], self._owners[step.index]))
            yield from self._entry(entry, step, is_loop=match["index"] is None)
        yield from self._cases(ended, chosen)
        for (_, at), indexes in rounds.items():
            yield Point(at, "1 round" if len(indexes) == 1 else "many rounds")

    def _entry(self, entry: Mapping[str, Any], step: Step, *, is_loop: bool) -> Iterator[Point]:
        at = step.index
        match entry["kind"]:
            case "step.ended":
                if not is_loop or step.foreach is None:
                    yield Point(at, "ran")
                yield Point(at, "if is true")
                if entry.get("status") == "timed_out":
                    yield Point(at, "no event in time")
            case "step.skipped":
                yield Point(at, "if is false")
            case "group.started" if step.foreach is not None:
                items = entry.get("total", 0)
                yield Point(at, "0 items" if items == 0 else "1 item" if items == 1 else "many items")
            case "wait.matched":
                yield Point(at, "an event")
            case "step.undone":
                yield Point(at, "undone")
            case "step.caught":
                yield from self._caught(entry.get("error") or {}, step)
            case _:
                pass

    def _caught(self, error: Mapping[str, Any], step: Step) -> Iterator[Point]:
        failure = ErrorInfo(error.get("class", ""), error.get("code", ""), error.get("message", ""))
        if failure.error_class == "timeout":
            yield Point(step.index, "no event in time")
        for number, arm in enumerate(step.catch):
            if names(arm.errors or ("all",), failure):
                yield Point(step.index, _arm(step, number))
                return

    def _cases(self, ended: Iterable[tuple[str, Step]], chosen: set[tuple[str, int]]) -> Iterator[Point]:
        for prefix, step in ended:
            if isinstance(step.verb, Switch) and (prefix, step.index) not in chosen:
                yield Point(step.index, "no case")
