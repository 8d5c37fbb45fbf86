"""Which checkpoints of a run a replay keeps, and which steps before its start must run again all the same, and why.

A replay starts at a step instance. What must have ended before it is kept: steps above it in its block and in the
blocks around it, rounds before its round, and of what runs beside it (items of a foreach, branches of a parallel) all
that has succeeded and does not need it. What the instance lies in is entered again: conditions and cases are asked
anew, and see the same. A race, a catch and a finally cannot be entered in the middle: their step is the start.

A checkpoint is kept when its step is still there as it was: the same verb on the same handler, event or pipeline, a
handler's signature, and the values and blocks that make the output. A container with a step in it that does not fit is
entered, and what fits in it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flowlang.engine.fanout import is_tolerable
from flowlang.engine.program import ROOT, Program, children
from flowlang.engine.state import Record
from flowlang.errors import FlowError
from flowlang.plan import Emit, Fail, Invoke, Parallel, Race, SetValues, Sleep, Step, Steps, Stop, Switch, Uses, WaitFor

_PART = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")


class StartError(FlowError):
    """A run cannot be replayed from there."""


class Again(msgspec.Struct, frozen=True):
    """A step before the start that must run again."""

    step: str  #: instance
    why: str


class Checkpoints(msgspec.Struct, frozen=True):
    """What a replay begins with.

    Attributes:
        start: Where it really starts: the instance asked for, or what it lies in that cannot be entered.
        records: Of instances that are kept.
        again: Steps before the start that must run again.
    """

    start: str
    records: dict[str, Record]
    again: tuple[Again, ...] = ()


def checkpoints(new: Program, old: Program | None, past: Mapping[str, Record], start: str) -> Checkpoints:
    """Choose what is kept.

    Args:
        new: The version that the replay will have.
        old: The version that the run had; None when its plan is not kept any more.
        past: The run's records by instance, those of steps without an id included.
        start: Instance to start from, such as `ship`, `pages[3]` or `pages[3].notify`.

    Raises:
        StartError: when there is no such step, or nobody can start there.
    """
    choice = _Choice(new, old, past)
    path = choice.path_to(start)
    choice.outside(ROOT, path, ())
    return Checkpoints(choice.named(path), choice.kept, tuple(choice.again))


#: A step on the way to the start, and the number of the item or round of it that is meant.
_Place = tuple[Step, int | None]


@dataclass(slots=True)
class _Choice:
    new: Program
    old: Program | None
    past: Mapping[str, Record]
    kept: dict[str, Record] = field(default_factory=dict)
    again: list[Again] = field(default_factory=list)
    misfits: dict[int, str] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=dict)  #: item or round → its records and those in it
    items: dict[str, set[int]] = field(default_factory=dict)  #: loop → numbers of which there are records

    def __post_init__(self) -> None:
        """Sort the records by the items that they lie in: a run may have very many of both."""
        for name in self.past:
            end = name.find("]")
            while end >= 0:
                item = name[: end + 1]
                self.below.setdefault(item, []).append(name)
                loop, _, number = item[:-1].rpartition("[")
                self.items.setdefault(loop, set()).add(int(number))
                end = name.find("]", end + 1)

    # The way to the start -------------------------------------------------------------------------------------------

    def path_to(self, start: str) -> list[_Place]:
        """The containers of an instance, outermost first, and the step itself; cut off where nobody can enter."""
        if "/" in start:
            above = start.partition("/")[0]
            raise StartError(
                f"{start!r} lies in the run that {above!r} invokes: replay that run, or start from {above!r}"
            )
        parts = [(name, int(index) if index else None) for name, index in _PART.findall(start)]
        if not parts or ".".join(_written(*part) for part in parts) != start:
            raise StartError(f"{start!r} names no step; write it as `ship` or `pages[3].notify`")
        by_key = {step.key: step for step in self.new.plan.steps}
        target = by_key.get(parts[-1][0])
        if target is None:
            raise StartError(f"the pipeline has no step {parts[-1][0]!r}; it has {', '.join(sorted(by_key))}")
        loops = [self.new.plan.steps[loop] for loop in target.loops]
        indexes = dict(parts)
        if [name for name, _ in parts[:-1]] != [loop.key for loop in loops] and len(parts) > 1:
            around = ".".join(f"{loop.key}[0]" for loop in loops) or "no loop"
            raise StartError(f"{start!r}: step {target.key!r} lies in {around}")
        if parts[-1][1] is not None and target.foreach is None and target.repeat is None:
            raise StartError(f"{start!r}: step {target.key!r} is no loop")
        parents = _parents(self.new)
        path: list[_Place] = []
        at, slot = target, ""
        while True:
            path.insert(0, (at, indexes.get(at.key) if at.foreach or at.repeat else None))
            owner, slot = parents[at.index]
            if owner == ROOT:
                break
            at = self.new.plan.steps[owner]
            if slot != "body" or isinstance(at.verb, Race):
                path.clear()  # it is entered as a whole
        if slot == "on_failure":
            raise StartError(f"{start!r} is what the pipeline does after a failure: name the step that failed")
        for place, (step, index) in enumerate(path):
            if not (step.foreach or step.repeat):
                continue
            if index is None or self.has_other_items(step):
                return [*path[:place], (step, None)]  # all of it: no item is named, or none is what it was
        return path

    def named(self, path: list[_Place]) -> str:
        """The instance at the end of a path."""
        step, index = path[-1]
        indexes = tuple(number for _, number in path[:-1] if number is not None)
        return self.new.instance(step, indexes) + ("" if index is None else f"[{index}]")

    # Around the start -----------------------------------------------------------------------------------------------

    def outside(self, owner: int, path: list[_Place], indexes: tuple[int, ...]) -> None:
        """Keep what lies before and beside the start in a container and in those on the way from there."""
        (target, index), rest = path[0], path[1:]
        if owner == ROOT:
            self.before(self.new.plan.block, target, indexes)
        else:
            self.inside(self.new.plan.steps[owner], target, indexes)
        if index is not None:
            self.other_items(target, index, indexes)
        if rest:
            self.outside(target.index, rest, indexes if index is None else (*indexes, index))

    def inside(self, container: Step, target: Step, indexes: tuple[int, ...]) -> None:
        """Keep what is before or beside a child of a container."""
        match container.verb:
            case Steps(block=block):
                self.before(block, target, indexes)
            case Parallel(branches=branches):
                needing = _needing(self.new, branches, branches.index(target.index))
                for place, branch in enumerate(branches):
                    if branch != target.index and place not in needing:
                        self.beside(self.new.plan.steps[branch], indexes)
            case _:
                pass  # of a switch only one case was entered

    def before(self, block: Iterable[int], target: Step, indexes: tuple[int, ...]) -> None:
        """Keep the steps of a block that stand above one of them."""
        for number in block:
            if number == target.index:
                return
            self.keep(self.new.plan.steps[number], indexes)

    def beside(self, step: Step, indexes: tuple[int, ...]) -> None:
        """Keep a branch that ran beside the start, as far as it has ended well."""
        record = self.past.get(self.new.instance(step, indexes))
        if record is None or _ended_well(step, record):
            if record is not None:
                self.keep(step, indexes)
        else:
            self.parts(step, indexes, quietly=True)

    def other_items(self, loop: Step, index: int, indexes: tuple[int, ...]) -> None:
        """Keep the items beside one, or the rounds before it."""
        for number in self.numbers(loop, indexes):
            if number == index:
                if loop.repeat is not None:
                    return
            else:
                self.item(loop, (*indexes, number), quietly=True)

    # Before the start -----------------------------------------------------------------------------------------------

    def keep(self, step: Step, indexes: tuple[int, ...]) -> None:
        """Keep a step that had ended before the start, or say why it must run again and keep what fits in it."""
        if not step.named and isinstance(step.verb, Stop | Fail):
            return  # it was not reached, or skipped, and will be so again
        instance = self.new.instance(step, indexes)
        record = self.past.get(instance)
        why = self.misfit(step)
        if why is None and record is None:
            why = "there is no checkpoint of it"
        elif why is None and record is not None and not _ended_well(step, record):
            why = f"it has {record.status}"
        if why is None:
            self.carry(step, indexes)
            return
        self.again.append(Again(instance, why))
        self.parts(step, indexes)

    def parts(self, step: Step, indexes: tuple[int, ...], *, quietly: bool = False) -> None:
        """Keep what has ended inside a step that is entered again."""
        if self.misfit(step, alone=True) is not None and (not _is_container(step) or self.has_other_items(step)):
            return
        if step.foreach is not None or step.repeat is not None:
            for number in self.numbers(step, indexes):
                if not self.item(step, (*indexes, number), quietly=quietly) and step.repeat is not None:
                    return
            return
        self.body(step, indexes, quietly=quietly)

    def item(self, loop: Step, indexes: tuple[int, ...], *, quietly: bool) -> bool:
        """Keep an item or a round, as a whole if that can be; tell whether it was."""
        instance = self.new.instance(loop, indexes[:-1]) + f"[{indexes[-1]}]"
        record = self.past.get(instance)
        if record is not None and record.status == "succeeded" and self.misfit(loop) is None:
            self.carry_item(loop, indexes)
            return True
        self.body(loop, indexes, quietly=quietly)
        return False

    def body(self, step: Step, indexes: tuple[int, ...], *, quietly: bool) -> None:
        """Keep what has ended in a container's block, branches or case."""
        if step.catch and any(self.past.get(self.new.instance(each, indexes)) for each in self.caught(step)):
            return  # it failed and was caught: what it did first is not known to have been right
        match step.verb:
            case Steps(block=inner):
                for number in inner:
                    child = self.new.plan.steps[number]
                    if quietly and self.past.get(self.new.instance(child, indexes)) is None:
                        return
                    self.keep(child, indexes)
            case Parallel(branches=inner) | Switch(cases=inner):
                for number in inner:
                    self.beside(self.new.plan.steps[number], indexes)
            case _:
                pass

    def caught(self, step: Step) -> Iterator[Step]:
        """The steps of a step's catch bodies."""
        for arm in step.catch:
            yield from (self.new.plan.steps[number] for number in arm.block)

    def numbers(self, loop: Step, indexes: tuple[int, ...]) -> Iterator[int]:
        """The items or rounds of a loop of which anything was recorded, in order."""
        return iter(sorted(self.items.get(self.new.instance(loop, indexes), ())))

    def carry(self, step: Step, indexes: tuple[int, ...]) -> None:
        """Keep the records of a step and of all in it."""
        instance = self.new.instance(step, indexes)
        self.take(instance)
        if step.foreach is not None or step.repeat is not None:
            for number in self.items.get(instance, ()):
                self.take_item(f"{instance}[{number}]")
            return
        for child in children(step):
            self.carry(self.new.plan.steps[child], indexes)

    def carry_item(self, loop: Step, indexes: tuple[int, ...]) -> None:
        """Keep the records of an item or round and of all in it."""
        self.take_item(self.new.instance(loop, indexes[:-1]) + f"[{indexes[-1]}]")

    def take_item(self, instance: str) -> None:
        """Keep the records of an item or round, by its name, and of all in it."""
        for name in self.below.get(instance, ()):
            self.take(name)

    def take(self, instance: str) -> None:
        """Keep a record; a loop's list of outputs is written out, since its rows belong to another run."""
        record = self.past.get(instance)
        if record is not None:
            self.kept[instance] = _written_out(record, self.past)

    # Does it fit? ---------------------------------------------------------------------------------------------------

    def misfit(self, step: Step, *, alone: bool = False) -> str | None:
        """Why a step's checkpoints do not fit the new version, or those of a step in it; None when they do."""
        if self.old is not None and self.old.version == self.new.version:
            return None
        if step.index not in self.misfits:
            self.misfits[step.index] = self.changed(step) or ""
        own = self.misfits[step.index]
        if own or alone:
            return own or None
        for number in children(step):
            inner = self.new.plan.steps[number]
            why = self.misfit(inner)
            if why is not None:
                return f"{inner.key!r} in it: {why}" if not why.startswith("'") else why
        return None

    def has_other_items(self, loop: Step) -> bool:
        """Whether a loop goes over another list now, so that an item's number says nothing."""
        if self.old is None:
            return True
        if self.old.version == self.new.version:
            return False
        before = next((each for each in self.old.plan.steps if each.key == loop.key), None)
        return before is None or _list(before) != _list(loop)

    def changed(self, step: Step) -> str | None:
        """What of a step itself is other than in the old version."""
        if self.old is None:
            return "the version that it ran in is not kept any more"
        before = next((each for each in self.old.plan.steps if each.key == step.key), None)
        if before is None:
            return "it is new, or was renamed"
        loops = [self.new.plan.steps[loop].key for loop in step.loops]
        if loops != [self.old.plan.steps[loop].key for loop in before.loops]:
            return "it lies in other loops"
        if type(before.verb) is not type(step.verb):
            return f"it is `{_verb(step)}` now, not `{_verb(before)}`"
        if _target(before) != _target(step):
            return f"it was `{_verb(before)}: {_target(before)}`"
        if isinstance(step.verb, Uses):
            name = step.verb.handler
            if self.old.plan.handlers.get(name) != self.new.plan.handlers.get(name):
                return f"the signature of {name} has changed"
        return None if _shape(before) == _shape(step) else "what makes its output has changed"


