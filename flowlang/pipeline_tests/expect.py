"""Compares what a test expects with what the simulation holds."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from flowlang.engine.state import ErrorInfo, Record
from flowlang.expr import EvaluationError, compile_expression, to_json
from flowlang.model import Path, TestDocument
from flowlang.model.pipeline_tests import (
    Expected,
    ExpectedCalls,
    ExpectedError,
    ExpectedRun,
    ExpectedRuns,
    ExpectedStep,
    ExpectedUndo,
)
from flowlang.pipeline_tests.matching import NOTHING, Difference, differences, fits, shown
from flowlang.pipeline_tests.result import Failure
from flowlang.simulate import Finished

#: What follows a step's instance in the name of its undo.
UNDO: Final = ".undo"


@dataclass(frozen=True, slots=True)
class SeenCall:
    """A call of a handler that was made."""

    handler: str
    step: str
    attempt: int
    arguments: Mapping[str, Any]

    def view(self) -> dict[str, Any]:
        """As `check` sees it."""
        return {
            "handler": self.handler,
            "step": self.step,
            "attempt": self.attempt,
            "with": dict(self.arguments),
        }


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event that a step has sent."""

    event: str
    data: Any
    id: str
    step: str

    def view(self) -> dict[str, Any]:
        """As `check` sees it."""
        return {"event": self.event, "data": self.data, "id": self.id, "step": self.step}


@dataclass(frozen=True, slots=True)
class SeenUndo:
    """An undo that was made."""

    step: str
    status: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that came of a test so far.

    Args:
        pipeline: The tested one.
        runs: By pipeline, in the order in which they were made.
        calls: In order.
        emitted: In order.
        dead_letters: How many there are.
        undone: By run, in order.
        no_run: Why what was given last has started nothing; empty when it has.
    """

    pipeline: str
    runs: Mapping[str, Sequence[Finished]]
    calls: Sequence[SeenCall]
    emitted: Sequence[SeenEvent]
    dead_letters: int
    undone: Mapping[str, Sequence[SeenUndo]] = field(default_factory=dict)
    no_run: str = ""


def undone(journal: Iterable[Mapping[str, Any]]) -> list[SeenUndo]:
    """The undos that a run's journal tells of, in order."""
    entries = [entry for entry in journal if entry.get("kind") == "step.undone"]
    return [SeenUndo(entry["step"].removesuffix(UNDO), entry.get("status", "")) for entry in entries]


def output_of(records: Mapping[str, Record], record: Record) -> Any:
    """A step's output; that of a loop is a list over its items' records. `NOTHING` where there is none."""
    if record.view is not None:
        items = [records.get(f"{record.view_of}[{at}]") for at in range(record.view)]
        found = [NOTHING if item is None else output_of(records, item) for item in items]
        return [None if item is NOTHING else item for item in found]
    return NOTHING if record.output is msgspec.UNSET else record.output


