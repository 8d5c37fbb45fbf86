"""Steps become the plan's: numbered, their policies and time-outs resolved, their expressions checked where they stand.

What a step sees follows from where it stands: blocks group, loops hide (language.md §4, Visibility).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec

from flowlang.compiler.calls import check_call
from flowlang.compiler.expressions import Checker, Place, Written
from flowlang.compiler.findings import Findings, near
from flowlang.compiler.flow import step_limits
from flowlang.compiler.place_types import results_type
from flowlang.compiler.policies import Policies, declared_policies, lower_policies
from flowlang.durations import milliseconds, parse_duration
from flowlang.expr import ExpressionSyntaxError, compile_expression, equalities, type_names
from flowlang.expr.facts import Facts, Implied
from flowlang.expr.types import BOOL, DYN, NULL, ListOf, Type
from flowlang.handler.signature import Signature
from flowlang.jsondata import render_path
from flowlang.model import Path, Step
from flowlang.model import step as written
from flowlang.model.expression import ExpressionText
from flowlang.model.verbs import CONTAINERS
from flowlang.plan import (
    Cache,
    CatchArm,
    Emit,
    Fail,
    Foreach,
    Invoke,
    Parallel,
    Pause,
    Race,
    Repeat,
    RetryRule,
    SetValues,
    Sleep,
    Steps,
    Stop,
    Switch,
    Tolerate,
    Undo,
    Uses,
    Verb,
    WaitFor,
)
from flowlang.plan import Step as PlanStep

#: Time-out of an attempt when neither step nor handler says (language.md §4).
ATTEMPT_TIMEOUT_MS = 600_000

#: Stands for a step that cannot be lowered; its pipeline has errors and gets no plan.
_NOTHING = Steps(())

#: Stands for a value that a step does not have.
_ABSENT = Written(msgspec.UNSET)


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds a step.

    Attributes:
        place: What its expressions may read.
        loops: Numbers of the loops around it, outermost first.
        retry: Policies of the containers around it and of the pipeline, near to far.
        handling: Whether an error is being handled, so that it can be thrown on.
        bounded: Whether something around ends a wait in time: a time-out, or a branch of a race that sleeps.
    """

    place: Place
    loops: tuple[int, ...] = ()
    retry: tuple[tuple[RetryRule, ...], ...] = ()
    handling: bool = False
    bounded: bool = False

    def seeing(self, steps: frozenset[str]) -> Around:
        """The same, with expressions that see more steps."""
        return replace(self, place=self.place.seeing(steps))

    def given(self, facts: Facts) -> Around:
        """The same, where more is known of the data."""
        return replace(self, place=self.place.given(facts))


