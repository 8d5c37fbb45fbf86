"""A plan made ready to run: its expressions compiled once, and for each scope the records that it may read.

Instances are named here: `pages[3].notify[17]` everywhere (journal, CLI, tests, replay, idempotency keys).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Literal, assert_never

import msgspec

from flowlang import jsondata
from flowlang.engine.marks import RunMarks
from flowlang.engine.state import ScopeState, StepFrame, encode
from flowlang.expr import EvaluationError, Expression, Template, ValueTemplate, compile_expression, compile_value
from flowlang.plan import (
    Emit,
    Fail,
    Invoke,
    Parallel,
    Plan,
    Race,
    SetValues,
    Sleep,
    Step,
    Steps,
    Stop,
    Switch,
    Uses,
    WaitFor,
)

ROOT = -1  #: stands for the pipeline where a step's number is asked for

#: What of a step a scope runs: all of it from its `if` on, one item of its foreach, or one of its branches.
Part = Literal["line", "item", "branches"]


#: Where a slot's value is written, when not under a key of its name.
_KEYS = {"foreach": "foreach.in", "id": "emit.id"}

_BEGINNING = encode(ScopeState())
_TIMES = frozenset({("run",), ("run", "started_at")})


class Program:
    """A compiled plan.

    Args:
        plan: The stored form.
        version: Its digest, when known; computed else.
    """

    def __init__(self, plan: Plan, version: str | None = None) -> None:
        self.plan = plan
        self.version = version or plan.digest
        self.by_name = {step.key: step for step in plan.steps if step.named}
        self.undoes = any(
            step.undo is not None or (isinstance(step.verb, Invoke) and step.verb.wait) for step in plan.steps
        )
        self._values: dict[tuple[int, str], ValueTemplate] = {}
        self._reads: dict[tuple[int, Part], tuple[tuple[Step, bool], ...]] = {}
        self._outer_reads: dict[tuple[int, Part], tuple[str, ...]] = {}

    @cached_property
    def marks(self) -> RunMarks:
        """What must not be shown of its runs."""
        return RunMarks(self.plan)

    def expression(self, text: str) -> Expression:
        """A condition or key, compiled."""
        return compile_expression(text)

    def value(self, step: int, slot: str, tree: Any) -> ValueTemplate:
        """A value with templates, compiled once for the step and its slot.

        Args:
            step: The step's number, or `ROOT`.
            slot: Which of its values.
            tree: The value as the plan has it.
        """
        found = self._values.get((step, slot))
        if found is None:
            found = self._values[step, slot] = compile_value(tree)
        return found

    def place(self, step: int, slot: str, error: EvaluationError) -> str:
        """Where in its file the part of an expression is written that failed.

        Args:
            step: The step's number, or `ROOT`.
            slot: Which of its values, or of the pipeline's: `vars.x`, `triggers[0].if`.
            error: What was raised.

        Returns:
            Such as ` (pipelines/order.yaml:12:9)`; empty when it is not known.
        """
        places = self.plan.places
        if places is None:
            return ""
        owner = f"{places.steps[step]}." if 0 <= step < len(places.steps) else ""
        inner = jsondata.render_path(error.path) if error.path else ""
        path = f"{owner}{_KEYS.get(slot, slot)}"
        if inner:
            path += inner if inner.startswith("[") else f".{inner}"
        found = places.find(path, error.start)
        return f" ({found})" if found else ""

    def block(self, owner: int, slot: str) -> tuple[int, ...]:
        """The steps of a block, by its owner and slot (see `state.BlockFrame`)."""
        if owner == ROOT:
            return self.plan.on_failure if slot == "on_failure" else self.plan.block
        step = self.plan.steps[owner]
        if slot == "finally":
            return step.finally_
        if slot.startswith("catch"):
            return step.catch[int(slot[5:])].block
        if isinstance(step.verb, Steps):
            return step.verb.block
        raise LookupError(f"step {step.key} has no block {slot}")

    def prefix(self, loops: tuple[int, ...], indexes: tuple[int, ...]) -> str:
        """The instance path of enclosing items, with a dot at its end where there are any."""
        steps = self.plan.steps
        return "".join(f"{steps[loop].key}[{index}]." for loop, index in zip(loops, indexes, strict=False))

    def instance(self, step: Step, indexes: tuple[int, ...]) -> str:
        """The name of a step's instance inside the given items."""
        return (self.prefix(step.loops, indexes) if step.loops else "") + step.key

    def frame_instance(self, frame: StepFrame, indexes: tuple[int, ...]) -> str:
        """The name of a frame's instance; an item's own index is the last of the scope's."""
        step = self.plan.steps[frame.step]
        if frame.item:
            return self.prefix((*step.loops, step.index), indexes)[:-1]
        return self.prefix(step.loops, indexes) + step.key if step.loops else step.key

    def initial_state(self) -> bytes:
        """The main scope of a new run."""
        return _BEGINNING

    def initial_reads(self) -> tuple[str, ...]:
        """What the first claimer of a new run wants: nothing has been written yet."""
        return ()

    def reads(
        self, root: int, loops: tuple[int, ...], indexes: tuple[int, ...], part: Part = "line"
    ) -> tuple[str, ...]:
        """The store reads of a scope: every record that an expression in it may need, and its items' inputs.

        Args:
            root: The step that the scope runs, or `ROOT` for the main line.
            loops: The steps whose items and rounds it is in, its own included, outermost first.
            indexes: Its index in each of them.
            part: What of the step it runs.
        """
        if indexes:
            return self._reads_in(root, loops, indexes, part)
        found = self._outer_reads.get((root, part))
        if found is None:  # the same at each commit of a run's main line, however long it is
            found = self._outer_reads[root, part] = self._reads_in(root, loops, indexes, part)
        return found

    def _reads_in(self, root: int, loops: tuple[int, ...], indexes: tuple[int, ...], part: Part) -> tuple[str, ...]:
        wanted: list[str] = []
        for step, whole in self._referenced(root, part):
            if step.loops != loops[: len(step.loops)]:
                continue  # lies inside a loop of this scope: only that loop's items read it
            wanted.append(self.instance(step, indexes))
            if whole:
                wanted.extend(f"*{self.instance(view, indexes)}" for view in views(self.plan, step))
        wanted.extend(self.inputs(loops, indexes))
        return tuple(dict.fromkeys(wanted))

    def own(self, root: int, part: Part = "line") -> tuple[Step, ...]:
        """The steps that a scope runs itself, those of its loops' items and branches left out.

        Args:
            root: The step that the scope runs, or `ROOT`.
            part: What of it.
        """
        plan = self.plan
        if root == ROOT:
            return tuple(self._own((*plan.block, *plan.on_failure)))
        return tuple(self._own_body(plan.steps[root]) if part == "item" else self._own((root,)))

    def _own(self, block: Iterable[int]) -> Iterator[Step]:
        for number in block:
            step = self.plan.steps[number]
            yield step
            if step.foreach is None:
                yield from self._own_body(step)

    def _own_body(self, step: Step) -> Iterator[Step]:
        beside = children_at_once(step)
        yield from self._own(child for child in children(step) if child not in beside)

    def inputs(self, loops: tuple[int, ...], indexes: tuple[int, ...]) -> Iterator[str]:
        """The reads of what the enclosing loops give: inputs of items, the records of the rounds before."""
        for depth in range(min(len(loops), len(indexes))):
            if self.plan.steps[loops[depth]].foreach is not None:
                yield f"={self.prefix(loops[: depth + 1], indexes[: depth + 1])[:-1]}"
            elif indexes[depth] > 0:
                yield self.prefix(loops[: depth + 1], (*indexes[:depth], indexes[depth] - 1))[:-1]

    def _referenced(self, root: int, part: Part) -> tuple[tuple[Step, bool], ...]:
        """Steps that a scope's expressions select, and whether all items of a foreach are needed."""
        found = self._reads.get((root, part))
        if found is None:
            wanted: dict[str, bool] = {}
            for template in self._expressions_in(root, part):
                for path in template.paths:
                    self._add_reference(path, wanted)
            pairs = ((self.by_name[name], whole) for name, whole in sorted(wanted.items()) if name in self.by_name)
            found = self._reads[root, part] = tuple(pairs)
        return found

    def _add_reference(self, path: tuple[str, ...], wanted: dict[str, bool]) -> None:
        if path[0] != "steps":
            return
        names: Iterable[str] = path[1:2] or self.by_name
        for name in names:
            step = self.by_name.get(name)
            if step is not None:
                wanted[name] = wanted.get(name, False) or len(path) < 3 or path[2] == "output"

    def _expressions_in(self, root: int, part: Part) -> Iterator[Expression | ValueTemplate]:
        plan = self.plan
        if root == ROOT:
            if plan.output is not msgspec.UNSET:
                yield self.value(ROOT, "output", plan.output)
            yield from self._lines((*plan.block, *plan.on_failure))
        elif part == "item":
            yield from self._body(plan.steps[root])
        elif part == "branches":
            yield from self._lines(children_at_once(plan.steps[root]))
        else:
            yield from self._lines((root,))

    def _lines(self, block: Iterable[int]) -> Iterator[Expression | ValueTemplate]:
        """What a scope evaluates that runs these steps; what their items and branches evaluate is left to those."""
        for number in block:
            step = self.plan.steps[number]
            if step.condition is not None:
                yield self.expression(step.condition)
            if step.collect is not msgspec.UNSET:
                yield self.value(number, "collect", step.collect)
            if step.foreach is not None:
                yield self.expression(step.foreach.items)
                continue
            if step.repeat is not None:
                yield self.expression(step.repeat.until)
                yield self.value(number, "start", step.repeat.start)
            yield from self._body(step)

    def _body(self, step: Step) -> Iterator[Expression | ValueTemplate]:
        for slot, tree in values_of(step):
            yield self.value(step.index, slot, tree)
        for key in keys_of(step):
            yield self.expression(key)
        if step.cache is not None:
            yield self.expression(step.cache.key)
        if isinstance(step.verb, WaitFor):
            yield self.expression(step.verb.match)
        beside = children_at_once(step)
        yield from self._lines(child for child in children(step) if child not in beside)