class Expectations:
    """Compares one `then` with what was seen.

    Args:
        test: The test, for places.
        seen: What came of it.
    """

    def __init__(self, test: TestDocument, seen: Seen) -> None:
        self._test = test
        self._seen = seen

    def failures(self, then: Expected, path: Path) -> Iterator[Failure]:
        """What is not as expected.

        Args:
            then: What is expected.
            path: Where that is written.
        """
        run = None
        if _speaks_of_run(then):
            run = yield from self._subject(path)
        if run is not None:
            yield from self._run(then, run, path)
        for handler, calls in then.calls.items():
            yield from self._calls(handler, calls, (*path, "calls", handler))
        if then.order:
            yield from self._order(then.order, (*path, "order"))
        if then.emitted is not None:
            yield from self._emitted(then, (*path, "emitted"))
        for name, runs in then.runs.items():
            yield from self._runs(name, runs, path)
        if then.dead_letters is not None:
            found = differences(then.dead_letters, self._seen.dead_letters, ("dead_letters",))
            yield from self._told(found, path)
        for number, expression in enumerate(then.check):
            yield from self._check(expression.text, run, (*path, "check", number))

    # Runs -----------------------------------------------------------------------------------------------------------

    def _subject(self, path: Path) -> Generator[Failure, None, Finished | None]:
        """The run that a test speaks of: the only one that was not skipped, else the last skipped one."""
        runs = self._seen.runs.get(self._seen.pipeline, ())
        real = [run for run in runs if run.status != "skipped"]
        if len(real) == 1:
            return real[0]
        if not real and runs:
            return runs[-1]
        if not runs:
            why = f": {self._seen.no_run}" if self._seen.no_run else ""
            yield self._failure(path, "run", f"there is no run of `{self._seen.pipeline}`{why}")
        else:
            message = f"there are {len(real)} runs of `{self._seen.pipeline}`: say what is expected of each in `runs`"
            yield self._failure(path, "run", message)
        return None

    def _runs(self, name: str, runs: ExpectedRuns, path: Path) -> Iterator[Failure]:
        place: Path = (*path, "runs", name) if name else (*path, "runs")
        found = self._seen.runs.get(name or self._seen.pipeline, ())
        where = f"runs.{name}" if name else "runs"
        statuses = [run.status for run in found]
        if runs.count is not None and runs.count != len(found):
            message = f"expected {runs.count}, found {len(found)}" + (f": {', '.join(statuses)}" if statuses else "")
            yield self._failure(place, where, message, runs.count, len(found))
        if runs.each is not None and len(runs.each) != len(found):
            message = f"expected {len(runs.each)}, found {len(found)}" + (
                f": {', '.join(statuses)}" if statuses else ""
            )
            yield self._failure(place, where, message, len(runs.each), len(found))
        elif runs.each is not None:
            for number, (expected, run) in enumerate(zip(runs.each, found, strict=True)):
                yield from self._run(expected, run, (*place, number), f"{where}[{number}].")

    def _run(self, then: ExpectedRun, run: Finished, path: Path, prefix: str = "") -> Iterator[Failure]:
        if then.status is not None and then.status != run.status:
            message = f"expected {then.status}, found {run.status}"
            if run.error is not None:
                message += f" with {_error_text(run.error)}"
            yield self._failure((*path, "status"), f"{prefix}status", message, then.status, run.status)
        if then.has("output"):
            found = NOTHING if run.status != "succeeded" else run.output
            yield from self._told(differences(then.output, found, ("output",)), path, prefix)
        if then.error is not None:
            yield from self._error(then.error, run.error, (*path, "error"), f"{prefix}error")
        for instance, step in then.steps.items():
            yield from self._step(step, run, instance, (*path, "steps", instance), f"{prefix}steps.{instance}")
        if then.undone is not None:
            yield from self._undone(then.undone, run, (*path, "undone"), f"{prefix}undone")

    def _undone(self, expected: Sequence[ExpectedUndo], run: Finished, path: Path, where: str) -> Iterator[Failure]:
        """The undos, newest first as they are made: these and no others."""
        wanted = [_undo_text(undo.step, undo.status) for undo in expected]
        found = [_undo_text(undo.step, undo.status) for undo in self._seen.undone.get(run.id, ())]
        if wanted != found:
            message = f"expected {', '.join(wanted) or 'no undo'}, found {', '.join(found) or 'none'}"
            yield self._failure(path, where, message, wanted, found)

    def _step(self, expected: ExpectedStep, run: Finished, instance: str, path: Path, where: str) -> Iterator[Failure]:
        record = run.records.get(instance)
        status = "absent" if record is None else record.status
        if expected.status is not None and expected.status != status:
            message = f"expected {expected.status}, found {status}"
            if record is not None and record.error is not None:
                message += f" with {_error_text(record.error)}"
            elif record is None and run.records:
                message += f"; there are {', '.join(run.records)}"
            yield self._failure((*path, "status"), f"{where}.status", message, expected.status, status)
        if expected.attempts is not None:
            attempts = 0 if record is None else record.attempts
            yield from self._told(differences(expected.attempts, attempts, ("attempts",)), path, f"{where}.")
        if expected.has("output"):
            output = NOTHING if record is None else output_of(run.records, record)
            yield from self._told(differences(expected.output, output, ("output",)), path, f"{where}.")
        if expected.error is not None:
            error = None if record is None else record.error
            yield from self._error(expected.error, error, (*path, "error"), f"{where}.error")

    def _error(self, expected: ExpectedError, error: ErrorInfo | None, path: Path, where: str) -> Iterator[Failure]:
        if error is None:
            yield self._failure(path, where, "expected an error, found none")
            return
        view = error.view()
        for key in ("class", "code", "step", "attempts"):
            wanted = getattr(expected, "class_" if key == "class" else key)
            if wanted is not None:
                yield from self._told(differences(wanted, view[key], (key,)), path, f"{where}.")
        if expected.message is not None and expected.message not in error.message:
            message = f"expected a text with {shown(expected.message)}, found {shown(error.message)}"
            yield self._failure((*path, "message"), f"{where}.message", message, expected.message, error.message)

    # Calls and events -----------------------------------------------------------------------------------------------

    def _calls(self, handler: str, expected: ExpectedCalls, path: Path) -> Iterator[Failure]:
        calls = [call for call in self._seen.calls if call.handler == handler]
        where = f"calls.{handler}"
        if expected.each is not None:
            arguments = [dict(call.arguments) for call in calls]
            for difference in differences(list(expected.each), arguments):
                yield self._difference(difference, path, where)
            return
        fitting = [call for call in calls if expected.with_ is None or fits(expected.with_, call.arguments)]
        such = "" if expected.with_ is None else f" with {shown(expected.with_)}"
        if expected.count is not None and expected.count != len(fitting):
            message = f"expected {expected.count}{such}, found {len(fitting)}{_of_calls(calls, fitting)}"
            yield self._failure(path, where, message, expected.count, len(fitting))
        elif expected.count is None and not fitting:
            message = f"expected a call{such}, found none{_of_calls(calls, fitting)}"
            yield self._failure((*path, "with"), where, message)

    def _order(self, order: Sequence[str], path: Path) -> Iterator[Failure]:
        """The first handlers must be called one behind the other; others may lie between."""
        made = [call.handler for call in self._seen.calls]
        at = 0
        for number, handler in enumerate(order):
            if handler not in made[at:]:
                message = f"expected a call of {handler}, found none behind {order[number - 1]}"
                if handler not in made:
                    message = f"expected a call of {handler}, found none"
                message += f"; the calls are {', '.join(made)}" if made else "; there are no calls"
                yield self._failure((*path, number), f"order[{number}]", message, list(order), made)
                return
            at = made.index(handler, at) + 1

    def _emitted(self, then: Expected, path: Path) -> Iterator[Failure]:
        expected, found = then.emitted or (), self._seen.emitted
        names = [event.event for event in found]
        if [event.event for event in expected] != names:
            wanted = [event.event for event in expected]
            message = f"expected {_listed(wanted)}, found {_listed(names)}"
            yield self._failure(path, "emitted", message, wanted, names)
            return
        for number, (event, sent) in enumerate(zip(expected, found, strict=True)):
            where = f"emitted[{number}]."
            if event.has("data"):
                yield from self._told(differences(event.data, sent.data, ("data",)), (*path, number), where)
            if event.id is not None:
                yield from self._told(differences(event.id, sent.id, ("id",)), (*path, number), where)

    # Expressions ----------------------------------------------------------------------------------------------------

    def _check(self, text: str, run: Finished | None, path: Path) -> Iterator[Failure]:
        names = self._names(run)
        compiled = compile_expression(text)
        try:
            value = to_json(compiled.evaluate(names))
        except EvaluationError as error:
            yield self._failure(path, f"check `{text}`", f"cannot be computed: {error}")
            return
        if value is not True:
            read = [f"{'.'.join(way)} = {shown(_at(names, way))}" for way in sorted(compiled.paths)]
            about = f" ({'; '.join(read)})" if read else ""
            yield self._failure(path, f"check `{text}`", f"is {shown(value)}{about}", expected=True, found=value)

    def _names(self, run: Finished | None) -> dict[str, Any]:
        """What `check` reads."""
        if run is None:
            runs = [run for run in self._seen.runs.get(self._seen.pipeline, ()) if run.status != "skipped"]
            run = runs[0] if len(runs) == 1 else None
        names: dict[str, Any] = {
            "calls": [call.view() for call in self._seen.calls],
            "emitted": [event.view() for event in self._seen.emitted],
            "runs": [_run_view(run) for run in self._seen.runs.get(self._seen.pipeline, ())],
        }
        return names if run is None else names | _run_view(run)

    # Places ---------------------------------------------------------------------------------------------------------

    def _told(self, found: Iterator[Difference], path: Path, prefix: str = "") -> Iterator[Failure]:
        for difference in found:
            yield self._difference(difference, path, prefix.rstrip("."))

    def _difference(self, difference: Difference, path: Path, where: str) -> Failure:
        told = where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in difference.path)
        place = (*path, *difference.path)
        return self._failure(place, told.lstrip("."), difference.message, difference.expected, difference.found)

    def _failure(self, path: Path, where: str, message: str, expected: Any = None, found: Any = None) -> Failure:
        span = self._test.document.span_at(path)
        return Failure(where, message, span, expected, None if found is NOTHING else found)


