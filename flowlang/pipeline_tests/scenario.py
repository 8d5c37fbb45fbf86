"""One test, played through on a simulation of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import msgspec

from flowlang.clock import ManualClock
from flowlang.durations import milliseconds
from flowlang.engine import sealed_fields
from flowlang.engine.ops import Claimed
from flowlang.engine.turn import AttemptEnd, Call, Turn
from flowlang.errors import FlowError, Permanent
from flowlang.handler.contract import ResultError
from flowlang.handler.discover import Discovery
from flowlang.model import Path, PipelineTest, TestDocument
from flowlang.model.pipeline_tests import Answer, Expected, Fault, Given, When
from flowlang.pipeline_tests.expect import Expectations, Seen, SeenCall, SeenEvent, undone
from flowlang.pipeline_tests.matching import shown
from flowlang.pipeline_tests.real import RealHandlers
from flowlang.pipeline_tests.result import Failure, Line, RunJournal
from flowlang.pipeline_tests.scripts import ScriptError, Scripts
from flowlang.plan import Plan, Uses
from flowlang.project.load import Project
from flowlang.project.tests import data_path
from flowlang.simulate import FaultPoint, Finished, Observer, SimulatedError, SimulatedSnooze, Simulation

#: How long runs of a test are kept on the virtual clock.
FOREVER_MS = 1000 * 365 * 86_400_000

#: More runs or dead letters of a test than these are not looked at.
_MANY = 10_000

#: What is told of a journal's entry beside its kind and step.
_TOLD = ("status", "attempt", "attempts", "total", "delay_ms", "error")


class Refused(FlowError):  # noqa: N818 - what it says
    """The test cannot go on.

    Args:
        path: Of what cannot be done, in the test's document.
        message: Why.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class Scenario(Observer):
    """Plays a test: answers calls, injects crashes, and writes down what happens on its simulation.

    Args:
        test: The test.
        model: Its model.
        plans: What takes part, by name.
        project: The project, for schemas, data files and errors.
        handlers: Imports the project's handlers.
    """

    def __init__(
        self,
        test: TestDocument,
        model: PipelineTest,
        plans: Mapping[str, Plan],
        project: Project,
        handlers: Callable[[], Discovery],
    ) -> None:
        self.test = test
        self.model = model
        self.lines: list[Line] = []
        self.failures: list[Failure] = []
        self._project = project
        self._found = handlers
        self._plans = {name: _prepared(plan, model) for name, plan in plans.items()}
        self._scripts = Scripts(model.handlers)
        self._calls: list[SeenCall] = []
        self._emitted: list[SeenEvent] = []
        self._no_run = ""
        self._hits = [0] * len(model.faults)
        self._made: dict[str, None] = {}  # runs in the order in which they were made or first worked on
        self._closing = ExitStack()
        self._real: RealHandlers | None = None
        clock = ManualClock() if model.now is None else ManualClock(_ms(model.now))
        self.began_ms = clock.now_ms()
        self.sim = Simulation(
            list(self._plans.values()),
            dict.fromkeys(_handlers(self._plans.values()), self._answer),
            schemas=project.events,
            manifest=project.manifest,
            clock=clock,
            secrets=model.secrets,
            observer=self,
        )

    def play(self) -> None:
        """Play the test; what is not as it says is in `failures` then."""
        with self._closing:
            try:
                self._play()
            except (ScriptError, Refused) as error:
                where = "handlers" if isinstance(error, ScriptError) else ".".join(map(str, error.path))
                self._fail(error.path, where, str(error))
            except RuntimeError as error:
                if "not idle" not in str(error):
                    raise
                self._fail(("given",), "the run", f"{error}: it goes on without end")

    def journals(self) -> tuple[RunJournal, ...]:
        """What each run has written down."""
        return tuple(RunJournal(name, self.sim.journal(run.id)) for name, runs in self._runs().items() for run in runs)

    # Playing --------------------------------------------------------------------------------------------------------

    def _play(self) -> None:
        for number, given in enumerate(self.model.given):
            self._give(given, ("given", number))
        for number, when in enumerate(self.model.when):
            self.sim.run_ready()
            self._go_on(when, ("when", number))
        self.sim.run_until_idle()
        self._compare(self.model.then, ("then",))
        for number, fault in enumerate(self.model.faults):
            if self._hits[number] < fault.times:
                self._fail(("faults", number), f"faults[{number}]", self._missed(fault, self._hits[number]))

    def _give(self, given: Given, path: Path) -> None:
        match given.verb:
            case "event":
                self._send(given, path)
            case "call" | "call_file":
                data = given.call if given.call_file is None else self._file(given.call_file)
                data = {} if data is None else data
                self._say("call", detail=f"{self.model.pipeline} with {shown(data)}")
                try:
                    self._note(self.sim.call(self.model.pipeline, data))
                except FlowError as error:
                    raise Refused((*path, given.verb), str(error)) from error
            case _:
                assert given.tick is not None
                self._tick(given.tick, (*path, "tick"))

    def _send(self, given: Given, path: Path) -> None:
        assert given.event is not None
        data = given.data if given.data_file is None else self._file(given.data_file)
        self._say("event", detail=f"{given.event} {shown(data)}")
        dead = self._dead_letters()
        try:
            runs = self.sim.send(given.event, data, ident=given.id, owned=True)
        except ValueError as error:
            raise Refused((*path, "data"), f"the event is refused: {error}") from error
        self._note(*runs)
        if not runs and not isinstance(given, When):
            self._no_run = self._why_not(dead)
            self._say("no run", detail=self._no_run)

    def _tick(self, tick: Any, path: Path) -> None:
        at_ms = self.sim.next_tick_ms() if tick == "next" else _ms(tick)
        if at_ms is None or at_ms < self.sim.store.now_ms():
            raise Refused(path, "the moment is past" if at_ms is not None else "there is no schedule")
        self.sim.run_until(at_ms)
        self._say("tick")
        dead = self._dead_letters()
        runs = self.sim.fire(at_ms)
        self._note(*runs)
        if not runs:
            if self._dead_letters() == dead:
                raise Refused(path, "no schedule fires at this moment, or its trigger's `if` is false")
            self._no_run = self._why_not(dead)
            self._say("no run", detail=self._no_run)

    def _go_on(self, when: When, path: Path) -> None:
        match when.verb:
            case "after":
                assert when.after is not None
                self.sim.run_until(self.sim.store.now_ms() + milliseconds(when.after))
            case "cancel":
                going = [run for run in self._runs()[self.model.pipeline] if run.status in {"running", "pending"}]
                if not going:
                    raise Refused((*path, "cancel"), f"no run of `{self.model.pipeline}` is going on")
                self._say("cancel", detail=when.cancel or "")
                for run in going:
                    self.sim.cancel(run.id, when.cancel or "")
            case "then":
                assert when.then is not None
                self._compare(when.then, (*path, "then"))
            case _:
                self._give(when, path)

    def _compare(self, then: Expected, path: Path) -> None:
        runs = self._runs()
        undos = {run.id: undone(self.sim.journal(run.id)) for made in runs.values() for run in made}
        seen = Seen(self.model.pipeline, runs, self._calls, self._emitted, self._dead_letters(), undos, self._no_run)
        self.failures += Expectations(self.test, seen).failures(then, path)

    # Watching -------------------------------------------------------------------------------------------------------

    def turned(self, row: Claimed, turn: Turn) -> None:
        """Write down what a turn tells."""
        self._note(row.run)
        for entry in turn.journal:
            told = [_told(key, entry[key]) for key in _TOLD if key in entry]
            self._say(entry["kind"], entry.get("step", ""), " ".join(filter(None, told)))

    def called(self, row: Claimed, call: Call, end: AttemptEnd) -> None:
        """Write down a call and its answer."""
        del row
        self._calls.append(SeenCall(call.handler, call.instance, call.attempt, call.arguments))
        answer = "" if end.output is msgspec.UNSET else f" → {shown(end.output)}"
        if end.error is not None:
            answer = f" → {end.error.error_class}/{end.error.code}"
        elif end.snooze_ms is not None:
            answer = f" → snooze {end.snooze_ms} ms"
        self._say("handler.called", call.instance, f"{call.handler} {shown(call.arguments)}{answer}")

    def committed(self, row: Claimed, turn: Turn) -> None:
        """Take in the events that were sent."""
        del row
        for sent in turn.emissions:
            self._emitted.append(SeenEvent(sent.name, sent.data, sent.ident, sent.instance))
            self._say("event.sent", sent.instance, f"{sent.name} {shown(sent.data)}")

    def crashes(self, point: FaultPoint, row: Claimed, call: Call) -> bool:
        """Lose the worker where the test says so."""
        del row
        for number, fault in enumerate(self.model.faults):
            meant = fault.crash == point and fault.step == call.instance and fault.attempt in {None, call.attempt}
            if meant and self._hits[number] < fault.times:
                self._hits[number] += 1
                if point == "before_commit":
                    self._scripts.give_back(call)
                self._say("worker.lost", call.instance, f"{point}, attempt {call.attempt}")
                return True
        return False

    def _answer(self, call: Call) -> Any:
        answer = self._scripts.answer(call)
        match answer.verb:
            case "return":
                return self._returned(call, answer.return_)
            case "return_file":
                return self._returned(call, self._file(answer.return_file or ""))
            case "snooze":
                assert answer.snooze is not None
                raise SimulatedSnooze(milliseconds(answer.snooze))
            case "fail":
                raise _failure(answer)
            case _:
                row = self.sim.at_work
                assert row is not None
                return self._own().call(call, row)

    def _returned(self, call: Call, output: Any) -> Any:
        """A scripted output, held to what the handler declares: neither takes nor gives what the real one would not."""
        definition = self._found().registry.get(call.handler)
        if definition is None:
            return output
        try:
            definition.contract.convert(call.arguments)
        except Permanent as error:
            raise SimulatedError("permanent", error.code or "", error.message) from error
        try:
            return definition.contract.result(output)
        except ResultError as error:
            message = f"{error}: it could not return {shown(output)}"
            raise ScriptError(("handlers", call.handler), message) from error

    def _own(self) -> RealHandlers:
        if self._real is None:
            found = self._found()
            if found.problems:
                listed = "; ".join(str(problem) for problem in found.problems)
                raise Refused(("handlers",), f"the project's handlers cannot be imported: {listed}")
            real = RealHandlers(
                found.registry,
                env=self.model.env,
                secrets=self.model.secrets,
                errors=self._project.errors,
                clock=self.sim.clock,
            )
            self._real = self._closing.enter_context(real)
        return self._real

    # Small things ---------------------------------------------------------------------------------------------------

    def _runs(self) -> dict[str, list[Finished]]:
        found: dict[str, list[Finished]] = {name: [] for name in self._plans}
        places = {run: place for place, run in enumerate(self._made)}
        for name, runs in found.items():
            rows = self.sim.store.runs(pipeline=name, limit=_MANY)
            made = sorted(rows, key=lambda row: (row.created_ms, places.get(row.id, len(places))))
            runs += [self.sim.finished(row.id) for row in made]
        return found

    def _note(self, *runs: str) -> None:
        self._made.update(dict.fromkeys(run for run in runs if run not in self._made))

    def _dead_letters(self) -> int:
        return len(self.sim.store.dead_letters(limit=_MANY))

    def _why_not(self, dead_before: int) -> str:
        """Why an event has started nothing."""
        if self._dead_letters() > dead_before:
            letter = self.sim.store.dead_letters(limit=1)[0]
            body = msgspec.json.decode(self.sim.sealer.open(letter.body, sealed_fields.DEAD, letter.id))
            problems = [f"{each['where']}: {each['message']}" for each in body.get("problems", ())]
            return "it became a dead letter: " + "; ".join(problems)
        return "no trigger took it: its `if` is false, or the event was there already"

    def _missed(self, fault: Fault, hits: int) -> str:
        attempts = [call.attempt for call in self._calls if call.step == fault.step]
        made = f"`{fault.step}` made {len(set(attempts))} attempts" if attempts else f"`{fault.step}` was never called"
        return f"the crash came {hits} of {fault.times} times: {made}" if hits else f"the crash never came: {made}"

    def _file(self, named: str) -> Any:
        return self._project.test_data[data_path(self.test, named)]

    def _fail(self, path: Path, where: str, message: str) -> None:
        self.failures.append(Failure(where, message, self.test.document.span_at(path)))

    def _say(self, text: str, step: str = "", detail: str = "") -> None:
        self.lines.append(Line(self.sim.store.now_ms() - self.began_ms, text, step, detail))