class StepLowering:
    """Lowers the steps of one pipeline.

    Args:
        findings: Where to report.
        checker: Checks expressions.
        signatures: Handlers by name.
        named: Retry policies of the project.
        default: The project's default policy.
        pipelines: Names of the project's pipelines.
        complete: Whether all handlers could be read.
    """

    def __init__(
        self,
        findings: Findings,
        checker: Checker,
        signatures: Mapping[str, Signature],
        named: Policies,
        default: tuple[RetryRule, ...],
        *,
        pipelines: frozenset[str],
        complete: bool,
    ) -> None:
        self.steps: list[PlanStep] = []
        self.paths: list[str] = []
        self.emitted: list[tuple[str, tuple[str | int, ...]]] = []
        self.awaited: list[tuple[str, Path]] = []
        self._implied: dict[int, Implied] = {}
        self._set_type: Type = DYN
        self._findings = findings
        self._checker = checker
        self._signatures = signatures
        self._named = named
        self._default = default
        self._pipelines = pipelines
        self._complete = complete

    def block(self, steps: Sequence[Step], around: Around) -> tuple[tuple[int, ...], frozenset[str]]:
        """Lower steps that run one after another.

        Returns:
            Their numbers, and the ids that can be seen after them.
        """
        numbers = []
        seen: frozenset[str] = frozenset()
        for step in steps:
            number, ids = self.step(step, around.seeing(seen))
            numbers.append(number)
            seen |= ids
            if step.verb in {"stop", "fail"} and not step.catch:  # what follows runs where its condition was false
                around = around.given(self._implied[number].when_false)
        return tuple(numbers), seen

    def beside(
        self, steps: Sequence[Step], around: Around, *, exclusive: bool = False
    ) -> tuple[tuple[int, ...], frozenset[str]]:
        """Lower steps that see one another only by `needs`: branches of a parallel or race, cases of a switch.

        Args:
            steps: The branches.
            around: What surrounds them.
            exclusive: Whether a branch runs only where the conditions before it were false.
        """
        numbers = []
        ended: dict[str, frozenset[str]] = {}
        positions = {step.id: position for position, step in enumerate(steps) if step.id is not None}
        seen: frozenset[str] = frozenset()
        for step in steps:
            before = frozenset().union(*(ended.get(name, frozenset()) for name in step.needs))
            needs = tuple(sorted({positions[name] for name in step.needs if name in positions}))
            number, ids = self.step(step, around.seeing(before), needs=needs)
            numbers.append(number)
            seen |= ids
            if step.id is not None:
                ended[step.id] = ids | before
            if exclusive:
                around = around.given(self._implied[number].when_false)
        return tuple(numbers), seen

    def step(self, step: Step, around: Around, *, needs: tuple[int, ...] = ()) -> tuple[int, frozenset[str]]:
        """Lower a step.

        Args:
            step: As written.
            around: What surrounds it.
            needs: Positions of the siblings that must have ended before it.

        Returns:
            Its number, and the ids that can be seen after it.
        """
        number = len(self.steps)
        key = step.id or f"{step.verb.replace('_', '-')}-{number + 1}"
        self.steps.append(PlanStep(number, key, _NOTHING))
        self.paths.append(render_path(step.path))
        condition = self._condition(step, around)
        self._implied[number] = condition.implied
        around = around.given(condition.implied.when_true)
        foreach, item = self._foreach(step, around)
        inner = self._inside(step, around, number, foreach, item)
        started = self._start(step, around)
        verb, within = self._verb(step, inner)
        body = inner.seeing(within)
        own = frozenset() if step.id is None else frozenset({step.id})
        repeat = self._repeat(step, body.seeing(own), started)
        undo = self._undo(step, body.seeing(own))
        cache = self._cache(step, body)
        throttle, concurrency = step_limits(self._checker, step, body.place)
        if isinstance(verb, Uses):
            verb = msgspec.structs.replace(verb, queue=step.queue, concurrency=concurrency)
        output = self._value(step, "output", body)
        collect = self._collect(step, around, item)
        self._learn(step, verb, output, collect)
        catch, caught = self._catch(step, body)
        last, finished = self.block(step.finally_, _handling(body))
        self.steps[number] = PlanStep(
            index=number,
            key=key,
            verb=verb,
            named=step.id is not None,
            loops=around.loops,
            needs=needs,
            condition=condition.plain,
            foreach=foreach,
            repeat=repeat,
            collect=collect.plain,
            tolerate=_tolerate(step),
            cache=cache,
            throttle=throttle,
            catch=catch,
            finally_=last,
            retry=self._policies(step, around) if step.uses is not None else (),
            timeout_ms=self._container_timeout(step),
            output=output.plain,
            undo=undo,
        )
        hides = step.foreach is not None or step.repeat is not None
        return number, own if hides else own | within | caught | finished

    # Parts ----------------------------------------------------------------------------------------------------------

    def _condition(self, step: Step, around: Around) -> Written:
        if step.if_ is None:
            return Written(None)
        return self._checker.expression(step.if_, (*step.path, "if"), around.place, expected=BOOL)

    def _foreach(self, step: Step, around: Around) -> tuple[Foreach | None, Type]:
        """Lower a loop. Returns it with the type of its items."""
        loop = step.foreach
        if loop is None:
            return None, NULL
        path = (*step.path, "foreach")
        if loop.as_ in type_names():
            message = f"`{loop.as_}` is a type of the expression language, which would win over the item"
            self._findings.at((*path, "as"), "FL105", message, hint=f"such as `{loop.as_}_item`")
        items = self._checker.expression(loop.in_, (*path, "in"), around.place, expected=ListOf(DYN))
        item = items.type.element if isinstance(items.type, ListOf) else DYN
        return Foreach(items.plain, loop.as_, loop.max_parallel, loop.chunk), ListOf(item) if loop.chunk else item

    def _inside(self, step: Step, around: Around, number: int, foreach: Foreach | None, item: Type) -> Around:
        """What surrounds the step's own body: an item of its loop, and its policies for the steps inside."""
        inner = around
        if foreach is not None:
            place = around.place.typed(**{foreach.name: item}).knowing("index")
            inner = replace(inner, place=place, loops=(*around.loops, number))
        if step.repeat is not None:
            inner = replace(inner, place=inner.place.knowing("index", "last"), loops=(*around.loops, number))
        if step.verb in CONTAINERS and step.timeout is not None:
            inner = replace(inner, bounded=True)
        if step.uses is None and step.retry:
            rules = lower_policies(step.retry, self._named, self._findings, (*step.path, "retry"))
            inner = replace(inner, retry=(rules, *inner.retry))
        return inner

    def _start(self, step: Step, around: Around) -> Any:
        if step.repeat is None or not step.repeat.has("start"):
            return None
        return self._checker.value(step.repeat.start, (*step.path, "repeat", "start"), around.place).plain

    def _repeat(self, step: Step, around: Around, start: Any) -> Repeat | None:
        """Lower a loop of rounds; its `until` sees what a step at the end of the round would."""
        loop = step.repeat
        if loop is None:
            return None
        until = self._checker.expression(loop.until, (*step.path, "repeat", "until"), around.place, expected=BOOL)
        for_ms = None if loop.for_ is None else milliseconds(loop.for_)
        return Repeat(until.plain, loop.limit, for_ms, _pause(loop.every), start)

    def _cache(self, step: Step, around: Around) -> Cache | None:
        if step.cache is None:
            return None
        key = self._checker.expression(
            step.cache.key, (*step.path, "cache", "key"), replace(around.place, pinned=False)
        )
        return Cache(key.plain, milliseconds(step.cache.ttl))

    def _undo(self, step: Step, around: Around) -> Undo | None:
        """Lower what takes a step back; its arguments are computed when the step has succeeded."""
        undo = step.undo
        if undo is None:
            return None
        path = (*step.path, "undo")
        given = self._checker.value(undo.with_ or {}, (*path, "with"), around.place.knowing("error", "secrets")).plain
        if undo.invoke is not None:
            self._check_pipeline(undo.invoke.pipeline, (*path, "invoke"))
            return Undo(Invoke(undo.invoke.pipeline, given, undo.invoke.wait), (), undo.unknown)
        assert undo.uses is not None
        signature = self._signatures.get(undo.uses)
        if signature is None and self._complete:
            hint = near(undo.uses, self._signatures, listing="the handlers are")
            self._findings.at((*path, "uses"), "FL401", f"there is no handler `{undo.uses}`", hint=hint)
        effect: Any = signature.effect if signature is not None and signature.effect is not None else "idempotent"
        declared = () if signature is None else declared_policies(signature.retry, self._named)
        own = lower_policies(undo.retry or (), self._named, self._findings, (*path, "retry"))
        policies = tuple(policy for policy in (own, *around.retry, declared, self._default) if policy)
        timeout = _handler_timeout(signature) if undo.timeout is None else milliseconds(undo.timeout)
        return Undo(Uses(undo.uses, given, effect, timeout), policies, undo.unknown)

    def _check_pipeline(self, name: str, path: Path) -> None:
        if name not in self._pipelines:
            hint = near(name, self._pipelines, listing="the pipelines are")
            self._findings.at(path, "FL301", f"there is no pipeline `{name}`", hint=hint)

    def _value(self, step: Step, key: str, around: Around) -> Written:
        if not step.has(key):
            return _ABSENT
        return self._checker.value(getattr(step, key), (*step.path, key), around.place)

    def _collect(self, step: Step, around: Around, item: Type) -> Written:
        if not step.has("collect"):
            return _ABSENT
        place = around.place.typed(results=results_type(item))
        return self._checker.value(step.collect, (*step.path, "collect"), place)

    def _learn(self, step: Step, verb: Verb, output: Written, collect: Written) -> None:
        """Tell the checker the type of the step's output, where what is written says it."""
        if step.id is None:
            return
        found: Type = DYN
        if step.has("collect"):
            found = collect.type
        elif step.foreach is None and step.repeat is None and not step.catch:
            if step.has("output"):
                found = output.type
            elif isinstance(verb, SetValues):
                found = self._set_type
        self._checker.learn_step(step.id, found)

    def _catch(self, step: Step, around: Around) -> tuple[tuple[CatchArm, ...], frozenset[str]]:
        arms = []
        seen: frozenset[str] = frozenset()
        handling = _handling(around)
        for arm in step.catch:
            block, ids = self.block(arm.steps, handling)
            output: Any = msgspec.UNSET
            if arm.has("output"):
                output = self._checker.value(arm.output, (*arm.path, "output"), handling.seeing(ids).place).plain
            arms.append(CatchArm(block, () if "all" in arm.errors else tuple(arm.errors), output))
            seen |= ids
        return tuple(arms), seen

    def _policies(self, step: Step, around: Around) -> tuple[tuple[RetryRule, ...], ...]:
        own = lower_policies(step.retry or (), self._named, self._findings, (*step.path, "retry"))
        signature = self._signatures.get(step.uses or "")
        declared = () if signature is None else declared_policies(signature.retry, self._named)
        return tuple(policy for policy in (own, *around.retry, declared, self._default) if policy)

    def _container_timeout(self, step: Step) -> int | None:
        if step.verb not in {*CONTAINERS, "invoke"} or step.timeout is None:
            return None
        return self._milliseconds(step)

    def _milliseconds(self, step: Step) -> int | None:
        if isinstance(step.timeout, timedelta):
            return milliseconds(step.timeout)
        self._findings.at(
            (*step.path, "timeout"),
            "FL113",
            "takes a duration here; only the `timeout` of a `wait_for` may be a template",
        )
        return None

    # Verbs ----------------------------------------------------------------------------------------------------------

    def _verb(self, step: Step, around: Around) -> tuple[Verb, frozenset[str]]:
        """Lower a verb. Returns it with the ids that can be seen after what lies inside it."""
        inside: frozenset[str] = frozenset()
        verb: Verb = _NOTHING
        place = around.place
        match step.verb:
            case "uses":
                verb = self._uses(step, place)
            case "emit":
                verb = self._emit(step, place)
            case "set":
                values = self._checker.value(dict(step.set or {}), (*step.path, "set"), place)
                self._set_type = values.type
                verb = SetValues(values.plain)
            case "sleep":
                verb = Sleep(self._checker.value(step.sleep, (*step.path, "sleep"), place).plain)
            case "stop":
                verb = Stop(self._checker.value(step.stop, (*step.path, "stop"), place).plain)
            case "fail":
                verb = self._fail(step, around)
            case "steps":
                block, inside = self.block(step.steps or (), around)
                verb = Steps(block)
            case "parallel":
                block, inside = self.beside(step.parallel or (), around)
                verb = Parallel(block)
            case "switch":
                block, inside = self.beside(step.switch or (), around, exclusive=True)
                verb = Switch(block)
            case "race":
                bounded = around.bounded or any(map(_sleeps, step.race or ()))
                block, inside = self.beside(step.race or (), replace(around, bounded=bounded))
                verb = Race(block)
            case "wait_for":
                verb = self._wait(step, around)
            case _:
                verb = self._invoke(step, place)
        return verb, inside

    def _uses(self, step: Step, place: Place) -> Uses:
        assert step.uses is not None
        check_call(step, self._signatures, self._findings, complete=self._complete)
        signature = self._signatures.get(step.uses)
        timeout = self._milliseconds(step) if step.timeout is not None else None
        arguments = self._checker.value(step.with_ or {}, (*step.path, "with"), place.knowing("secrets")).plain
        effect: Any = signature.effect if signature is not None and signature.effect is not None else "idempotent"
        return Uses(step.uses, arguments, effect, _handler_timeout(signature) if timeout is None else timeout)

    def _invoke(self, step: Step, place: Place) -> Invoke:
        target = step.invoke
        assert target is not None
        self._check_pipeline(target.pipeline, (*step.path, "invoke"))
        arguments = self._checker.value(step.with_ or {}, (*step.path, "with"), place).plain  # stored: no secrets
        return Invoke(target.pipeline, arguments, target.wait)

    def _emit(self, step: Step, place: Place) -> Emit:
        sent = step.emit
        assert sent is not None
        self.emitted.append((sent.event, (*step.path, "emit")))
        ident = sent.id
        if ident is not None:
            self._checker.value(ident, (*step.path, "emit", "id"), place)
        delay = None
        if isinstance(sent.delay, str):
            delay = self._checker.value(sent.delay, (*step.path, "emit", "delay"), place).plain
        elif sent.delay:
            delay = f"{milliseconds(sent.delay)}ms"
        return Emit(sent.event, self._checker.value(step.with_ or {}, (*step.path, "with"), place).plain, ident, delay)

    def _fail(self, step: Step, around: Around) -> Fail:
        how = step.fail
        path = (*step.path, "fail")
        if isinstance(how, written.Fail):
            for key in ("code", "message"):
                if how.has(key):
                    self._checker.value(getattr(how, key), (*path, key), around.place)
            return Fail(how.class_, how.code or "failed", how.message or "")
        if str(how).replace(" ", "") != "${{error}}":
            self._findings.at(path, "FL104", "takes a map or `${{ error }}`", hint="`fail: {code: …, message: …}`")
        elif not around.handling:
            message = "there is no error to throw on here"
            self._findings.at(path, "FL210", message, hint="it stands in a `catch`, `finally` or `on_failure`")
        return Fail(rethrow=True)

    def _wait(self, step: Step, around: Around) -> WaitFor:
        wait = step.wait_for
        assert wait is not None
        place = around.place
        for position, name in enumerate(wait.event):
            at: Path = (*step.path, "wait_for", "event")
            self.awaited.append((name, (*at, position) if len(wait.event) > 1 else at))
        match = check_match(self._checker, wait.match, (*step.path, "wait_for", "match"), place)
        if step.timeout is None and not around.bounded:
            hint = "add `timeout: 7d`, here, around it or to the pipeline, or put it in a `race` with a `sleep`"
            message = "this wait may never end: nothing says what happens when the event does not come"
            fix = self._findings.adding((*step.path, "wait_for"), "timeout: 7d")
            self._findings.at((*step.path, "wait_for"), "FL218", message, key=True, hint=hint, fix=fix)
        timeout = None
        if isinstance(step.timeout, str):
            timeout = self._checker.value(step.timeout, (*step.path, "timeout"), place).plain
        elif step.timeout is not None:
            timeout = f"{milliseconds(step.timeout)}ms"
        return WaitFor(tuple(wait.event), match, wait.since, wait.count, timeout)


