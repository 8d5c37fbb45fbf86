"""Random small plans, and a model that says by plain recursion how a run of one must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from flowlang.engine.turn import Call
from flowlang.engine.view import instance_key
from flowlang.plan import Foreach, Pause, Repeat, RetryRule, Tolerate, Undo, Uses
from flowlang.simulate import SimulatedCrash, SimulatedSnooze
from tests.unit.engine.building import (
    UNSET,
    Arm,
    Part,
    broken,
    emit,
    fail,
    parallel,
    race,
    sets,
    sleep,
    steps,
    stop,
    switch,
    uses,
)

#: What a handler does in its first attempts; it succeeds after that. A crash and a snooze happen once an attempt.
OUTCOMES = ("ok", "transient", "permanent", "bug", "crash", "snooze")
RETRY = ((RetryRule(attempts=3, initial_ms=100, jitter="none"),),)


@dataclass
class Draft:
    """A plan being drawn: its keys, what its handlers do, and what is visible where."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    tame: bool  #: what happens must not depend on the order in which children run, or on time
    keys: int = 0
    behaviour: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def key(self, letter: str) -> str:
        self.keys += 1
        return f"{letter}{self.keys}"

    def chance(self, one_in: int) -> bool:
        return bool(self.draw(st.integers(1, one_in)) == 1)

    # Blocks ---------------------------------------------------------------------------------------------------------

    def block(self, depth: int, seen: tuple[str, ...]) -> tuple[Part, ...]:
        parts: list[Part] = []
        for _ in range(self.draw(st.integers(1, 3))):
            part = self.part(depth, seen)
            parts.append(part)
            if part.key is not None:
                seen = (*seen, part.key)
        return tuple(parts)

    def part(self, depth: int, seen: tuple[str, ...]) -> Part:
        leaves = ["uses", "uses", "set", "set", "emit", "sleep", "stop", "fail"]
        containers = ["steps", "steps", "steps", "parallel", "switch", *([] if self.tame else ["race"])]
        kinds = leaves if depth == 0 else [*leaves, *containers]
        kind = self.draw(st.sampled_from(kinds))
        part = getattr(self, f"make_{kind}")(depth, seen)
        if self.chance(5):
            part = replace(part, condition=self.draw(st.sampled_from(["true", "false", *self.conditions(seen)])))
        return part if kind in {"stop", "fail"} else self.modified(part, depth, seen)

    def conditions(self, seen: tuple[str, ...]) -> list[str]:
        return [f"steps.{name}.status == 'succeeded'" for name in seen[-2:]]

    def modified(self, part: Part, depth: int, seen: tuple[str, ...]) -> Part:
        below = depth - 1
        if depth > 0 and self.chance(3):
            total = self.draw(st.integers(0, 3))
            loop = Foreach(str(list(range(total))), max_parallel=self.draw(st.integers(1, 3)))
            part = replace(part, foreach=loop, tolerate=Tolerate() if self.tame else part.tolerate)
        elif depth > 0 and self.chance(4):
            pause = Pause(0 if self.tame else self.draw(st.sampled_from([0, 0, 50, 2_000])))
            part = replace(part, repeat=Repeat(f"index == {self.draw(st.integers(0, 2))}", every=pause))
        if self.chance(4):
            part = replace(part, tolerate=Tolerate())
        if depth > 0 and self.chance(4):
            errors = self.draw(st.sampled_from([(), ("permanent",), ("code.*", "bug"), ("timeout", "transient")]))
            output = self.draw(st.sampled_from([UNSET, "caught"]))
            part = replace(part, catch=(Arm(self.block(below, seen), errors, output),))
        if self.chance(4):
            final: tuple[Part, ...] = (sets(self.key("f"), v=1),)
            if depth > 0 and self.chance(2):
                final = (*final, *self.block(below, seen))
            part = replace(part, final=final)
        if not self.tame and part.inside and self.chance(4):
            part = replace(part, timeout_ms=self.draw(st.integers(1, 3_000)))
        return part

    # Verbs ----------------------------------------------------------------------------------------------------------

    def make_uses(self, _depth: int, seen: tuple[str, ...]) -> Part:
        key = self.key("u")
        self.behaviour[key] = tuple(self.draw(st.lists(st.sampled_from(OUTCOMES), max_size=3)))
        given = {name: f"${{{{ steps.{name}.status }}}}" for name in seen[-2:]}
        back = None
        if self.chance(3):
            back = Undo(Uses("undo", {"of": "${{ steps." + key + ".output }}"}), RETRY)
        return uses(key, "work", given=given, retry=RETRY, undo=back)

    def make_set(self, _depth: int, seen: tuple[str, ...]) -> Part:
        key = self.key("s")
        return sets(key, key=key, **{f"of_{name}": f"${{{{ steps.{name}.status }}}}" for name in seen[-2:]})

    def make_emit(self, _depth: int, _seen: tuple[str, ...]) -> Part:
        return emit("shop/paid", key=self.key("e"))

    def make_sleep(self, _depth: int, _seen: tuple[str, ...]) -> Part:
        return sleep(self.draw(st.sampled_from(["1ms", "1s", "30s"])), self.key("n"))

    def make_stop(self, _depth: int, _seen: tuple[str, ...]) -> Part:
        return stop(self.draw(st.sampled_from([None, "stopped"])))

    def make_fail(self, _depth: int, _seen: tuple[str, ...]) -> Part:
        return fail("code.fail", error_class=self.draw(st.sampled_from(["permanent", "transient"])))

    def make_steps(self, depth: int, seen: tuple[str, ...]) -> Part:
        key = self.key("b")
        output = self.draw(st.sampled_from([UNSET, key]))
        return steps(key, *self.block(depth - 1, seen), output=output)

    def make_parallel(self, depth: int, seen: tuple[str, ...]) -> Part:
        key = self.key("p")
        branches = [self.part(depth - 1, seen) for _ in range(self.draw(st.integers(0, 3)))]
        if self.tame:
            branches = [self.tamed(branch) for branch in branches]
        needing = [
            replace(branch, needs=tuple(sorted(self.draw(st.sets(st.integers(0, place - 1))))))
            if place and self.chance(3)
            else branch
            for place, branch in enumerate(branches)
        ]
        return parallel(key, *needing)

    def make_race(self, depth: int, seen: tuple[str, ...]) -> Part:
        return race(self.key("r"), *(self.part(depth - 1, seen) for _ in range(self.draw(st.integers(1, 3)))))

    def tamed(self, branch: Part) -> Part:
        if branch.kind in {"stop", "fail"}:
            branch = steps(self.key("b"), branch)
        return replace(branch, tolerate=Tolerate())

    def make_switch(self, depth: int, seen: tuple[str, ...]) -> Part:
        return switch(self.key("c"), *(self.part(depth - 1, seen) for _ in range(self.draw(st.integers(0, 3)))))