def _prepared(plan: Plan, test: PipelineTest) -> Plan:
    """The plan with the variables of the test; its runs are kept until the test has looked at them."""
    variables = tuple((name, test.vars.get(name, value)) for name, value in plan.vars)
    return msgspec.structs.replace(plan, env=dict(test.env), vars=variables, retention_ms=FOREVER_MS)


def _handlers(plans: Iterable[Plan]) -> set[str]:
    verbs = [verb for plan in plans for step in plan.steps for verb in (step.verb, step.undo and step.undo.verb)]
    return {verb.handler for verb in verbs if isinstance(verb, Uses)}


def _failure(answer: Answer) -> SimulatedError:
    """The failure of a scripted attempt, as the worker would record it."""
    timed_out = answer.fail == "timeout"
    code = answer.code or ("timeout" if timed_out else "scripted")
    message = answer.message or ("the attempt did not end in time" if timed_out else "scripted")
    after = None if answer.retry_after is None else milliseconds(answer.retry_after)
    kind = "transient" if timed_out else answer.fail or "transient"
    return SimulatedError(kind, code, message, retry_after_ms=after)


def _told(key: str, value: Any) -> str:
    match key:
        case "error":
            return f"{value.get('class')}/{value.get('code')}: {value.get('message')}"
        case "delay_ms":
            return f"again in {value / 1000:g} s"
        case "attempts":
            return f"attempts {value}" if value else ""
        case "status":
            return str(value)
        case _:
            return f"{key} {value}"


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
