"""A plan made ready to run: its expressions compiled once, and for each scope the records that it may read.

Instances are named here: `pages[3].notify[17]` everywhere (journal, CLI, tests, replay, idempotency keys).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from flowlang.engine.state import ScopeState, encode
from flowlang.expr import Expression, ValueTemplate, compile_expression, compile_value
from flowlang.plan import Emit, Fail, Parallel, Plan, SetValues, Sleep, Step, Steps, Stop, Switch, Uses

ROOT = -1  #: stands for the pipeline where a step's number is asked for


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
        self._values: dict[tuple[int, str], ValueTemplate] = {}
        self._reads: dict[int, tuple[tuple[Step, bool], ...]] = {}

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

    def initial_state(self) -> bytes:
        """The main scope of a new run."""
        return encode(ScopeState())

    def initial_reads(self) -> tuple[str, ...]:
        """What the first claimer of a new run wants: nothing has been written yet."""
        return ()

    def reads(self, root: int, indexes: tuple[int, ...]) -> tuple[str, ...]:
        """The store reads of a scope: every record that an expression in it may need, and its items' inputs.

        Args:
            root: The step that the scope runs, or `ROOT` for the main line.
            indexes: Its index in each enclosing foreach, its own item included.
        """
        wanted: list[str] = []
        loops = self._loops_of(root, len(indexes))
        for step, whole in self._referenced(root):
            if step.loops != loops[: len(step.loops)]:
                continue  # lies inside a loop of this scope: only that loop's items read it
            instance = self.instance(step, indexes)
            wanted.append(instance)
            if whole:
                wanted.append(f"*{instance}")
        wanted.extend(self.inputs(loops, indexes))
        return tuple(wanted)

    def inputs(self, loops: tuple[int, ...], indexes: tuple[int, ...]) -> Iterator[str]:
        """The reads of the enclosing items' inputs, outermost first."""
        for depth in range(min(len(loops), len(indexes))):
            yield f"={self.prefix(loops[: depth + 1], indexes[: depth + 1])[:-1]}"

    def loops_of(self, child: int | None, depth: int) -> tuple[int, ...]:
        """The enclosing foreach steps of a scope, its own included, outermost first."""
        return self._loops_of(ROOT if child is None else child, depth)

    def _loops_of(self, root: int, depth: int) -> tuple[int, ...]:
        if root == ROOT:
            return ()
        step = self.plan.steps[root]
        return (*step.loops, root)[:depth]

    def _referenced(self, root: int) -> tuple[tuple[Step, bool], ...]:
        """Steps that expressions under `root` select, and whether all items of a foreach are needed."""
        found = self._reads.get(root)
        if found is None:
            wanted: dict[str, bool] = {}
            for template in self._expressions_under(root):
                for path in template.paths:
                    self._add_reference(path, wanted)
            pairs = ((self.by_name[name], whole) for name, whole in sorted(wanted.items()) if name in self.by_name)
            found = self._reads[root] = tuple(pairs)
        return found

    def _add_reference(self, path: tuple[str, ...], wanted: dict[str, bool]) -> None:
        if path[0] != "steps":
            return
        names: Iterable[str] = path[1:2] or self.by_name
        for name in names:
            step = self.by_name.get(name)
            if step is not None:
                whole = (len(path) < 3 or path[2] == "output") and _may_be_view(self.plan, step)
                wanted[name] = wanted.get(name, False) or whole

    def _expressions_under(self, root: int) -> Iterator[Expression | ValueTemplate]:
        plan = self.plan
        if root == ROOT:
            if plan.output is not msgspec.UNSET:
                yield self.value(ROOT, "output", plan.output)
            blocks: list[int] = [*plan.block, *plan.on_failure]
        else:
            blocks = [root]
        while blocks:
            step = plan.steps[blocks.pop()]
            yield from self._expressions_of(step)
            blocks.extend(children(step))

    def _expressions_of(self, step: Step) -> Iterator[Expression | ValueTemplate]:
        if step.condition is not None:
            yield self.expression(step.condition)
        if step.foreach is not None:
            yield self.expression(step.foreach.items)
        for slot, tree in values_of(step):
            yield self.value(step.index, slot, tree)


def children(step: Step) -> tuple[int, ...]:
    """The numbers of the steps directly inside a step: of its verb, its catch arms and its finally."""
    inside: tuple[int, ...] = ()
    match step.verb:
        case Steps(block=block):
            inside = block
        case Parallel(branches=block):
            inside = block
        case Switch(cases=block):
            inside = block
        case _:
            pass
    for arm in step.catch:
        inside += arm.block
    return inside + step.finally_


def values_of(step: Step) -> Iterator[tuple[str, Any]]:
    """The values with templates of a step, each with the slot that names it."""
    match step.verb:
        case Uses(arguments=arguments):
            yield "with", arguments
        case Emit(data=data, ident=ident):
            yield "with", data
            if ident is not None:
                yield "id", ident
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
    if step.collect is not msgspec.UNSET:
        yield "collect", step.collect
    if step.output is not msgspec.UNSET:
        yield "output", step.output
    for number, arm in enumerate(step.catch):
        if arm.output is not msgspec.UNSET:
            yield f"catch{number}", arm.output


def _may_be_view(plan: Plan, step: Step) -> bool:
    """Whether a step's output may be the list of a foreach's items, kept as rows."""
    if step.foreach is not None:
        return step.collect is msgspec.UNSET
    if step.output is not msgspec.UNSET:
        return False
    return isinstance(step.verb, Switch) and any(_may_be_view(plan, plan.steps[case]) for case in step.verb.cases)
