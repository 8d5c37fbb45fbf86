"""One turn of a scope: facts taken, frames run on, endings handed outwards. `advance` is the way in.

A step goes through the phases of `state.Phase`. How something ended travels outwards as a `Result`: `ok`, `fail`,
`stop` (ends the innermost item, branch, body or run as succeeded) or `cancel` (nothing catches it, finally runs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never

import msgspec

from flowlang.clock import Rng
from flowlang.engine import (
    attempts,
    ending,
    gating,
    invoking,
    limits,
    recalling,
    retry,
    reusing,
    rounds,
    undoing,
    waiting,
)
from flowlang.engine.evaluation import Evaluator, StepError, type_name
from flowlang.engine.fanout import branches_group, is_tolerable, items_group, weight_of
from flowlang.engine.intake import EXPIRES
from flowlang.engine.interruption import cancelled, interrupted_by
from flowlang.engine.ops import Group, Timer
from flowlang.engine.outside import Outside
from flowlang.engine.program import ROOT, Program
from flowlang.engine.state import (
    BlockFrame,
    ErrorInfo,
    Phase,
    Record,
    Result,
    ScopeState,
    Status,
    StepFrame,
    decode_error,
)
from flowlang.engine.transitions import STEP
from flowlang.engine.turn import Emission, Turn
from flowlang.engine.view import ItemsView, RunView, handled_error, results
from flowlang.expr import CelError, to_json, to_text
from flowlang.plan import Emit, Fail, Invoke, Parallel, Race, SetValues, Sleep, Step, Steps, Stop, Switch, Uses, WaitFor

#: After so many steps in one turn a scope commits and goes on in the next, so that no commit grows without bound.
STEPS_A_TURN = 1_000

#: The timer of a run's `timeout`.
RUN_TIMEOUT = "run:timeout"
#: Begins the id of the timer that says that a call could not be made.
REFUSED = "refused:"

Flight = Literal["running", "none", "lost"]

OK = Result("ok")


class Machine:
    """One turn of one scope."""

    def __init__(
        self,
        program: Program,
        view: RunView,
        state: ScopeState,
        *,
        now_ms: int,
        rng: Rng,
        outside: Outside,
        flight: Flight,
        rescues: int,
    ) -> None:
        self.program = program
        self.plan = program.plan
        self.view = view
        self.state = state
        self.now_ms = now_ms
        self.rng = rng
        self.outside = outside
        self.flight = flight
        self.rescues = rescues
        self.turn = Turn()
        self.budget = STEPS_A_TURN
        self.first_turn = not state.begun
        first = self.turn if self.first_turn else None
        self.ask = Evaluator(program, view, state, now_ms=now_ms, first=first)

    # Facts ----------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make the first frame of a scope that has never run."""
        state = self.state
        if state.begun:
            return
        state.begun = True
        if state.child is None:
            state.started_ms = self.now_ms
            if self.plan.expires_ms is not None:
                self.turn.clear_timer(EXPIRES)
            if self.plan.timeout_ms is not None:
                self.turn.set_timer(Timer(RUN_TIMEOUT, self.plan.timeout_ms))
            state.stack.append(BlockFrame(ROOT, "steps"))
            self.log("run.started")
            return
        step = self.plan.steps[state.child]
        recalling.ask(self)
        if state.branch:
            if not isinstance(step.verb, Parallel | Race):
                raise LookupError(f"step {step.key} has no branches")
            state.owner = state.child
            state.child = step.verb.branches[self.view.index]
            state.stack.append(StepFrame(state.child))
        else:
            state.loops = (*state.loops, self.view.index)
            state.inside = (*state.inside, state.child)
            state.stack.append(StepFrame(state.child, item=True))

    def take(self, fact: Mapping[str, Any]) -> None:
        """Take one fact from the inbox; those that have become pointless are dropped."""
        match fact["kind"]:
            case "timer":
                self.timer_fired(fact["id"])
            case "joined":
                self.joined(fact)
            case "event":
                waiting.offered(self, fact)
            case "taken":
                waiting.taken(self, fact)
            case "passed":
                gating.passed(self, fact)
            case "child":
                invoking.told(self, fact)
            case "cached":
                reusing.told(self, fact)
            case "limit":
                limits.told(self, fact)
            case "cancel":
                self.state.cancel = self.state.cancel or fact.get("reason") or "cancelled"
            case _:
                pass  # "start": there is a row, that is enough

    def timer_fired(self, ident: str) -> None:
        """Take a timer of the scope: of the run, or of the frame that its instance names."""
        kind, _, instance = ident.partition(":")
        if ident == RUN_TIMEOUT:
            if self.state.cancel is None and not self.state.decided:
                self.state.overdue = ErrorInfo("timeout", "run.timeout", "the run took longer than its `timeout`")
            return
        if ident == ending.RUN_CLEANUP:
            self.state.exhausted = bool(self.state.decided)
            return
        if ident.startswith(REFUSED):
            self.refused(ident.removeprefix(REFUSED))
            return
        for frame in self.state.stack:
            if isinstance(frame, StepFrame) and self.instance(frame) == instance:
                if kind == "timeout" and frame.phase in ("body", "joining", "invoking"):
                    frame.interrupted = ErrorInfo("timeout", "timeout", f"{instance} ran out of time", step=instance)
                elif kind == "retry" and frame.phase == "backoff":
                    attempts.begin(self, frame)
                elif kind == "sleep" and frame.phase == "sleeping":
                    self.after_body(frame, OK)
                elif kind == "wait" and frame.phase == "waiting":
                    waiting.timed_out(self, frame)
                elif kind == "round" and frame.phase == "pausing":
                    self.to(frame, "rounds")
                return

    def joined(self, fact: Mapping[str, Any]) -> None:
        """Take the join of the top frame's group."""
        frame = self.top_step("joining")
        if frame is None or self.group_id(frame) != fact["group"]:
            return
        step = self.step_of(frame)
        error: ErrorInfo | None = None
        of_branches = step.foreach is None or frame.item
        in_race = of_branches and isinstance(step.verb, Race)
        if fact.get("error") is not None and (fact["winner"] is None if in_race else fact["closed"]):
            error = decode_error(fact["error"])
        interruption = interrupted_by(self.state)
        if interruption is not None:
            self.after_group(frame, step, cancelled(interruption))
        elif error is not None:
            if not of_branches:
                error = msgspec.structs.replace(error, failed=fact["failed"])
            self.after_group(frame, step, Result("fail", error=error))
        elif not of_branches:
            self.after_group(frame, step, self.loop_output(frame, step))
        elif isinstance(step.verb, Race):
            self.after_body(frame, self.race_output(frame, step, step.verb, fact))
        else:
            self.after_body(frame, self.container_output(frame, step, OK))

    def after_group(self, frame: StepFrame, step: Step, result: Result) -> None:
        """Go on after a group: an item's catch and finally were its own, a container's follow."""
        if step.foreach is not None and not frame.item:
            self.settle(frame, result)  # catch and finally were each item's own
        else:
            self.after_body(frame, result)

    # Going on -------------------------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """Run until the scope must stop."""
        turn = self.turn
        interruption = interrupted_by(self.state)
        if turn.call is not None and interruption is not None:
            turn.call = None  # a retry came due together with the interruption
            frame = self.top_step("calling")
            if frame is not None:
                self.after_body(frame, cancelled(interruption))
        while turn.status is None and turn.call is None:
            if self.state.exhausted and ending.give_up(self):
                break
            if not self.state.stack:
                undoing.go_on(self)
                continue
            top = self.state.stack[-1]
            interruption = interrupted_by(self.state)
            if interruption is not None:
                self.interrupt(top, interruption)
            elif isinstance(top, BlockFrame):
                self.next_in_block(top)
            elif top.phase == "enter":
                self.enter(top)
            elif top.phase == "rounds":
                rounds.begin(self, top)
            elif top.phase == "collecting":
                rounds.collect(self, top)
            else:
                self.suspend(top)
        if turn.call is not None and turn.status is None:
            turn.status = "held"

    def next_in_block(self, block: BlockFrame) -> None:
        """Begin the next step of a block, or end it."""
        steps = self.program.block(block.owner, block.slot)
        if block.at >= len(steps):
            self.state.stack.pop()
            self.deliver(OK)
        elif self.budget == 0:
            self.turn.status = "ready"
        else:
            self.budget -= 1
            self.state.stack.append(StepFrame(steps[block.at]))

    def suspend(self, frame: StepFrame) -> None:
        """Stop at a frame that waits for a fact, or for its call."""
        if frame.phase != "calling":
            self.turn.status = "waiting"
        elif self.flight == "running":
            self.turn.status = "held"
        elif self.flight == "lost" and frame.called:
            frame.attempts += 1
            error = ErrorInfo("permanent", "unknown_outcome", "the worker was lost while the handler ran")
            attempts.failed(self, frame, error, final=True)
        else:
            attempts.begin(self, frame)

    # Interruption: cancel and time-outs -----------------------------------------------------------------------------

    def interrupt(self, top: BlockFrame | StepFrame, why: ErrorInfo) -> None:
        """Begin to undo the top frame, or wait for what it has in flight."""
        if isinstance(top, BlockFrame) or top.phase == "enter":
            self.state.stack.pop()
            self.deliver(cancelled(why))
        elif top.phase == "calling" and self.flight == "running":
            self.turn.stop_call = True
            self.turn.status = "held"
        elif top.phase == "joining":
            self.turn.cancels.append(self.group_id(top))
            self.turn.status = "waiting"
        elif top.phase == "invoking":
            invoking.give_up(self, top, why)
        elif top.phase in ("rounds", "pausing", "collecting"):
            self.turn.clear_timer(f"round:{self.instance(top)}")
            self.settle(top, cancelled(why))
        else:
            if top.phase == "backoff":
                self.turn.clear_timer(f"retry:{self.instance(top)}")
            elif top.phase == "sleeping":
                self.turn.clear_timer(f"sleep:{self.instance(top)}")
            elif top.phase == "waiting":
                waiting.give_up(self, top)
            self.after_body(top, cancelled(why))

    # A step ---------------------------------------------------------------------------------------------------------

    def enter(self, frame: StepFrame) -> None:
        """Begin a step: its condition, then its loop or its body."""
        if frame.undo is not None:
            undoing.start(self, frame, frame.undo)
            return
        kept = recalling.checkpoint(self, frame)
        if kept is not None:
            recalling.recall(self, frame, kept)
            return
        step = self.step_of(frame)
        frame.started_ms = self.now_ms
        over = limits.begin_step(self)
        if over is not None:
            self.settle(
                frame, Result("fail", error=msgspec.structs.replace(over, step=self.instance(frame))), tolerable=False
            )
            return
        if step.condition is not None and not frame.item and not frame.chosen:
            try:
                wanted = self.ask.condition(frame, step.condition)
            except StepError as failure:
                self.settle(frame, Result("fail", error=failure.error), tolerable=False)
                return
            if not wanted:
                self.skip(frame, step)
                return
        if step.foreach is not None and not frame.item:
            self.fan_out(frame, step)
        elif step.repeat is not None and not frame.item:
            rounds.start(self, frame, step, step.repeat)
        else:
            self.start_body(frame, step)

    def skip(self, frame: StepFrame, step: Step) -> None:
        """Record that a step was skipped."""
        self.state.stack.pop()
        instance = self.instance(frame)
        if step.named:
            self.write(instance, Record("skipped", started_ms=self.now_ms, ended_ms=self.now_ms))
        self.log("step.skipped", instance)
        self.deliver(Result("ok", dropped=True))

    def start_body(self, frame: StepFrame, step: Step) -> None:
        """Begin a step's body, once an item or round, under its time-out."""
        self.to(frame, "body")
        if self.first_turn and step.finally_:
            self.turn.binding = True
        if step.timeout_ms is not None and not isinstance(step.verb, Uses):
            self.turn.set_timer(Timer(f"timeout:{self.instance(frame)}", step.timeout_ms))
        try:
            if step.cache is not None:
                reusing.ask(self, frame, step, step.cache)
            else:
                self.run_verb(frame, step)
        except StepError as failure:
            self.after_body(frame, Result("fail", error=failure.error))

    def run_body(self, frame: StepFrame) -> None:
        """Do the work of a step for which the cache had nothing."""
        try:
            self.run_verb(frame, self.step_of(frame))
        except StepError as failure:
            self.after_body(frame, Result("fail", error=failure.error))

    def run_verb(self, frame: StepFrame, step: Step) -> None:
        """Do what the step's verb says."""
        verb = step.verb
        match verb:
            case Uses():
                attempts.begin(self, frame)
            case SetValues(values=values):
                self.after_body(frame, Result("ok", self.ask.value(frame, "set", values)))
            case Emit():
                self.emit(frame, verb)
            case Sleep(value=value):
                self.sleep(frame, value)
            case Steps():
                self.state.stack.append(BlockFrame(step.index, "steps"))
            case Parallel(branches=branches):
                self.make_group(frame, self.branches(frame, step, branches, race=False))
            case Race(branches=branches):
                self.make_group(frame, self.branches(frame, step, branches, race=True))
            case Switch(cases=cases):
                self.choose(frame, step, cases)
            case Stop(value=value):
                output = self.ask.value(frame, "stop", value)
                self.after_body(frame, Result("stop", msgspec.UNSET if output is None else output))
            case Fail():
                self.after_body(frame, Result("fail", error=self.failure(frame, verb)))
            case WaitFor():
                waiting.begin(self, frame, verb)
            case Invoke():
                self.invoke(frame, verb)
            case _:
                assert_never(verb)

    def invoke(self, frame: StepFrame, verb: Invoke) -> None:
        """Call another pipeline. Raises: StepError."""
        if gating.ask(self, frame):
            return
        invoking.begin(self, frame, verb, attempts.arguments(self, frame, verb))

    def refused(self, instance: str) -> None:
        """A call that could not be made after all: the pipeline changed between the turn and its commit."""
        frame = self.top_step("invoking")
        if frame is not None and self.instance(frame) == instance:
            error = ErrorInfo(
                "permanent", "run.refused", "the pipeline does not take this call any more", step=instance
            )
            self.after_body(frame, Result("fail", error=error))

    def emit(self, frame: StepFrame, verb: Emit) -> None:
        """Send an event with the commit."""
        instance = self.instance(frame)
        data = self.ask.value(frame, "with", verb.data)
        recalling.given(self, frame, verb.event, data)
        ident = recalling.key(self, frame)
        if verb.ident is not None:
            given = self.ask.value(frame, "id", verb.ident)
            ident = given if isinstance(given, str) else ""
        if not ident:
            raise self.ask.error(frame, "emit.id", "the id of an event is text that is not empty")
        data, problem = self.outside.check(verb.event, data)
        if problem is not None:
            raise StepError(msgspec.structs.replace(problem, step=instance))
        delay_ms = 0
        if verb.delay is not None:
            timer = self.ask.timer(frame, "emit.delay", verb.delay, "")
            delay_ms = timer.delay_ms if timer.at_ms is None else max(0, timer.at_ms - self.now_ms)
        self.turn.emissions.append(Emission(verb.event, ident, data, instance, delay_ms))
        self.after_body(frame, Result("ok", {"id": ident}))

    def sleep(self, frame: StepFrame, value: str) -> None:
        """Set the timer of a `sleep`."""
        timer = self.ask.timer(frame, "sleep", value, f"sleep:{self.instance(frame)}")
        self.to(frame, "sleeping")
        self.turn.set_timer(timer)

    def choose(self, frame: StepFrame, step: Step, cases: tuple[int, ...]) -> None:
        """Run the first case whose condition is true."""
        for case in cases:
            condition = self.plan.steps[case].condition
            chosen = StepFrame(case, chosen=True, started_ms=self.now_ms)
            if condition is None or self.ask.condition(chosen, condition):
                self.state.stack.append(chosen)
                return
        self.after_body(frame, self.container_output(frame, step, OK))

    def failure(self, frame: StepFrame, verb: Fail) -> ErrorInfo:
        """Make the error of a `fail`, or the one that is being handled."""
        instance = self.instance(frame)
        if verb.rethrow:
            error = handled_error(self.state)
            if error is None:
                raise self.ask.error(frame, "fail", "there is no error to pass on here")
            return error
        said = self.ask.value(frame, "fail", {"code": verb.code, "message": verb.message})
        try:
            hide = self.view.mask().text
            code, message = (hide(to_text(said[name])) for name in ("code", "message"))
            return ErrorInfo(verb.error_class, code, message, step=instance)
        except CelError as error:
            raise self.ask.error(frame, "expression", f"fail: {error}") from error

    # Fan-out --------------------------------------------------------------------------------------------------------

    def fan_out(self, frame: StepFrame, step: Step) -> None:
        """Make a child for each item of a foreach."""
        foreach = step.foreach
        assert foreach is not None
        try:
            items = self.ask.expression(frame, "foreach", foreach.items)
            if not isinstance(items, list):
                raise self.ask.error(frame, "foreach", f"foreach takes a list, not {type_name(items)}")
        except StepError as failure:
            self.settle(frame, Result("fail", error=failure.error))
            return
        if foreach.chunk is not None:
            items = [items[at : at + foreach.chunk] for at in range(0, len(items), foreach.chunk)]
        limit = self.outside.limit("foreach", limits.NONE)
        if len(items) > limit:
            error = limits.exceeded("foreach", len(items), limit, step=self.instance(frame))
            self.settle(frame, Result("fail", error=error))
            return
        self.make_group(frame, items_group(self.program, self.state, self.group_id(frame), step, items))

    def branches(self, frame: StepFrame, step: Step, branches: Sequence[int], *, race: bool) -> Group:
        """Describe the children of a parallel or race."""
        return branches_group(self.program, self.state, self.group_id(frame), step, branches, race=race)

    def make_group(self, frame: StepFrame, group: Group) -> None:
        """Create children and wait for their join."""
        self.turn.groups.append(group)
        self.to(frame, "joining")
        frame.total = group.total
        self.log("group.started", group.id, total=group.total)

    def loop_output(self, frame: StepFrame, step: Step) -> Result:
        """The output of a loop that has joined: a view over its rows, or what `collect` makes of them."""
        group = self.group_id(frame)
        if step.collect is msgspec.UNSET:
            return Result("ok", view=frame.total, view_of=group)
        extra = {"results": results(group, frame.total, self.view)}
        try:
            return Result("ok", self.ask.value(frame, "collect", step.collect, extra=extra))
        except StepError as failure:
            return Result("fail", error=failure.error)

    def race_output(self, frame: StepFrame, step: Step, race: Race, fact: Mapping[str, Any]) -> Result:
        """What a race gives that has joined without an error: its winner's output; without a winner it was skipped."""
        if fact["winner"] is None:
            return Result("ok", dropped=True)
        record = self.view.records.get(
            self.program.instance(self.plan.steps[race.branches[fact["winner"]]], self.state.loops)
        )
        won = OK if record is None else Result("ok", record.output, view=record.view, view_of=record.view_of)
        return self.container_output(frame, step, won)

    # Endings --------------------------------------------------------------------------------------------------------

    def deliver(self, result: Result) -> None:
        """Hand a result to the frame that now lies on top."""
        stack = self.state.stack
        while stack:
            top = stack[-1]
            if isinstance(top, BlockFrame):
                if result.kind == "ok":
                    top.at += 1
                    return
                stack.pop()
                continue
            self.take_result(top, result)
            return
        ending.scope_ended(self, result)

    def take_result(self, frame: StepFrame, result: Result) -> None:
        """Take the end of what lay above a frame."""
        step = self.step_of(frame)
        match frame.phase:
            case "catch":
                self.caught(frame, step, result)
            case "rounds":
                rounds.ended(self, frame, step, result)
            case "finally":
                pending = frame.pending or OK
                failed = result.kind == "fail" and pending.kind in ("ok", "stop")
                self.settle(frame, result if failed else pending)
            case _:
                if result.kind == "ok":
                    result = self.container_output(frame, step, result)
                self.after_body(frame, result)

    def container_output(self, frame: StepFrame, step: Step, result: Result) -> Result:
        """What a container that has succeeded gives: its `output:`, or a switch the chosen step's."""
        if step.output is not msgspec.UNSET:
            try:
                return Result("ok", self.ask.value(frame, "output", step.output))
            except StepError as failure:
                return Result("fail", error=failure.error)
        chosen = isinstance(step.verb, Switch | Race)
        return Result("ok", result.output, view=result.view, view_of=result.view_of) if chosen else OK

    def after_body(self, frame: StepFrame, result: Result) -> None:
        """The body of a step has ended: catch, then finally, then its record."""
        if frame.undo is not None:
            undoing.ended(self, frame, result)
            return
        gating.give_back(self, frame)
        step = self.step_of(frame)
        if step.timeout_ms is not None and not isinstance(step.verb, Uses):
            self.turn.clear_timer(f"timeout:{self.instance(frame)}")
        if frame.interrupted is not None:
            result = Result("fail", error=frame.interrupted)
            frame.interrupted = None
        if result.kind == "ok" and frame.done:
            result = self.kept(frame, step, result)
        if result.kind == "fail" and result.error is not None and interrupted_by(self.state) is None:
            for number, arm in enumerate(step.catch):
                if retry.names(arm.errors or ("all",), result.error):
                    self.to(frame, "catch")
                    frame.arm = number
                    frame.error = result.error
                    self.log("step.caught", self.instance(frame), error=result.error.view())
                    self.state.stack.append(BlockFrame(step.index, f"catch{number}"))
                    return
        self.to_finally(frame, step, result)

    def kept(self, frame: StepFrame, step: Step, result: Result) -> Result:
        """Keep the output of work that was done in the cache, where the step says so."""
        try:
            reusing.keep(self, frame, step, result.output)
        except StepError as failure:
            return Result("fail", error=failure.error)
        return result

    def caught(self, frame: StepFrame, step: Step, result: Result) -> None:
        """A catch body has ended: the step has succeeded, with the catch's output."""
        if result.kind == "ok":
            output = step.catch[frame.arm].output
            result = OK
            if output is not msgspec.UNSET:
                try:
                    result = Result("ok", self.ask.value(frame, f"catch{frame.arm}", output))
                except StepError as failure:
                    result = Result("fail", error=failure.error)
        elif result.kind == "stop":
            result = Result("ok", result.output)
        self.to_finally(frame, step, result)

    def to_finally(self, frame: StepFrame, step: Step, result: Result) -> None:
        """Run a step's `finally`, if it has one, before its record is written."""
        if step.finally_:
            self.to(frame, "finally")
            frame.pending = result
            self.state.stack.append(BlockFrame(step.index, "finally"))
        else:
            self.settle(frame, result)

    def settle(self, frame: StepFrame, result: Result, *, tolerable: bool = True) -> None:
        """Record how a step has ended and hand the result outwards; `if` lies outside of `tolerate`."""
        stack = self.state.stack
        stack.pop()
        step = self.step_of(frame)
        instance = self.instance(frame)
        if result.kind == "stop" and (frame.item or (self.state.child is not None and not stack)):
            result = Result("ok", result.output)
        if frame.item and result.view is not None:  # rows of a loop inside: whoever reads this item reads one row
            result = Result("ok", to_json(ItemsView(result.view_of, result.view, self.view.records)))
        # What is tolerated of a foreach are its items, and the group counts them; of a repeat it is the whole loop.
        tolerable = tolerable and step.foreach is None and (step.repeat is None or not frame.item)
        status, outward = self.status_of(step, result, tolerable=tolerable)
        if frame.item or step.named:
            self.write(
                instance,
                Record(
                    status,
                    output=result.output if result.kind == "ok" else msgspec.UNSET,
                    error=result.error or frame.error,
                    attempts=frame.attempts,
                    started_ms=frame.started_ms,
                    ended_ms=self.now_ms,
                    view=result.view,
                    view_of=result.view_of,
                ),
            )
        self.log("step.ended", instance, status=status, attempts=frame.attempts, **recalling.told(self, frame))
        undoing.remember(self, frame, step, result)
        self.deliver(outward)

    def status_of(self, step: Step, result: Result, *, tolerable: bool) -> tuple[Status, Result]:
        """A step's status, and the result that its surroundings see: a tolerated failure is none to them."""
        if result.kind == "cancel":
            return "cancelled", result
        if result.kind != "fail" or result.error is None:
            return ("skipped" if result.dropped else "succeeded"), result
        status: Status = "timed_out" if result.error.error_class == "timeout" else "failed"
        if tolerable and is_tolerable(step, result.error):
            return status, Result("ok", error=result.error, dropped=True)
        return status, result

    def child_ended(self, result: Result) -> None:
        """Write the end of a child with the commit, and what it weighs in its group."""
        self.turn.child_end = result
        parent = self.state.owner if self.state.owner is not None else self.state.child
        assert parent is not None
        self.turn.child_weight = weight_of(self.plan, parent, self.state, result)
        self.turn.status = "ended"

    # Small things ---------------------------------------------------------------------------------------------------

    def top_step(self, phase: str) -> StepFrame | None:
        """The step frame on top, if it is in a phase."""
        top = self.state.stack[-1] if self.state.stack else None
        return top if isinstance(top, StepFrame) and top.phase == phase else None

    def to(self, frame: StepFrame, phase: Phase) -> None:
        """Bring a step to another phase; which may follow which is the table's (`transitions.STEP`)."""
        if phase not in STEP[frame.phase]:
            raise AssertionError(f"{self.instance(frame)} cannot go from {frame.phase} to {phase}")
        frame.phase = phase

    def step_of(self, frame: StepFrame) -> Step:
        """The step that a frame runs; an undo is one that no plan has."""
        return self.plan.steps[frame.step] if frame.undo is None else undoing.synthetic(frame.undo)

    def instance(self, frame: StepFrame) -> str:
        """The name of a frame's step instance."""
        return frame.undo_name or self.program.frame_instance(frame, self.state.loops)

    def group_id(self, frame: StepFrame) -> str:
        """The group of a frame's children: one of items bears the loop's name, one of branches its container's."""
        return self.instance(frame)

    def write(self, instance: str, record: Record) -> None:
        """Write a record, and show it to what follows in this turn."""
        self.turn.records[instance] = record
        self.view.records[instance] = record

    def log(self, kind: str, step: str = "", **facts: Any) -> None:
        """Add an entry to the journal."""
        entry: dict[str, Any] = {"at": self.now_ms, "kind": kind}
        if step:
            entry["step"] = step
        if facts:
            entry.update((key, value) for key, value in facts.items() if value is not None)
        self.turn.journal.append(entry)
