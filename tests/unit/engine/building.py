"""Plans written as nested calls, and a project of them on virtual time, for tests of the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flowlang.clock import ManualClock, Rng
from flowlang.engine.turn import Call
from flowlang.plan import (
    Cache,
    CatchArm,
    Emit,
    EventTrigger,
    Fail,
    Foreach,
    Invoke,
    Manifest,
    Parallel,
    Plan,
    Race,
    Repeat,
    RetryRule,
    SetValues,
    Sleep,
    Step,
    Steps,
    Stop,
    Switch,
    Tolerate,
    Undo,
    Uses,
    Verb,
    WaitFor,
)
from flowlang.simulate import Finished, Handler, SimulatedCrash, SimulatedError, Simulation

UNSET = msgspec.UNSET
MODIFIERS = (
    "condition",
    "needs",
    "foreach",
    "repeat",
    "collect",
    "tolerate",
    "catch",
    "final",
    "retry",
    "timeout_ms",
    "output",
    "undo",
    "cache",
)
T0 = 1_767_225_600_000  #: where virtual time begins


@dataclass(frozen=True)
class Part:
    """A step that has not been numbered yet."""

    kind: str
    key: str | None
    make: Callable[[tuple[int, ...]], Verb]
    inside: tuple[Part, ...] = ()
    condition: str | None = None
    needs: tuple[int, ...] = ()
    foreach: Foreach | None = None
    repeat: Repeat | None = None
    collect: Any = UNSET
    tolerate: Tolerate | None = None
    catch: tuple[Arm, ...] = ()
    final: tuple[Part, ...] = ()
    retry: tuple[tuple[RetryRule, ...], ...] = ()
    timeout_ms: int | None = None
    output: Any = UNSET
    undo: Undo | None = None
    cache: Cache | None = None

    def __repr__(self) -> str:
        """Only what is set, for those who read a failing example."""
        more = [f"{name}={value!r}" for name in MODIFIERS if (value := getattr(self, name)) not in (None, (), UNSET)]
        return f"{self.kind}({', '.join([repr(self.key), *map(repr, self.inside), *more])})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


@dataclass(frozen=True)
class Arm:
    """An arm of a catch."""

    inside: tuple[Part, ...] = ()
    errors: tuple[str, ...] = ()
    output: Any = UNSET


def arm(*inside: Part, errors: Sequence[str] = (), output: Any = UNSET) -> Arm:
    return Arm(inside, tuple(errors), output)


def uses(key: str, handler: str | None = None, given: dict[str, Any] | None = None, **more: Any) -> Part:
    """A call of the handler that is named like the step, unless another is given."""
    options = {name: more.pop(name) for name in ("effect",) if name in more}
    return Part("uses", key, lambda _: Uses(handler or key, given or {}, **options), **more)


def sets(key: str, /, **values: Any) -> Part:
    """Computed values; names of modifiers are taken as such."""
    modifiers = {name: values.pop(name) for name in MODIFIERS if name in values}
    return Part("set", key, lambda _: SetValues(values), **modifiers)


def invoke(key: str, pipeline: str, given: dict[str, Any] | None = None, *, wait: bool = True, **more: Any) -> Part:
    """A call of a pipeline."""
    return Part("invoke", key, lambda _: Invoke(pipeline, given or {}, wait), **more)


def emit(
    event: str,
    data: Any = None,
    *,
    key: str | None = None,
    ident: str | None = None,
    delay: str | None = None,
    **more: Any,
) -> Part:
    return Part("emit", key, lambda _: Emit(event, {} if data is None else data, ident, delay), **more)


def wait(key: str, event: str, match: str = "true", **more: Any) -> Part:
    """A wait; `since`, `count` and `timeout` are the verb's own."""
    options = {name: more.pop(name) for name in ("since", "count", "timeout") if name in more}
    return Part("wait_for", key, lambda _: WaitFor((event,), match, **options), **more)


def sleep(value: str, key: str | None = None, **more: Any) -> Part:
    return Part("sleep", key, lambda _: Sleep(value), **more)


def steps(key: str, *inside: Part, **more: Any) -> Part:
    return Part("steps", key, Steps, inside, **more)


def parallel(key: str, *inside: Part, **more: Any) -> Part:
    return Part("parallel", key, Parallel, inside, **more)


def race(key: str, *inside: Part, **more: Any) -> Part:
    return Part("race", key, Race, inside, **more)


def switch(key: str, *inside: Part, **more: Any) -> Part:
    return Part("switch", key, Switch, inside, **more)


def stop(value: Any = None, **more: Any) -> Part:
    return Part("stop", None, lambda _: Stop(value), **more)