def check_match(checker: Checker, match: ExpressionText, path: Path, place: Place) -> str:
    """Check the condition on an arriving event: it must say by which of its fields the event is found.

    Args:
        checker: Of the pipeline.
        match: As written.
        path: Where.
        place: What may be read there, besides `incoming`.

    Returns:
        The condition as the plan stores it.
    """
    matching = replace(place.knowing("incoming"), pinned=False)
    written = checker.expression(match, path, matching, expected=BOOL)
    text = str(written.plain)
    try:
        found = text == "true" or bool(equalities(compile_expression(text)).parts)
    except ExpressionSyntaxError:
        return text  # reported already
    if not found:
        message = "this compares no field of `incoming` with something known, so events cannot be found by it"
        hint = "such as `incoming.data.id == event.data.id && …`, or `true` for any event of the name"
        checker.findings.at(path, "FL219", message, hint=hint)
    return text


def _sleeps(branch: Step) -> bool:
    """Whether a branch of a race wins it after some time: a sleep, or steps that begin with one and do not fail."""
    if branch.steps is not None:
        return _sleeps(branch.steps[0]) and all(step.verb != "fail" for step in branch.steps)
    return branch.sleep is not None and branch.if_ is None


def _pause(every: timedelta | written.Pause) -> Pause:
    if isinstance(every, timedelta):
        return Pause(milliseconds(every))
    most = {} if every.max is None else {"max_ms": milliseconds(every.max)}
    return Pause(milliseconds(every.initial), every.factor, jitter=every.jitter, **most)


def _handler_timeout(signature: Signature | None) -> int:
    """The time-out of a handler's attempts, where the step does not say one."""
    if signature is None or signature.timeout is None:
        return ATTEMPT_TIMEOUT_MS
    return milliseconds(parse_duration(signature.timeout))


def _handling(around: Around) -> Around:
    return replace(around, place=around.place.knowing("error"), handling=True)


def _tolerate(step: Step) -> Tolerate | None:
    tolerate = step.tolerate
    if tolerate is None:
        return None
    bound = tolerate.failed
    return Tolerate(
        errors=tuple(tolerate.errors or ()),
        failed=None if bound is None else bound.count,
        failed_percent=None if bound is None else bound.percent,
    )