@dataclass(frozen=True)
class Drawn:
    """A pipeline's steps and what its handlers do."""

    parts: tuple[Part, ...]
    on_failure: tuple[Part, ...]
    behaviour: dict[str, tuple[str, ...]]


@st.composite
def drawn(draw: Callable[[st.SearchStrategy[Any]], Any], *, tame: bool) -> Drawn:
    draft = Draft(draw, tame)
    parts = draft.block(draw(st.integers(1, 3)), ())
    on_failure = draft.block(1, ()) if draw(st.booleans()) else ()
    return Drawn(parts, on_failure, draft.behaviour)


def step_of(instance: str) -> str:
    """The step of an instance: `b1[0].u3[2]` → `u3`."""
    return instance.rpartition(".")[2].partition("[")[0]


class Worker:
    """The handler of all steps: does what was drawn, by attempt. Its outcome depends on nothing else."""

    def __init__(self, behaviour: dict[str, tuple[str, ...]], *, crashes: bool) -> None:
        self.behaviour = behaviour
        self.crashes = crashes
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Any:
        before = sum((each.instance, each.attempt) == (call.instance, call.attempt) for each in self.calls)
        self.calls.append(call)
        script = self.behaviour[step_of(call.instance)]
        outcome = script[call.attempt - 1] if call.attempt <= len(script) else "ok"
        if outcome == "crash" and before == 0 and self.crashes:
            raise SimulatedCrash("drawn")
        if outcome == "snooze" and before == 0:
            raise SimulatedSnooze(50)
        if outcome in {"transient", "permanent", "bug"}:
            raise broken(f"code.{outcome}", outcome)
        return call.instance


