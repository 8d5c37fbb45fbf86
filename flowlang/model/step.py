"""Steps: the verbs with their values, and the modifiers, as they are written.

Every key of every verb is a field of `Step`; which of them go together is checked by `flowlang.model.step_rules`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, PlainValidator

from flowlang.model.base import Many, OneOrMany, Optional, Part, Some, found, problem, short
from flowlang.model.expression import Expression, has_template, is_whole_template
from flowlang.model.fields import (
    CEL_KEYWORDS,
    OLD_BOOLEANS,
    Arguments,
    Boolean,
    DurationOrTemplate,
    ErrorName,
    EventPattern,
    HandlerName,
    Identifier,
    Name,
    NamedValues,
    PositiveDuration,
    SentEvent,
    TemplateText,
    choice,
    not_among,
    number,
    read_boolean,
    read_duration,
    read_error,
    whole,
)
from flowlang.model.flow_control import StepConcurrency, Throttle
from flowlang.model.policy import Retry
from flowlang.model.verbs import VERBS

#: Names that expressions have everywhere or in some places; an `as` would hide them.
ROOT_NAMES: Final = frozenset(
    {"event", "events", "steps", "index", "last", "results", "incoming", "body", "headers", "error", "run", "vars",
     "env", "secrets"}
)  # fmt: skip

#: Words that the expression language keeps for itself; a variable cannot have them.
_RESERVED: Final = CEL_KEYWORDS | {
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
}  # fmt: skip

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", re.ASCII)

ErrorClass = Literal["transient", "resource", "permanent", "bug", "timeout"]


# -- verbs with more than a value -------------------------------------------------------------------------------------


class Invoke(Part):
    """Run another pipeline; with `wait: false` its end is not waited for."""

    called: ClassVar[str] = "`invoke`"

    pipeline: Name
    wait: Boolean = True


def _read_delay(value: Any) -> Any:
    return value if has_template(value) else read_duration(value)


class Emit(Part):
    """Send an event."""

    called: ClassVar[str] = "`emit`"

    event: SentEvent
    id: Optional[TemplateText] = None
    delay: Annotated[timedelta | str, BeforeValidator(_read_delay)] = timedelta(0)


class WaitFor(Part):
    """Wait for events."""

    called: ClassVar[str] = "`wait_for`"

    event: OneOrMany[EventPattern]
    match: Expression
    since: Annotated[Literal["run", "step"], choice("run", "step")] = "run"
    count: Annotated[int, whole(1)] = 1


class Fail(Part):
    """Fail here."""

    called: ClassVar[str] = "`fail`"

    class_: Annotated[ErrorClass, choice("permanent", "transient", "resource", "bug", "timeout")] = "permanent"
    code: Optional[TemplateText] = None
    message: Optional[TemplateText] = None


def _read_fail(value: Any) -> Any:
    """Take a map, or the one template that throws an error on."""
    if isinstance(value, str):
        if is_whole_template(value):
            return value
        hint = f'`fail: {{message: "{value}"}}`'
        raise problem("FL103", f"takes a map or `${{{{ error }}}}`; found {found(value)}", hint)
    return value if isinstance(value, Fail) else Fail.model_validate(value)


def _read_sleep(value: Any) -> str:
    """Take a duration, a timestamp, or a text with templates."""
    if has_template(value):
        return str(value)
    if isinstance(value, str) and re.match(r"[0-9]{4}-[0-9]{2}", value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise problem(
                "FL113", f"takes a duration or a timestamp; `{value}` is none", "`2030-01-31T09:00:00Z`"
            ) from None
        if moment.tzinfo is None:
            fixed = moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
            raise problem("FL113", f"takes a timestamp with an offset; `{value}` has none", f"in UTC: `{fixed}`")
        return value
    read_duration(value)
    return str(value)


# -- modifiers --------------------------------------------------------------------------------------------------------

LoopName = Annotated[
    Identifier,
    not_among(ROOT_NAMES, "is a name that expressions have already"),
    not_among(_RESERVED, "is a word of the expression language"),
]


class Foreach(Part):
    """Once per item; with `chunk`, per list of so many."""

    called: ClassVar[str] = "`foreach`"

    in_: Expression
    as_: LoopName = "item"
    max_parallel: Annotated[int, whole(1)] = 10
    chunk: Optional[Annotated[int, whole(1)]] = None


class Pause(Part):
    """The growing pause between rounds."""

    called: ClassVar[str] = "`every`"

    initial: PositiveDuration
    factor: Annotated[float, number(1)] = 2.0
    max: Optional[PositiveDuration] = None
    jitter: Annotated[Literal["equal", "full", "none"], choice("equal", "full", "none")] = "none"


def _read_every(value: Any) -> Any:
    if isinstance(value, Pause | dict):
        return Pause.model_validate(value)
    return read_duration(value)


class Repeat(Part):
    """Again until true."""

    called: ClassVar[str] = "`repeat`"

    until: Expression
    limit: Optional[Annotated[int, whole(1)]] = None
    for_: Optional[PositiveDuration] = None
    every: Annotated[timedelta | Pause, BeforeValidator(_read_every)] = timedelta(0)
    start: Any = None


@dataclass(frozen=True, slots=True)
class FailedBound:
    """How many items may fail: a count, or a share of all in percent."""

    count: int | None = None
    percent: float | None = None


def _read_bound(value: Any) -> FailedBound:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return FailedBound(count=value)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is not None and float(match[1]) <= 100:
        return FailedBound(percent=float(match[1]))
    raise problem("FL104", f"takes a count such as `3` or a share from `0%` to `100%`; found {found(value)}")


class Tolerate(Part):
    """Failures that do not stop the run; `errors` None: all."""

    called: ClassVar[str] = "`tolerate`"

    failed: Optional[Annotated[FailedBound, PlainValidator(_read_bound)]] = None
    errors: Optional[OneOrMany[ErrorName]] = None


def _read_tolerate(value: Any) -> Any:
    if value is True:
        return {}
    if value is False:
        raise problem("FL104", "takes `true`, an error's class or code, or a map; found `false`", "leave it out")
    if isinstance(value, str) and value.lower() in OLD_BOOLEANS:
        read_boolean(value)  # no code is called so: it was meant for `true`
    return {"errors": value} if isinstance(value, str | list) else value


class Cache(Part):
    """Reuse an output across runs."""

    called: ClassVar[str] = "`cache`"

    key: Expression
    ttl: PositiveDuration


def _read_caught(value: Any) -> str:
    return value if value == "all" else read_error(value)


class CatchArm(Part):
    """Handles some errors."""

    called: ClassVar[str] = "`catch`"

    errors: OneOrMany[Annotated[str, BeforeValidator(_read_caught)]] = ("all",)
    steps: Some[Step]
    output: Any = None


class Undo(Part):
    """Takes back what a step did."""

    called: ClassVar[str] = "`undo`"

    uses: Optional[HandlerName] = None
    invoke: Optional[Annotated[Invoke, short("pipeline")]] = None
    with_: Optional[Arguments] = None
    retry: Optional[Retry] = None
    timeout: Optional[PositiveDuration] = None
    unknown: Boolean = False


# -- the step ---------------------------------------------------------------------------------------------------------


class Step(Part):
    """A verb with its modifiers."""

    called: ClassVar[str] = "a step"

    id: Optional[Identifier] = None

    uses: Optional[HandlerName] = None
    invoke: Optional[Annotated[Invoke, short("pipeline")]] = None
    emit: Optional[Annotated[Emit, short("event")]] = None
    wait_for: Optional[WaitFor] = None
    sleep: Optional[Annotated[str, BeforeValidator(_read_sleep)]] = None
    set: Optional[NamedValues] = None
    steps: Optional[Some[Step]] = None
    parallel: Optional[Some[Step]] = None
    race: Optional[Some[Step]] = None
    switch: Optional[Some[Step]] = None
    stop: Any = None
    fail: Optional[Annotated[Fail | str, BeforeValidator(_read_fail)]] = None

    with_: Optional[Arguments] = None
    output: Any = None
    needs: Many[Identifier] = ()
    if_: Optional[Expression] = None
    foreach: Optional[Foreach] = None
    repeat: Optional[Repeat] = None
    collect: Any = None
    tolerate: Annotated[Tolerate | None, BeforeValidator(_read_tolerate)] = None
    cache: Optional[Cache] = None
    catch: OneOrMany[CatchArm] = ()
    finally_: Many[Step] = ()
    queue: Optional[Name] = None
    concurrency: Optional[StepConcurrency] = None
    throttle: Optional[Throttle] = None
    retry: Optional[Retry] = None
    timeout: Optional[DurationOrTemplate] = None
    undo: Optional[Undo] = None

    @cached_property
    def verb(self) -> str:
        """The one verb that is written; the rules have seen to it that there is one."""
        return next(verb for verb in VERBS if verb in self.model_fields_set)


CatchArm.model_rebuild()
