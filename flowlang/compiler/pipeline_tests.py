"""Checks pipeline tests against the project: the pipelines, steps, handlers, events and vars that they name.

A test runs its own pipeline, what that invokes, and what it names in `also`; nothing else of the project is there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from flowlang.compiler.expressions import CODES
from flowlang.compiler.findings import Findings, near
from flowlang.diagnostics import Diagnostic
from flowlang.expr import compile_expression
from flowlang.expr.check import check_text
from flowlang.expr.environment import Environment
from flowlang.expr.types import BOOL, DYN
from flowlang.model import Path, PipelineTest, TestDocument
from flowlang.model.expression import ExpressionText
from flowlang.model.pipeline_tests import ANY_HANDLER, Expected, ExpectedRun, Given, When
from flowlang.plan import CronTrigger, EventTrigger, Invoke, Plan, Step, Uses, WaitFor

#: What `check` can read.
CHECK_NAMES = ("status", "output", "error", "steps", "calls", "emitted", "runs")

_CHECKED = Environment(dict.fromkeys(CHECK_NAMES, DYN), closed=False)

_SEGMENT = re.compile(r"([a-z][a-z0-9_-]*)(?:\[([0-9]+)\])?")


def reached(plans: Mapping[str, Plan], names: Iterable[str]) -> frozenset[str]:
    """Pipelines with all that they invoke, directly or not.

    Args:
        plans: By pipeline; where one is missing, nothing is known of what it invokes.
        names: Where to begin.
    """
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        plan = plans.get(name)
        if plan is not None:
            pending += [verb.pipeline for verb in _verbs(plan) if isinstance(verb, Invoke)]
    return frozenset(found)


def check_tests(
    tests: Iterable[TestDocument], plans: Mapping[str, Plan], pipelines: Collection[str], handlers: Collection[str]
) -> list[Diagnostic]:
    """Check tests against the project.

    Args:
        tests: Those with mistakes of shape are passed over.
        plans: Of the pipelines without errors.
        pipelines: Names of all pipelines, those with errors too.
        handlers: Names of all handlers that are declared or called.

    Returns:
        What was found, in the order of the tests.
    """
    found: list[Diagnostic] = []
    for document in tests:
        if document.model is not None:
            check = _Check(document.model, Findings(document.document), plans, pipelines, handlers)
            check.everything()
            found += check.findings.found
    return found


@dataclass(frozen=True, slots=True)
class _Check:
    test: PipelineTest
    findings: Findings
    plans: Mapping[str, Plan]
    pipelines: Collection[str]
    handlers: Collection[str]

    def everything(self) -> None:
        test = self.test
        named = [(("pipeline",), test.pipeline), *((("also", at), name) for at, name in enumerate(test.also))]
        known = [self._pipeline(path, name) for path, name in named]
        self._handler_names((("handlers", name), name) for name in test.handlers if name != ANY_HANDLER)
        for number, when in enumerate(test.when):
            if when.then is not None:
                self._expected(when.then, ("when", number, "then"))
        self._expected(test.then, ("then",))
        there = reached(self.plans, [test.pipeline, *test.also])
        if not all(known) or not there <= set(self.plans):
            return  # something of it has errors, which have been reported; what it has is not known
        plans = [self.plans[name] for name in sorted(there)]
        self._given(plans)
        self._vars(plans)
        for number, fault in enumerate(test.faults):
            self._step(("faults", number, "step"), fault.step, plans, called=True)

    def _pipeline(self, path: Path, name: str) -> bool:
        if name in self.pipelines:
            return True
        hint = near(name, self.pipelines, listing="the pipelines are")
        self.findings.at(path, "FL301", f"there is no pipeline `{name}`", hint=hint)
        return False

    def _handler_names(self, named: Iterable[tuple[Path, str]]) -> None:
        for path, name in named:
            if name not in self.handlers:
                hint = near(name, self.handlers, listing="the handlers are")
                self.findings.at(path, "FL131", f"there is no handler `{name}`", key=True, hint=hint)

    # What is given --------------------------------------------------------------------------------------------------

    def _given(self, plans: list[Plan]) -> None:
        begun = [(("given", number), given) for number, given in enumerate(self.test.given)]
        later = [(("when", number), when) for number, when in enumerate(self.test.when)]
        starting = set(_starting(plans))
        heard = starting | set(_awaited(plans))
        for path, action in (*begun, *later):
            if action.event is not None:
                patterns = heard if isinstance(action, When) else starting
                self._event((*path, "event"), action, patterns)
            if action.tick is not None and not any(
                isinstance(trigger, CronTrigger) for plan in plans for trigger in plan.triggers
            ):
                message = f"`{self.test.pipeline}` has no schedule that could tick"
                self.findings.at((*path, "tick"), "FL132", message, hint="start it with `event` or `call`")

    def _event(self, path: Path, action: Given, patterns: set[str]) -> None:
        event = action.event
        assert event is not None
        if any(_matches(pattern, event) for pattern in patterns):
            return
        message = f"no trigger of `{self.test.pipeline}` listens to `{event}`"
        if isinstance(action, When):
            message = f"nothing in `{self.test.pipeline}` listens to `{event}` or waits for it"
        elif not patterns:
            message += ": it has none, and is only called"
        hint = near(event, patterns, listing="they listen to") if patterns else "start it with `call`"
        self.findings.at(path, "FL132", message, hint=hint)

    def _vars(self, plans: list[Plan]) -> None:
        names = {name for plan in plans for name, _ in plan.vars}
        for name in self.test.vars:
            if name not in names:
                message = f"neither the pipeline nor the project has a var `{name}` that is read"
                self.findings.at(
                    ("vars", name), "FL133", message, key=True, hint=near(name, names, listing="they have")
                )

    # What is expected -----------------------------------------------------------------------------------------------

    def _expected(self, then: Expected, path: Path) -> None:
        self._handler_names(((*path, "calls", name), name) for name in then.calls)
        self._handler_names(((*path, "order", number), name) for number, name in enumerate(then.order))
        self._run(then, path, self.test.pipeline)
        there = reached(self.plans, [self.test.pipeline, *self.test.also])
        for name, runs in then.runs.items():
            pipeline = name or self.test.pipeline
            place: Path = (*path, "runs", name) if name else (*path, "runs")
            if name and self._pipeline_key(place, name, there):
                continue
            for number, run in enumerate(runs.each or ()):
                self._run(run, (*place, number), pipeline)
        for number, expression in enumerate(then.check):
            self._expression((*path, "check", number), expression)

    def _pipeline_key(self, path: Path, name: str, there: Collection[str]) -> bool:
        """Report a pipeline that is not in the test; returns whether it is not."""
        if name in there:
            return False
        known = name in self.pipelines
        message = f"`{name}` takes no part in this test" if known else f"there is no pipeline `{name}`"
        hint = f"name it in `also: [{name}]`" if known else near(name, self.pipelines, listing="the pipelines are")
        self.findings.at(path, "FL301", message, key=True, hint=hint)
        return True

    def _run(self, run: ExpectedRun, path: Path, pipeline: str) -> None:
        plan = self.plans.get(pipeline)
        if plan is not None:
            for instance in run.steps:
                self._step((*path, "steps", instance), instance, [plan], key=True)
            for number, entry in enumerate(run.undone or ()):
                self._step((*path, "undone", number), f"{entry.step}.undo", [plan])

    def _step(self, path: Path, instance: str, plans: list[Plan], *, key: bool = False, called: bool = False) -> None:
        """Check the name of a step's instance, or of its undo; one of a child run is known only when it is there."""
        if "/" in instance:
            return
        if instance.endswith(".undo"):
            instance, undo = instance.removesuffix(".undo"), True
        else:
            undo = False
        *around, last = [match[1] for match in _SEGMENT.finditer(instance)]
        found = [(plan, step) for plan in plans for step in plan.steps if step.key == last]
        if not found:
            names = [step.key for plan in plans for step in plan.steps if step.named]
            hint = near(last, names, listing="its steps are")
            self.findings.at(path, "FL130", f"the pipeline has no step `{last}`", key=key, hint=hint)
            return
        plan, step = found[0]
        loops = [plan.steps[number].key for number in step.loops]
        if around != loops:
            full = "".join(f"{name}[0]." for name in loops) + last
            message = f"`{last}` lies in {_named(loops)}" if loops else f"`{last}` lies in no loop"
            self.findings.at(path, "FL130", message, key=key, hint=f"such as `{full}`")
        elif undo and step.undo is None:
            self.findings.at(path, "FL130", f"`{last}` has no `undo`", key=key)
        elif called and not isinstance(step.undo.verb if undo and step.undo else step.verb, Uses):
            message = f"`{last}` calls no handler: there is no attempt that a crash could hit"
            self.findings.at(path, "FL130", message, key=key)

    def _expression(self, path: Path, expression: ExpressionText) -> None:
        checked = check_text(expression.text, _CHECKED, expected=BOOL)
        for problem in checked.problems:
            part = (problem.start + expression.offset, problem.end + expression.offset)
            self.findings.at(path, CODES[problem.kind], problem.message, part=part, hint=problem.hint)
        if checked.problems:
            return
        for reading in compile_expression(expression.text).references:
            name = reading.path[0]
            if name not in CHECK_NAMES:
                part = (reading.spans[0][0] + expression.offset, reading.spans[0][1] + expression.offset)
                hint = near(name, CHECK_NAMES, listing="it has")
                self.findings.at(path, "FL202", f"`check` has no `{name}`", part=part, hint=hint)


def _named(loops: list[str]) -> str:
    return "the loop " + " in ".join(f"`{name}`" for name in reversed(loops))


def _verbs(plan: Plan) -> Iterator[object]:
    """The verbs of all steps and undos."""
    for step in plan.steps:
        yield step.verb
        if step.undo is not None:
            yield step.undo.verb


def _starting(plans: Iterable[Plan]) -> Iterator[str]:
    """Events that triggers listen to."""
    for plan in plans:
        for trigger in plan.triggers:
            if isinstance(trigger, EventTrigger):
                yield from trigger.events


def _awaited(plans: Iterable[Plan]) -> Iterator[str]:
    """Events that runs wait for, or that cancel them."""
    for plan in plans:
        for cancel in plan.cancel_on:
            yield from cancel.events
        for step in plan.steps:
            yield from _waited(step)


def _waited(step: Step) -> tuple[str, ...]:
    return step.verb.events if isinstance(step.verb, WaitFor) else ()


def _matches(pattern: str, event: str) -> bool:
    head, _, last = pattern.rpartition("/")
    return event.rpartition("/")[0] == head if last == "*" else event == pattern