def _parents(program: Program) -> dict[int, tuple[int, str]]:
    """Of each step the one that it lies in, and whether in its body, in a catch, or in its finally."""
    plan = program.plan
    found = dict.fromkeys(plan.block, (ROOT, "body"))
    found |= dict.fromkeys(plan.on_failure, (ROOT, "on_failure"))
    for step in plan.steps:
        aside = {*step.finally_, *(number for arm in step.catch for number in arm.block)}
        found |= {number: (step.index, "aside" if number in aside else "body") for number in children(step)}
    return found


def _needing(program: Program, branches: tuple[int, ...], place: int) -> set[int]:
    """The branches that need one of them, at once or through others."""
    found = {place}
    for number, branch in enumerate(branches):
        if found.intersection(program.plan.steps[branch].needs):
            found.add(number)
    return found - {place}


def _ended_well(step: Step, record: Record) -> bool:
    """Whether what follows a step went on after it."""
    if record.status in {"succeeded", "skipped"}:
        return True
    tolerated = record.error is not None and step.foreach is None and is_tolerable(step, record.error)
    return record.status in {"failed", "timed_out"} and tolerated


def _is_container(step: Step) -> bool:
    return isinstance(step.verb, Steps | Parallel | Switch)


def _written_out(record: Record, records: Mapping[str, Record]) -> Record:
    if record.view is None:
        return record
    items = (records.get(f"{record.view_of}[{number}]") for number in range(record.view))
    output = [None if item is None or item.output is msgspec.UNSET else item.output for item in items]
    return msgspec.structs.replace(record, output=output, view=None, view_of="")


def _target(step: Step) -> str:
    """What a step's verb works on, as far as its output depends on it."""
    match step.verb:
        case Uses(handler=name) | Invoke(pipeline=name) | Emit(event=name):
            return name
        case WaitFor(events=events):
            return ", ".join(events)
        case _:
            return ""


def _verb(step: Step) -> str:
    names: dict[type, str] = {SetValues: "set"}
    return names.get(type(step.verb), str(step.verb.__struct_config__.tag))


def _shape(step: Step) -> Any:
    """What makes a step's output beside its target."""
    own: Any = None
    match step.verb:
        case SetValues(values=values):
            own = values
        case WaitFor(count=count):
            own = count
        case Invoke(wait=wait):
            own = wait
        case Sleep(value=value) if not step.named:
            own = value
        case _:
            pass
    caught = tuple((arm.errors, arm.output) for arm in step.catch)
    return own, _list(step), caught, step.collect, step.output


def _list(step: Step) -> Any:
    """What a step is repeated over."""
    if step.foreach is not None:
        return (step.foreach.items, step.foreach.chunk)
    return None if step.repeat is None else "rounds"


def _written(name: str, index: int | None) -> str:
    return name if index is None else f"{name}[{index}]"