def reads_time(compiled: Expression | Template | ValueTemplate) -> bool:
    """Whether a value depends on when it is computed: on `now()` or on when the run started."""
    match compiled:
        case Expression():
            return "now" in compiled.calls or bool(compiled.paths & _TIMES)
        case Template():
            return any(reads_time(placed.expression) for placed in compiled.expressions)
        case ValueTemplate():
            return any(reads_time(template) for _, template in compiled.templates)
        case _:
            assert_never(compiled)


def children_at_once(step: Step) -> tuple[int, ...]:
    """The steps directly inside a step that run in scopes of their own."""
    return step.verb.branches if isinstance(step.verb, Parallel | Race) else ()


def children(step: Step) -> tuple[int, ...]:
    """The numbers of the steps directly inside a step: of its verb, its catch arms and its finally."""
    inside: tuple[int, ...] = ()
    match step.verb:
        case Steps(block=block):
            inside = block
        case Parallel(branches=block) | Race(branches=block):
            inside = block
        case Switch(cases=block):
            inside = block
        case _:
            pass
    for arm in step.catch:
        inside += arm.block
    return inside + step.finally_


def values_of(step: Step) -> Iterator[tuple[str, Any]]:
    """The values with templates of a step's body, each with the slot that names it; `collect` is its loop's."""
    match step.verb:
        case Uses(arguments=arguments) | Invoke(arguments=arguments):
            yield "with", arguments
        case Emit(data=data, ident=ident, delay=delay):
            yield "with", data
            if ident is not None:
                yield "id", ident
            if delay is not None:
                yield "emit.delay", delay
        case WaitFor(timeout=timeout):
            if timeout is not None:
                yield "timeout", timeout
        case SetValues(values=values):
            yield "set", values
        case Sleep(value=value):
            yield "sleep", value
        case Stop(value=value):
            yield "stop", value
        case Fail(code=code, message=message):
            yield "fail", {"code": code, "message": message}
        case _:
            pass
    if step.undo is not None:
        yield "undo.with", step.undo.verb.arguments
    if step.output is not msgspec.UNSET:
        yield "output", step.output
    for number, arm in enumerate(step.catch):
        if arm.output is not msgspec.UNSET:
            yield f"catch{number}", arm.output


def keys_of(step: Step) -> Iterator[str]:
    """The keys of a step's limits."""
    limits = (step.throttle, step.verb.concurrency if isinstance(step.verb, Uses) else None)
    for limit in limits:
        if limit is not None and limit.key is not None:
            yield limit.key


def views(plan: Plan, step: Step) -> Iterator[Step]:
    """The loops whose items' rows may be a step's output: itself, or what a switch chooses or a race lets win."""
    if step.foreach is not None:
        if step.collect is msgspec.UNSET:
            yield step
    elif step.repeat is None and step.output is msgspec.UNSET and isinstance(step.verb, Switch | Race):
        for case in step.verb.cases if isinstance(step.verb, Switch) else step.verb.branches:
            yield from views(plan, plan.steps[case])
