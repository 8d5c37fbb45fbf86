"""A pipeline becomes a plan: triggers, input, vars and all that is not a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from flowlang import jsondata
from flowlang.compiler.expressions import Checker, Place, Written, expressions_in
from flowlang.compiler.findings import Findings, near
from flowlang.compiler.flow import FlowLowering
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.leaks import Leaks
from flowlang.compiler.misfits import report_misfits
from flowlang.compiler.place_types import any_event, either, event_type, literal_type
from flowlang.compiler.policies import lower_policies
from flowlang.compiler.project_types import ProjectTypes
from flowlang.compiler.steps import Around, StepLowering, check_match
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Label, Severity, has_errors
from flowlang.durations import milliseconds
from flowlang.expr.schema_types import SENSITIVE, has_marks, type_of_schema
from flowlang.expr.types import BOOL, DYN, ListOf, ObjectOf, Type
from flowlang.model import Path, Pipeline, PipelineDocument, ProjectFile
from flowlang.model.pipeline import CancelOn as WrittenCancelOn
from flowlang.model.step import Step
from flowlang.model.trigger import CronTrigger as WrittenCron
from flowlang.model.trigger import EventTrigger as WrittenEvent
from flowlang.plan import (
    CancelOn,
    CronTrigger,
    EventTrigger,
    MarkedHints,
    Places,
    Plan,
    RetryRule,
    Trigger,
    calls,
    event_patterns,
)
from flowlang.source import Span

WEEK_MS = 7 * 86_400_000

#: Names that expressions have everywhere in a pipeline.
ROOTS = frozenset({"event", "steps", "run", "vars"})


#: What to call the data that a pipeline takes by its own `input`.
OWN_INPUT = "the pipeline's input"


class PipelineLowering:
    """Lowers one pipeline.

    Args:
        document: Its document, without mistakes of shape.
        project: The project that it belongs to.
        pipelines: Names of all pipelines of the project.
        types: Of the project; it learns what this pipeline takes and gives.
    """

    def __init__(
        self, document: PipelineDocument, project: ProjectInput, pipelines: frozenset[str], types: ProjectTypes
    ) -> None:
        assert document.model is not None
        self._document = document
        self._input_schema: Any = None
        self._pipeline: Pipeline = document.model
        self._project = project
        self._file: ProjectFile | None = project.project
        self._pipelines = pipelines
        self._types = types
        self._findings = Findings(document.document)
        environ = project.environ if project.deploying else None
        self._checker = Checker(self._findings, frozenset(_ids(self._pipeline)), environ, watch=project.watch)
        self._project_vars: Mapping[str, Any] = {} if self._file is None else self._file.vars
        self._vars = frozenset({*self._project_vars, *self._pipeline.vars})
        self._leaks = Leaks(self._findings, {**project.marks, **self._input_marks()})
        self._lowering = StepLowering(
            self._findings,
            self._checker,
            project.signatures,
            {} if self._file is None else self._file.retries,
            self._default_retry(),
            pipelines=pipelines,
            types=types,
            leaks=self._leaks,
            complete=not project.unreadable_handlers,
        )

    def lower(self) -> Subject:
        """Lower the pipeline.

        Returns:
            What rules look at, its plan and all findings included.
        """
        plan = self._lowered()
        return Subject(self._document, self._pipeline, plan, self._input_schema, self._checker, self._findings)

    def _lowered(self) -> Plan | None:
        """Lower the pipeline; None when there are errors."""
        pipeline = self._pipeline
        self._input_schema = input_schema = self._input()
        mapped: list[Type | None] = []
        triggers = tuple(
            self._trigger(number, trigger, input_schema, mapped) for number, trigger in enumerate(pipeline.triggers)
        )
        started = self._started(input_schema, mapped)
        names = ROOTS
        types: dict[str, Type] = {"event": started}
        if pipeline.batch is not None:
            names, types = ROOTS - {"event"} | {"events"}, {"events": ListOf(started)}
        own_vars = self._own_vars(types)
        place = Place(names, vars=self._vars, types=types)
        around = Around(place, retry=self._own_retry(), bounded=self._timeout() is not None)
        block, seen = self._lowering.block(pipeline.steps, around)
        everything = place.seeing(seen)
        output: Any = msgspec.UNSET
        if pipeline.has("output"):
            given = self._checker.value(pipeline.output, ("output",), everything)
            output = given.plain
            self._leaks.shown(("output",), given, "the run's output, which its outcome event carries")
            self._types.outputs[pipeline.pipeline] = given.type
        self._checker.doubt(seen, "the run has failed, perhaps before this step")
        failed = Around(everything.knowing("error"), retry=around.retry, handling=True)
        on_failure, _ = self._lowering.block(pipeline.on_failure, failed)
        labels = self._labels(place)
        cancel_on = tuple(self._cancel_on(number, event, place) for number, event in enumerate(pipeline.cancel_on))
        flow = FlowLowering(pipeline, self._findings, self._checker, place)
        of_event = self._of_event(started)
        idempotency = flow.idempotency(of_event)
        limits = {**flow.event_limits(of_event), **flow.run_limits()}
        self._check_emitted()
        for name, path in self._lowering.awaited:
            self._check_event(name, path)
        env = self._env()
        if has_errors(self._findings.found):
            return None
        plan = Plan(
            pipeline=pipeline.pipeline,
            steps=tuple(self._lowering.steps),
            block=block,
            description=pipeline.description,
            triggers=triggers,
            input_schema=input_schema,
            vars=(*self._used_project_vars(), *own_vars),
            env=env,
            output=output,
            on_failure=on_failure,
            compensate=pipeline.compensate,
            cancel_on=cancel_on,
            timeout_ms=self._timeout(),
            expires_ms=None if pipeline.expires is None else milliseconds(pipeline.expires),
            idempotency=idempotency,
            queue=pipeline.queue,
            allow=self._allow(),
            retention_ms=self._retention(),
            labels=labels,
            **limits,
        )
        places = Places(self._findings.document.source.path, tuple(self._lowering.paths), self._checker.places)
        return msgspec.structs.replace(self._pinned(plan), places=places)

    # Triggers and input ---------------------------------------------------------------------------------------------

    def _trigger(
        self, number: int, trigger: WrittenEvent | WrittenCron, input_schema: Any, mapped: list[Type | None]
    ) -> Trigger:
        """Lower a trigger; `mapped` gets the type of its `data`, None where its events are taken as they come."""
        path: Path = ("triggers", number)
        condition = Written(None)
        place = Place(frozenset({"event"}), types={"event": self._types.event(_names_of(trigger))})
        if trigger.if_ is not None:
            unpinned = replace(place, pinned=False)
            condition = self._checker.expression(trigger.if_, (*path, "if"), unpinned, expected=BOOL)
        data: Any = msgspec.UNSET
        if trigger.has("data"):
            matched = place.given(condition.implied.when_true)
            given = self._checker.value(trigger.data, (*path, "data"), matched)
            data = given.plain
            if input_schema is not None:
                wanted = self._input_type(input_schema)
                report_misfits(self._findings, (*path, "data"), given, wanted, code="FL224", owner="its input")
            mapped.append(given.type)
        else:
            mapped.append(None)
        if isinstance(trigger, WrittenCron):
            return CronTrigger(
                schedules=tuple(trigger.cron),
                timezone=trigger.timezone,
                jitter_ms=milliseconds(trigger.jitter),
                missed=trigger.missed,
                condition=condition.plain,
                data=data,
            )
        for position, name in enumerate(trigger.event):
            place_of_name = (*path, "event", position) if len(trigger.event) > 1 else (*path, "event")
            self._check_event(name, place_of_name)
        return EventTrigger(tuple(trigger.event), condition.plain, data)

    def _started(self, input_schema: Any, mapped: list[Type | None]) -> ObjectOf:
        """The type of `event` in a run: what the input says, else one of what the triggers give.

        Args:
            input_schema: The pipeline's input, None where there is none.
            mapped: Types of what the triggers map their events to.
        """
        name = self._pipeline.pipeline
        if input_schema is not None:
            self._types.inputs[name] = found = self._input_type(input_schema)
            return event_type(found)
        events: dict[str, Type] = {}
        for trigger, data in zip(self._pipeline.triggers, mapped, strict=True):
            for sent in _names_of(trigger):
                came = self._types.event_data(sent) if data is None else data
                events[sent] = either((events[sent], came)) if sent in events else came
        if not events or any("*" in sent for sent in events):
            return event_type(DYN)
        return any_event(events)

    def _input_type(self, input_schema: Any) -> Type:
        trigger = next(iter(self._pipeline.triggers), None)
        if self._pipeline.input is None and isinstance(trigger, WrittenEvent):
            return self._types.filled_event_data(trigger.event[0])
        return type_of_schema(input_schema, name=OWN_INPUT, defaults_filled=True)

    def _check_event(self, name: str, path: Path) -> None:
        if name.startswith("pipeline/"):
            pipeline = name.removeprefix("pipeline/").rpartition(".")[0]
            if pipeline not in self._pipelines:
                hint = near(pipeline, self._pipelines, listing="the pipelines are")
                self._findings.at(path, "FL301", f"there is no pipeline `{pipeline}`", hint=hint)
            return
        known = name in self._project.schemas or name in self._project.unreadable_schemas
        if not known and not name.endswith("*") and not name.startswith("schedule/"):
            self._findings.at(
                path,
                "FL304",
                f"`{name}` has no schema: its data is taken as it comes",
                severity=Severity.INFO,
                hint=f"write `schemas/events/{name}.json`",
            )

    def _input(self) -> Any:
        written = self._pipeline.input
        if isinstance(written, str):
            if written in self._project.schema_files:
                return self._project.schema_files[written]
            hint = near(written, self._project.schema_files)
            self._findings.at(("input",), "FL125", f"there is no schema file `{written}`", hint=hint)
            return None
        if written is not None:
            return written
        if len(self._pipeline.triggers) != 1:
            return None
        trigger = self._pipeline.triggers[0]
        if not isinstance(trigger, WrittenEvent) or trigger.has("data") or len(trigger.event) != 1:
            return None
        schema = self._project.schemas.get(trigger.event[0])
        return None if schema is None else schema.schema

    # Vars, labels, keys ---------------------------------------------------------------------------------------------

    def _own_vars(self, types: dict[str, Type]) -> tuple[tuple[str, Any], ...]:
        """The pipeline's vars: each sees the project's and those above it."""
        for name, value in self._project_vars.items():
            self._checker.learn_var(name, literal_type(value))
        before = set(self._project_vars)
        lowered = []
        for name, value in self._pipeline.vars.items():
            if name in self._project_vars:
                message = f"`{name}` is a var of the project already"
                labels = self._in_project(("vars", name), "the project's")
                self._findings.at(("vars", name), "FL209", message, key=True, hint="choose another name", labels=labels)
            names = frozenset({*types, "run", "vars", "env"})
            place = Place(names, vars=frozenset(before), types=types)
            written = self._checker.value(value, ("vars", name), place)
            self._checker.learn_var(name, written.type, written.sensitive)
            lowered.append((name, written.plain))
            before.add(name)
        return tuple(lowered)

    def _used_project_vars(self) -> tuple[tuple[str, Any], ...]:
        """Those of the project's vars that the pipeline reads: others do not change its version."""
        wanted = set(self._checker.vars_read)
        for name in reversed(list(self._project_vars)):
            if name in wanted:
                for expression in expressions_in(self._project_vars[name]):
                    wanted |= {path[1] for path in expression.paths if path[0] == "vars" and len(path) > 1}
        return tuple((name, value) for name, value in self._project_vars.items() if name in wanted)

    def _cancel_on(self, number: int, written: WrittenCancelOn, place: Place) -> CancelOn:
        for position, name in enumerate(written.event):
            path: Path = ("cancel_on", number, "event")
            self._check_event(name, (*path, position) if len(written.event) > 1 else path)
        known = replace(place, steps=frozenset())
        return CancelOn(
            tuple(written.event),
            check_match(
                self._checker,
                written.match,
                ("cancel_on", number, "match"),
                known.typed(incoming=self._types.event(written.event)),
            ),
        )

    def _labels(self, place: Place) -> dict[str, Any]:
        defaults = {} if self._file is None else self._file.defaults.labels
        own = {}
        for name, value in self._pipeline.labels.items():
            given = self._checker.value(value, ("labels", name), replace(place, steps=frozenset()))
            self._leaks.shown(("labels", name), given, "a label")
            own[name] = given.plain
        return {**defaults, **own}

    def _of_event(self, started: Type) -> Place:
        """What the keys of events may read: vars too, unless they are computed when a batch has closed."""
        if self._pipeline.batch is not None:
            return Place(frozenset({"event", "run"}), pinned=False, types={"event": started})
        return Place(frozenset({"event", "run", "vars"}), vars=self._vars, pinned=False, types={"event": started})

    def _env(self) -> dict[str, str]:
        """The values of the environment that the pipeline reads, as they are now."""
        names = set(self._checker.env_read)
        for _, value in self._used_project_vars():
            for expression in expressions_in(value):
                names |= {path[1] for path in expression.paths if path[0] == "env" and len(path) > 1}
        environ = self._project.environ
        return {name: environ[name] for name in sorted(names) if name in environ}

    # The rest -------------------------------------------------------------------------------------------------------

    def _input_marks(self) -> dict[str, Span]:
        """Where an input that is written in place marks fields."""
        schema = self._pipeline.input
        properties = schema.get("properties") if isinstance(schema, dict) else None
        document = self._findings.document
        return {
            f"`{name}` of {OWN_INPUT}": document.span_at(("input", "properties", name), key=True)
            for name, part in (properties.items() if isinstance(properties, dict) else ())
            if isinstance(part, dict) and part.get(SENSITIVE) is True
        }

    def _default_retry(self) -> tuple[RetryRule, ...]:
        if self._file is None or not self._file.defaults.retry:
            return ()
        return lower_policies(self._file.defaults.retry, self._file.retries, None, ())

    def _own_retry(self) -> tuple[tuple[RetryRule, ...], ...]:
        if not self._pipeline.retry:
            return ()
        named = {} if self._file is None else self._file.retries
        return (lower_policies(self._pipeline.retry, named, self._findings, ("retry",)),)

    def _timeout(self) -> int | None:
        if self._pipeline.timeout is not None:
            return milliseconds(self._pipeline.timeout)
        default = None if self._file is None else self._file.defaults.timeout
        return None if default is None else milliseconds(default)

    def _allow(self) -> tuple[str, ...] | None:
        if self._pipeline.allow is not None:
            return tuple(self._pipeline.allow)
        allow = None if self._file is None else self._file.defaults.allow
        return None if allow is None else tuple(allow)

    def _retention(self) -> int:
        if self._pipeline.retention is not None:
            return milliseconds(self._pipeline.retention)
        if self._file is not None and self._file.defaults.retention is not None:
            return milliseconds(self._file.defaults.retention)
        return WEEK_MS

    def _check_emitted(self) -> None:
        webhooks = {} if self._file is None else self._file.webhooks
        for event, path in self._lowering.emitted:
            prefix = event.partition("/")[0]
            if prefix in webhooks and "/" in event:
                message = f"events under `{prefix}/` are sent by the webhook `{prefix}` alone"
                labels = self._in_project(("webhooks", prefix), "the webhook")
                self._findings.at(path, "FL302", message, hint="choose another first segment", labels=labels)

    def _in_project(self, path: Path, message: str) -> tuple[Label, ...]:
        """A place in `flowlang.yaml` that explains a finding here."""
        document = self._project.project_document
        return () if document is None else (Label(document.span_at(path, key=True), message),)

    def _pinned(self, plan: Plan) -> Plan:
        """The plan with what it was checked against: when one of these changes, so does the version."""
        signatures = self._project.signatures
        called = sorted({call.handler for call in calls(plan)} & signatures.keys())
        handlers = {name: signatures[name].digest for name in called}
        patterns = event_patterns(plan)
        schemas = {
            name: event.schema
            for name, event in self._project.schemas.items()
            if name in patterns or f"{name.rpartition('/')[0]}/*" in patterns
        }
        closure = jsondata.digest(schemas) if schemas else ""
        return msgspec.structs.replace(plan, handlers=handlers, marked=self._marked(called), closure=closure)

    def _marked(self, handlers: Iterable[str]) -> dict[str, MarkedHints]:
        """What the hints of handlers mark as sensitive, so that it is known where runs are shown."""
        found = {}
        for name in handlers:
            hints = self._project.handler_types.get(name)
            if hints is None:
                continue
            arguments = {argument: schema for argument, schema in hints.arguments.items() if has_marks(schema)}
            returns = hints.returns if has_marks(hints.returns) else None
            if arguments or returns is not None:
                found[name] = MarkedHints(arguments, returns)
        return found


def _names_of(trigger: WrittenEvent | WrittenCron) -> tuple[str, ...]:
    """Names and patterns of the events that start a run by a trigger."""
    return ("schedule/tick",) if isinstance(trigger, WrittenCron) else tuple(trigger.event)


def _ids(pipeline: Pipeline) -> list[str]:
    found: list[str] = []
    pending: list[Step] = [*pipeline.steps, *pipeline.on_failure]
    while pending:
        step = pending.pop()
        if step.id is not None:
            found.append(step.id)
        for children in (step.steps, step.parallel, step.race, step.switch, step.finally_):
            pending.extend(children or ())
        for arm in step.catch:
            pending.extend(arm.steps)
    return found