# The model ----------------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """Runs a tame plan by recursion: no scopes, no stack, no time."""

    run_id: str
    behaviour: dict[str, tuple[str, ...]]
    statuses: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)

    def run(self, made: Drawn) -> tuple[str, Any]:
        end, value = self.block(made.parts, "")
        if end == "fail":
            self.block(made.on_failure, "")
            return "failed", value[1]
        return "succeeded", value if end == "stop" else None

    def block(self, parts: tuple[Part, ...], path: str) -> tuple[str, Any]:
        for part in parts:
            end, value = self.step(part, path)
            if end != "ok":
                return end, value
        return "ok", None

    def step(self, part: Part, path: str, *, tested: bool = False) -> tuple[str, Any]:
        """Run a step. `ok` with its output, `stop` with the value, `fail` with (class, code)."""
        name = path + (part.key or part.kind)
        if part.condition is not None and not tested and not self.holds(part.condition, path):
            self.note(part, name, "skipped")
            return "ok", None
        if part.foreach is not None:
            items = [
                self.item(part, f"{name}[{index}]")
                for index in range(len(part.foreach.items.split(",")) if part.foreach.items != "[]" else 0)
            ]
            self.note(part, name, "succeeded", items)
            return "ok", items
        if part.repeat is not None:
            return self.ended(part, name, *self.rounds(part, name))
        end, value = self.body(part, name, path)
        return self.ended(part, name, end, value)

    def rounds(self, part: Part, name: str) -> tuple[str, Any]:
        assert part.repeat is not None
        value: Any = None
        for index in range(int(part.repeat.until.rpartition(" ")[2]) + 1):
            end, value = self.body(part, f"{name}[{index}]", f"{name}[{index}].")
            if end == "fail":
                self.note(part, f"{name}[{index}]", "failed")
                return end, value
            self.note(part, f"{name}[{index}]", "succeeded", value)
        return "ok", value

    def item(self, part: Part, name: str) -> Any:
        end, value = self.body(part, name, name + ".")
        self.note(part, name, "failed" if end == "fail" else "succeeded", value if end != "fail" else None)
        return None if end == "fail" else value

    def ended(self, part: Part, name: str, end: str, value: Any) -> tuple[str, Any]:
        self.note(part, name, "failed" if end == "fail" else "succeeded", value if end == "ok" else None)
        return ("ok", None) if end == "fail" and part.tolerate is not None else (end, value)

    def note(self, part: Part, name: str, status: str, output: Any = None) -> None:
        if part.key is None:
            return
        self.statuses[name] = status
        if output is not None:
            self.outputs[name] = output

    def body(self, part: Part, name: str, path: str) -> tuple[str, Any]:
        end, value = self.verb(part, name, path)
        if end == "fail":
            for arm in part.catch:
                if (
                    not arm.errors
                    or value[0] in arm.errors
                    or ("code.*" in arm.errors and value[1].startswith("code."))
                ):
                    end, value = self.block(arm.inside, path)
                    if end != "fail":
                        value = value if end == "stop" else None if arm.output is UNSET else arm.output
                        end = "ok"
                    break
        after, late = self.block(part.final, path)
        return ("fail", late) if after == "fail" and end != "fail" else (end, value)

    def verb(self, part: Part, name: str, path: str) -> tuple[str, Any]:
        match part.kind:
            case "uses":
                return self.call(name)
            case "set":
                made: Any = part.make(())
                return "ok", {key: self.value(text, path) for key, text in made.values.items()}
            case "stop":
                return "stop", part.make(()).value  # type: ignore[union-attr] # a Stop
            case "fail":
                made = part.make(())
                return "fail", (made.error_class, made.code)
            case "steps":
                end, value = self.block(part.inside, path)
                return (end, value) if end != "ok" else ("ok", None if part.output is UNSET else part.output)
            case "emit":
                return "ok", {"id": instance_key(self.run_id, name)}
            case "parallel":
                for branch in part.inside:
                    self.branch(branch, path)
                return "ok", None
            case "switch":
                for case in part.inside:
                    if case.condition is None or self.holds(case.condition, path):
                        return self.step(case, path, tested=True)
                return "ok", None
            case _:
                return "ok", None

    def branch(self, part: Part, path: str) -> None:
        end, value = self.step(part, path)
        if end == "stop" and value is not None:
            self.outputs[path + str(part.key)] = value

    def call(self, name: str) -> tuple[str, Any]:
        script = self.behaviour[step_of(name)]
        for attempt in range(1, 4):
            self.attempts[name] = attempt
            outcome = script[attempt - 1] if attempt <= len(script) else "ok"
            if outcome not in {"transient", "permanent", "bug"}:
                return "ok", name
            if outcome == "permanent" or attempt == 3:
                return "fail", (outcome, f"code.{outcome}")
        raise AssertionError("unreachable")

    def value(self, given: Any, path: str) -> Any:
        is_template = isinstance(given, str) and given.startswith("${{")
        return self.status(given.split(".")[1], path) if is_template else given

    def holds(self, condition: str, path: str) -> bool:
        if condition in {"true", "false"}:
            return condition == "true"
        return self.status(condition.split(".")[1], path) == "succeeded"

    def status(self, step: str, path: str) -> str:
        """The nearest instance of a step that is visible from a path."""
        while True:
            if path + step in self.statuses:
                return self.statuses[path + step]
            if not path:
                return "skipped"
            path = path[:-1].rpartition(".")[0]
            path = path + "." if path else ""