def fail(code: str = "failed", message: str = "", *, error_class: str = "permanent", **more: Any) -> Part:
    return Part("fail", None, lambda _: Fail(error_class, code, message), **more)


def rethrow(**more: Any) -> Part:
    return Part("fail", None, lambda _: Fail(rethrow=True), **more)


def plan(
    *parts: Part,
    pipeline: str = "p",
    output: Any = UNSET,
    on_failure: Sequence[Part] = (),
    on: str | None = None,
    **more: Any,
) -> Plan:
    """Number the steps in written order and make a plan of them."""
    made: list[Step | None] = []
    block = tuple(_number(part, (), made) for part in parts)
    body = tuple(_number(part, (), made) for part in on_failure)
    if on is not None:
        more["triggers"] = (EventTrigger((on,)),)
    numbered = tuple(step for step in made if step is not None)
    return Plan(pipeline=pipeline, steps=numbered, block=block, output=output, on_failure=body, **more)


def _number(part: Part, loops: tuple[int, ...], made: list[Step | None]) -> int:
    index = len(made)
    made.append(None)
    within = loops if part.foreach is None and part.repeat is None else (*loops, index)
    inside = tuple(_number(child, within, made) for child in part.inside)
    arms = tuple(
        CatchArm(tuple(_number(child, within, made) for child in arm.inside), arm.errors, arm.output)
        for arm in part.catch
    )
    made[index] = Step(
        index=index,
        key=part.key or f"{part.kind}-{index}",
        verb=part.make(inside),
        named=part.key is not None,
        loops=loops,
        needs=part.needs,
        condition=part.condition,
        foreach=part.foreach,
        repeat=part.repeat,
        collect=part.collect,
        tolerate=part.tolerate,
        catch=arms,
        finally_=tuple(_number(child, within, made) for child in part.final),
        retry=part.retry,
        timeout_ms=part.timeout_ms,
        output=part.output,
        undo=part.undo,
        cache=part.cache,
    )
    return index


# Handlers -----------------------------------------------------------------------------------------------------------


@dataclass
class Scripted:
    """A handler that follows a script: a value is returned, an exception raised; the last entry repeats."""

    script: Sequence[Any]
    calls: list[Call] = field(default_factory=list)

    def __call__(self, call: Call) -> Any:
        self.calls.append(call)
        entry = self.script[min(len(self.calls), len(self.script)) - 1]
        if isinstance(entry, Exception):
            raise entry
        return entry


def script(*entries: Any) -> Scripted:
    return Scripted(entries)


def echo(call: Call) -> Any:
    return call.arguments


def broken(code: str = "broken", error_class: str = "permanent") -> SimulatedError:
    return SimulatedError(error_class, code, f"it is {code}")


def retry_after(ms: int) -> SimulatedError:
    error = SimulatedError("transient", "busy", "busy")
    error.error = msgspec.structs.replace(error.error, retry_after_ms=ms)
    return error


CRASH = SimulatedCrash("the worker is gone")


class Middle:
    """Chance that is always half."""

    def random(self) -> float:
        return 0.5


class Project(Simulation):
    """A simulation that remembers its runs; every handler that has no script gives back its arguments."""

    def __init__(
        self, *plans: Plan, rng: Rng | None = None, limits: dict[str, int] | None = None, **handlers: Handler
    ) -> None:
        calls = [step.verb for each in plans for step in each.steps]
        calls += [step.undo.verb for each in plans for step in each.steps if step.undo is not None]
        names = {verb.handler: echo for verb in calls if isinstance(verb, Uses)} | handlers
        manifest = Manifest("tests", {}, limits=limits or {})
        super().__init__(plans, names, rng=rng or Middle(), clock=ManualClock(T0), manifest=manifest)

    def order(self) -> list[str]:
        """Instances in the order in which their handlers were called."""
        return [call.instance for call in self.calls]

    def elapsed_ms(self) -> int:
        """Virtual time since the beginning."""
        return self.clock.now_ms() - T0

    def times(self, run: str, kind: str) -> list[int]:
        """When journal entries of a kind were written, in ms since the beginning."""
        return [entry["at"] - T0 for entry in self.journal(run) if entry["kind"] == kind]

    def go(self, data: Any = None, pipeline: str = "p") -> Finished:
        """Call a pipeline and run until nothing is left to do."""
        run = self.call(pipeline, data)
        self.run_until_idle()
        return self.finished(run)


def run(made: Plan, data: Any = None, **handlers: Handler) -> Finished:
    """Run one plan to its end."""
    return Project(made, rng=None, limits=None, **handlers).go(data)