def _speaks_of_run(then: ExpectedRun) -> bool:
    described = then.status is not None or then.has("output") or then.error is not None
    return described or bool(then.steps) or then.undone is not None


def _undo_text(step: str, status: str) -> str:
    return step if status == "succeeded" else f"{step} ({status})"


def _run_view(run: Finished) -> dict[str, Any]:
    view: dict[str, Any] = {"status": run.status, "steps": {}}
    if run.status == "succeeded":
        view["output"] = run.output
    if run.error is not None:
        view["error"] = run.error.view()
    for name, record in run.records.items():
        step: dict[str, Any] = {"status": record.status, "attempts": record.attempts}
        output = output_of(run.records, record)
        if output is not NOTHING:
            step["output"] = output
        if record.error is not None:
            step["error"] = record.error.view()
        view["steps"][name] = step
    return view


def _error_text(error: ErrorInfo) -> str:
    at = f" (step {error.step})" if error.step else ""
    return f"{error.error_class}/{error.code}: {error.message}{at}"


def _of_calls(calls: Sequence[SeenCall], fitting: Sequence[SeenCall]) -> str:
    """The calls that were made and do not fit."""
    others = [call for call in calls if call not in fitting]
    if not others:
        return ""
    return "; called with " + ", ".join(shown(dict(call.arguments)) for call in others[:3])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "no event"


def _at(names: Any, way: Sequence[str]) -> Any:
    for part in way:
        if not isinstance(names, Mapping) or part not in names:
            return NOTHING
        names = names[part]
    return names
