"""Steps become the plan's: numbered, their policies and time-outs resolved, their expressions checked where they stand.

What a step sees follows from where it stands: blocks group, loops hide (language.md §4, Visibility).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import msgspec

from flowlang.compiler.calls import check_argument_types, check_call
from flowlang.compiler.expressions import Checker, Place, StepOutcome, Written, conjuncts
from flowlang.compiler.findings import Findings, near
from flowlang.compiler.flow import step_limits
from flowlang.compiler.leaks import Leaks
from flowlang.compiler.misfits import report_misfits
from flowlang.compiler.place_types import SENT, either, results_type
from flowlang.compiler.policies import Policies, declared_policies, lower_policies
from flowlang.compiler.project_types import ProjectTypes
from flowlang.durations import milliseconds, parse_duration
from flowlang.expr import ExpressionSyntaxError, compile_expression, equalities, type_names
from flowlang.expr.facts import NOTHING, Facts, Implied
from flowlang.expr.types import BOOL, DYN, NULL, ListOf, Nullable, Type, nullable
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

T = TypeVar("T")

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
        return self if steps <= self.place.steps else replace(self, place=self.place.seeing(steps))

    def given(self, facts: Facts) -> Around:
        """The same, where more is known of the data."""
        return self if facts is NOTHING else replace(self, place=self.place.given(facts))

    def where(self, conditions: frozenset[str]) -> Around:
        """The same, where more conditions hold."""
        return replace(self, place=self.place.where(conditions)) if conditions else self


class StepLowering:
    """Lowers the steps of one pipeline.

    Args:
        findings: Where to report.
        checker: Checks expressions.
        signatures: Handlers by name.
        named: Retry policies of the project.
        default: The project's default policy.
        pipelines: Names of the project's pipelines.
        types: Of the project.
        leaks: Reports what must not be shown.
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
        types: ProjectTypes,
        leaks: Leaks,
        complete: bool,
    ) -> None:
        self.steps: list[PlanStep] = []
        self.paths: list[str] = []
        self.emitted: list[tuple[str, tuple[str | int, ...]]] = []
        self.awaited: list[tuple[str, Path]] = []
        self._implied: dict[int, Implied] = {}
        self._types = types
        self._leaks = leaks
        self._made = StepOutcome()
        self._item_mark = ""
        self._outcomes: dict[int, StepOutcome] = {}
        self._passed: dict[int, Facts] = {}  #: what is known behind a step because it let the run pass
        self._known = NOTHING  #: what is known at the end of the last block
        self._stopping: list[set[str] | None] = [None]
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
        known = NOTHING
        for step in steps:
            number, ids = self.step(step, around.seeing(seen))
            numbers.append(number)
            seen |= ids
            if step.verb == "stop" and step.if_ is not None and self._stopping[-1] is None:
                self._stopping[-1] = set()
            if step.verb in {"stop", "fail"} and not step.catch:  # what follows runs only where its condition was false
                self._passed[number] = self._implied[number].when_false
            passed = self._passed.get(number, NOTHING)
            around = around.given(passed)
            known |= passed
        self._known = known
        return tuple(numbers), seen

    def _ending(self, lower: Callable[[], tuple[T, frozenset[str]]]) -> tuple[T, frozenset[str]]:
        """Lower what a `stop` inside ends: what is behind one may not have run."""
        self._stopping.append(None)
        made, ids = lower()
        self._checker.doubt(self._stopping.pop() or (), "a `stop` before it may have ended its branch")
        return made, ids

    def beside(
        self, steps: Sequence[Step], around: Around, *, exclusive: bool = False, one: bool = False
    ) -> tuple[tuple[int, ...], frozenset[str]]:
        """Lower steps that see one another only by `needs`: branches of a parallel or race, cases of a switch.

        Args:
            steps: The branches.
            around: What surrounds them.
            exclusive: Whether a branch runs only where the conditions before it were false.
            one: Whether only one of the branches succeeds, so that the others may have no output.
        """
        numbers = []
        ended: dict[str, frozenset[str]] = {}
        positions = {step.id: position for position, step in enumerate(steps) if step.id is not None}
        seen: frozenset[str] = frozenset()
        for step in steps:
            before = frozenset().union(*(ended.get(name, frozenset()) for name in step.needs))
            needs = tuple(sorted({positions[name] for name in step.needs if name in positions}))
            inside = around.seeing(before)
            if exclusive:
                number, ids = self.step(step, inside, needs=needs)
            else:
                number, ids = self._ending(partial(self.step, step, inside, needs=needs))
            numbers.append(number)
            seen |= ids
            if step.id is not None:
                ended[step.id] = ids | before
            if exclusive:
                around = around.given(self._implied[number].when_false)
        if one:
            self._checker.doubt(seen, "only one of the branches has succeeded")
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
        holding = frozenset() if step.if_ is None else conjuncts(step.if_.text)
        around = around.given(condition.implied.when_true).where(holding)
        foreach, item = self._foreach(step, around)
        inner = self._inside(step, around, number, foreach, item)
        started = self._start(step, around)
        loops = step.foreach is not None or step.repeat is not None
        if loops:
            verb, within = self._ending(partial(self._verb, step, inner))
        else:
            verb, within = self._verb(step, inner)
        made = self._made
        body = inner.seeing(within)
        if step.steps is not None:
            body = body.given(self._known)
            if not (loops or step.catch or step.tolerate is not None or step.if_ is not None):
                self._passed[number] = self._known
        own = frozenset() if step.id is None else frozenset({step.id})
        output = self._value(step, "output", body)
        if step.has("output"):
            made = StepOutcome(output.type, sensitive=output.sensitive)
        if step.id is not None:
            self._checker.learn_step(step.id, made)
        repeat = self._repeat(step, body.seeing(own), started)
        undo = self._undo(step, body.seeing(own))
        cache = self._cache(step, body)
        throttle, concurrency = step_limits(self._checker, step, body.place)
        if isinstance(verb, Uses):
            verb = msgspec.structs.replace(verb, queue=step.queue, concurrency=concurrency)
        collect = self._collect(step, around, item)
        handles = bool(step.catch or step.finally_)
        certain = self._checker.outcomes() if handles else {}
        if handles:
            self._checker.doubt(within, "what is around it may have failed before")
        catch, caught, made = self._catch(step, body, made)
        last: tuple[int, ...] = ()
        finished: frozenset[str] = frozenset()
        if step.finally_:
            last, finished = self._ending(partial(self.block, step.finally_, _handling(body)))
        self._checker.come_back(certain)
        self._finish(
            step, made, within=within | caught, caught=caught, finished=finished, collect=collect, holding=holding
        )
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
        self._outcomes[number] = made
        return number, own if loops else own | within | caught | finished

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
        self._item_mark = items.sensitive
        item = items.type.element if isinstance(items.type, ListOf) else DYN
        return Foreach(items.plain, loop.as_, loop.max_parallel, loop.chunk), ListOf(item) if loop.chunk else item

    def _inside(self, step: Step, around: Around, number: int, foreach: Foreach | None, item: Type) -> Around:
        """What surrounds the step's own body: an item of its loop, and its policies for the steps inside."""
        inner = around
        if foreach is not None:
            place = around.place.typed(**{foreach.name: item}).knowing("index")
            if self._item_mark:
                place = replace(place, marked={**place.marked, foreach.name: self._item_mark})
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
        arguments = self._checker.value(undo.with_ or {}, (*path, "with"), around.place.knowing("error", "secrets"))
        self._leaks.arguments((*path, "with"), arguments, undo.uses)
        given = arguments.plain
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

    def _finish(
        self,
        step: Step,
        made: StepOutcome,
        *,
        within: frozenset[str],
        caught: frozenset[str],
        finished: frozenset[str],
        collect: Written,
        holding: frozenset[str],
    ) -> None:
        """Tell the checker what is known of a step, and of what lies in it, for those who come after it."""
        inside = within | finished
        self._checker.doubt(caught, "it runs only after an error")
        if step.catch and not all(_throws(arm.steps) for arm in step.catch):
            self._checker.doubt(within - caught, "what is around it may have failed and been caught")
        whole = made
        if step.has("collect"):
            whole = StepOutcome(collect.type, sensitive=collect.sensitive)
        elif step.foreach is not None:
            absent = bool(made.none) or step.tolerate is not None
            whole = StepOutcome(ListOf(nullable(made.output) if absent else made.output), sensitive=made.sensitive)
        own = () if step.id is None else (step.id,)
        if step.id is not None:
            self._checker.learn_step(step.id, whole)
        if step.tolerate is not None and step.foreach is None:
            self._checker.doubt((*own, *inside), f"a failure of {_called(step)} is tolerated")
        if step.if_ is not None and step.if_.text != "true":
            why = f"{_called(step)} is skipped where its `if` is false"
            self._checker.doubt((*own, *inside), why, holding or None)
        if self._stopping[-1] is not None:
            self._stopping[-1].update((*own, *inside))

    def _catch(
        self, step: Step, around: Around, made: StepOutcome
    ) -> tuple[tuple[CatchArm, ...], frozenset[str], StepOutcome]:
        """Lower what handles errors. Returns it, the ids inside, and what the step gives with it."""
        if not step.catch:
            return (), frozenset(), made
        arms = []
        seen: frozenset[str] = frozenset()
        handling = _handling(around)
        for arm in step.catch:
            block, ids = self._ending(partial(self.block, arm.steps, handling))
            output: Any = msgspec.UNSET
            if arm.has("output"):
                given = self._checker.value(arm.output, (*arm.path, "output"), handling.seeing(ids).place)
                output = given.plain
                made = replace(made, output=either((made.output, given.type)))
            elif not _throws(arm.steps):
                made = replace(made, none=made.none or f"{_called(step)} has none when an error was caught")
            if any(inner.verb == "stop" for inner in arm.steps):
                made = StepOutcome()
            arms.append(CatchArm(block, () if "all" in arm.errors else tuple(arm.errors), output))
            seen |= ids
        return tuple(arms), seen, made

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
        made = StepOutcome()
        match step.verb:
            case "uses":
                verb = self._uses(step, place)
                made = _without_none(self._types.result(step.uses or ""), f"`{step.uses}` may return nothing")
                made = replace(made, sensitive=self._types.result_mark(step.uses or ""))
            case "emit":
                verb = self._emit(step, place)
                made = StepOutcome(SENT)
            case "set":
                values = self._checker.value(dict(step.set or {}), (*step.path, "set"), place)
                made = StepOutcome(values.type)
                verb = SetValues(values.plain)
            case "sleep":
                verb = Sleep(self._checker.value(step.sleep, (*step.path, "sleep"), place).plain)
                made = StepOutcome(none="a `sleep` has none")
            case "stop":
                given = self._checker.value(step.stop, (*step.path, "stop"), place)
                if len(self._stopping) == 1:  # else it is the output of a branch or item, and not yet shown
                    self._leaks.shown((*step.path, "stop"), given, "the run's output")
                verb = Stop(given.plain)
            case "fail":
                verb = self._fail(step, around)
            case "steps":
                block, inside = self.block(step.steps or (), around)
                verb = Steps(block)
                made = StepOutcome(none="a `steps` without `output` has none")
            case "parallel":
                block, inside = self.beside(step.parallel or (), around)
                verb = Parallel(block)
                made = StepOutcome(none="a `parallel` without `output` has none")
            case "switch":
                block, inside = self.beside(step.switch or (), around, exclusive=True, one=True)
                verb = Switch(block)
                made = self._one_of(block, step.switch or ())
                if all(case.if_ is not None for case in step.switch or ()):
                    made = replace(made, none=made.none or "no `if` of its cases may be true")
            case "race":
                bounded = around.bounded or any(map(_sleeps, step.race or ()))
                block, inside = self.beside(step.race or (), replace(around, bounded=bounded), one=True)
                verb = Race(block)
                made = self._one_of(block, step.race or ())
            case "wait_for":
                verb = self._wait(step, around)
                arrived = self._types.event(verb.events)
                made = StepOutcome(arrived if verb.count == 1 else ListOf(arrived))
            case _:
                verb = self._invoke(step, place)
                made = StepOutcome(self._types.outputs.get(verb.pipeline, DYN) if verb.wait else SENT)
        self._made = made
        return verb, inside

    def _one_of(self, block: tuple[int, ...], steps: Sequence[Step]) -> StepOutcome:
        """What is known of the step that was chosen among several."""
        outcomes = [self._outcomes[number] for number in block]
        if any(each.foreach is not None or each.repeat is not None for each in steps):
            return StepOutcome(none=next((each.none for each in outcomes if each.none), ""))
        giving = [each.output for each, step in zip(outcomes, steps, strict=True) if step.verb != "fail"]
        none = next((each.none for each in outcomes if each.none), "")
        if any(step.tolerate is not None for step in steps):
            none = none or "a failure of what was chosen is tolerated"
        return StepOutcome(either(giving), none=none)

    def _uses(self, step: Step, place: Place) -> Uses:
        assert step.uses is not None
        check_call(step, self._signatures, self._findings, complete=self._complete)
        signature = self._signatures.get(step.uses)
        timeout = self._milliseconds(step) if step.timeout is not None else None
        given = self._checker.value(step.with_ or {}, (*step.path, "with"), place.knowing("secrets"))
        check_argument_types(step, given, self._types, self._findings)
        self._leaks.arguments((*step.path, "with"), given, step.uses)
        arguments = given.plain
        effect: Any = signature.effect if signature is not None and signature.effect is not None else "idempotent"
        return Uses(step.uses, arguments, effect, _handler_timeout(signature) if timeout is None else timeout)

    def _invoke(self, step: Step, place: Place) -> Invoke:
        target = step.invoke
        assert target is not None
        self._check_pipeline(target.pipeline, (*step.path, "invoke"))
        given = self._checker.value(step.with_ or {}, (*step.path, "with"), place)  # stored: no secrets
        wanted = self._types.inputs.get(target.pipeline, DYN)
        owner = f"the input of `{target.pipeline}`"
        at = (*step.path, "invoke")
        report_misfits(self._findings, (*step.path, "with"), given, wanted, code="FL224", owner=owner, at=at)
        return Invoke(target.pipeline, given.plain, target.wait)

    def _emit(self, step: Step, place: Place) -> Emit:
        sent = step.emit
        assert sent is not None
        self.emitted.append((sent.event, (*step.path, "emit")))
        ident = sent.id
        if ident is not None:
            given = self._checker.value(ident, (*step.path, "emit", "id"), place)
            self._leaks.shown((*step.path, "emit", "id"), given, "the event's id")
        delay = None
        if isinstance(sent.delay, str):
            delay = self._checker.value(sent.delay, (*step.path, "emit", "delay"), place).plain
        elif sent.delay:
            delay = f"{milliseconds(sent.delay)}ms"
        given = self._checker.value(step.with_ or {}, (*step.path, "with"), place)
        wanted = self._types.event_data(sent.event)
        report_misfits(
            self._findings,
            (*step.path, "with"),
            given,
            wanted,
            code="FL223",
            owner=f"`{sent.event}`",
            names=isinstance(step.with_, str),  # those of a written map are the business of `rules.emitted`
        )
        self._leaks.event((*step.path, "with"), given, wanted, sent.event)
        return Emit(sent.event, given.plain, ident, delay)

    def _fail(self, step: Step, around: Around) -> Fail:
        how = step.fail
        path = (*step.path, "fail")
        if isinstance(how, written.Fail):
            for key in ("code", "message"):
                if how.has(key):
                    given = self._checker.value(getattr(how, key), (*path, key), around.place)
                    self._leaks.shown((*path, key), given, "an error, which is logged")
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
        incoming = self._types.event(wait.event)
        match = check_match(
            self._checker, wait.match, (*step.path, "wait_for", "match"), place.typed(incoming=incoming)
        )
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


def _without_none(type_: Type, why: str) -> StepOutcome:
    """What a handler's result makes of its step: null is no output."""
    if isinstance(type_, Nullable):
        return StepOutcome(type_.type, none=why)
    return StepOutcome(DYN, none=why.replace("may return", "returns")) if type_ == NULL else StepOutcome(type_)


def _throws(steps: Sequence[Step]) -> bool:
    """Whether a body always ends in a failure."""
    return any(step.verb == "fail" and step.if_ is None and step.tolerate is None for step in steps)


def _called(step: Step) -> str:
    return f"`{step.id}`" if step.id is not None else f"the `{step.verb}` around it"


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
