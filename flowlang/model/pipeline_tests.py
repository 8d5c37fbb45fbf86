"""Pipeline tests as they are written: what is given, what handlers answer, what goes wrong, what must come of it.

Values in a test are literal; only `check` holds expressions. Which names must exist in the project is checked by
`flowlang.compiler.pipeline_tests`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from flowlang.model.base import Many, OneOrMany, Optional, Part, found, listed, problem, short
from flowlang.model.expression import Expression
from flowlang.model.fields import (
    EventName,
    Identifier,
    Moment,
    Name,
    PositiveDuration,
    Text,
    Values,
    choice,
    read_handler,
    read_moment,
    read_values,
    whole,
)
from flowlang.model.yaml_nodes import MapData

#: Stands for every handler that has no script of its own.
ANY_HANDLER: Final = "*"

RunStatus = Literal["succeeded", "failed", "cancelled", "skipped", "running", "pending"]
StepStatus = Literal["succeeded", "failed", "timed_out", "skipped", "cancelled", "absent"]

_RUN_STATUSES: Final = ("succeeded", "failed", "cancelled", "skipped", "running", "pending")
_STEP_STATUSES: Final = ("succeeded", "failed", "timed_out", "skipped", "cancelled", "absent")
_FAILURES: Final = ("transient", "resource", "permanent", "bug", "timeout")
_PART: Final = r"[a-z][a-z0-9_-]*(?:\[[0-9]+\])?"

#: A step's instance; behind a `/` one of the child run that it has invoked.
_INSTANCE = re.compile(rf"{_PART}(?:[./]{_PART})*", re.ASCII)


def _read_instance(value: Any) -> str:
    if not isinstance(value, str) or not _INSTANCE.fullmatch(value):
        raise problem("FL105", f"takes a step such as `pay` or `pages[3].notify`; found {found(value)}")
    return value


def _read_tick(value: Any) -> Any:
    return value if value == "next" else read_moment(value)


def _read_cancel(value: Any) -> Any:
    if value is True:
        return "cancelled by the test"
    if isinstance(value, str) and value:
        return value
    raise problem("FL103", f"takes `true` or a reason; found {found(value)}")


def _read_times(value: Any) -> Any:
    if value == "any" or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise problem("FL104", f"takes a number of calls of at least 1, or `any`; found {found(value)}")


def _read_real(value: Any) -> Any:
    if value is not True:
        raise problem("FL104", f"takes nothing but `true`; found {found(value)}", "leave the key out")
    return value


def _read_calls(value: Any) -> Any:
    """Take a count, the arguments of each call, or `{count, with}`."""
    if isinstance(value, list):
        return {"each": value}
    return value if isinstance(value, dict | Part) else {"count": value}


def _read_runs(value: Any) -> Any:
    """Take what is expected of the tested pipeline's runs, or of several pipelines' by name."""
    return value if isinstance(value, dict) else {"": value}


def _read_counted(value: Any) -> Any:
    """Take a count, or what is expected of each."""
    if isinstance(value, list):
        return {"each": value}
    return value if isinstance(value, Part) else {"count": value}


def _read_scripted(value: Any) -> str:
    return value if value == ANY_HANDLER else read_handler(value)


def _read_handlers(value: Any) -> Any:
    """Take scripts by handler; `real` alone stands for all of them."""
    if value == "real":
        return {ANY_HANDLER: "real"}
    if not isinstance(value, dict):
        raise problem("FL103", f"takes scripts by handler, or `real`; found {found(value)}", "`real` runs your own")
    return value


Instance = Annotated[str, BeforeValidator(_read_instance)]
ScriptedName = Annotated[str, BeforeValidator(_read_scripted)]
CalledName = Annotated[str, BeforeValidator(read_handler)]
Texts = Annotated[dict[Text, Text], BeforeValidator(read_values)]
Count = Annotated[int, whole(0)]


class OneVerb(Part):
    """A map that says one thing: exactly one of its verbs is written, with what belongs to that one."""

    verbs: ClassVar[tuple[str, ...]] = ()
    #: Key → the verbs that it goes with.
    beside: ClassVar[dict[str, tuple[str, ...]]] = {}

    @model_validator(mode="after")
    def _check_verbs(self) -> OneVerb:
        written = [name for name in self.verbs if self.has(_field(name))]
        if len(written) != 1:
            seen = listed(written) if written else "none of them"
            raise problem("FL107" if written else "FL102", f"takes one of {listed(self.verbs, 'or')}; found {seen}")
        for name, verbs in self.beside.items():
            if self.has(_field(name)) and written[0] not in verbs:
                raise problem("FL108", f"takes `{name}` with {listed(verbs, 'or')}, not with `{written[0]}`")
        return self

    @property
    def verb(self) -> str:
        """Which of the verbs is written."""
        return next(name for name in self.verbs if self.has(_field(name)))


def _field(key: str) -> str:
    """The field of a key."""
    return f"{key}_" if key in {"return", "with", "class"} else key


# -- what happens -----------------------------------------------------------------------------------------------------


class Given(OneVerb):
    """What starts runs: an event, a call of the pipeline, or a tick of its schedule."""

    called: ClassVar[str] = "`given`"
    verbs: ClassVar[tuple[str, ...]] = ("event", "call", "call_file", "tick")
    beside: ClassVar[dict[str, tuple[str, ...]]] = {"data": ("event",), "data_file": ("event",), "id": ("event",)}

    event: Optional[EventName] = None
    data: Any = None
    data_file: Optional[Text] = None
    id: Optional[Text] = None
    call: Any = None
    call_file: Optional[Text] = None
    tick: Optional[Annotated[datetime | Literal["next"], BeforeValidator(_read_tick)]] = None


class Answer(OneVerb):
    """How a handler answers a call."""

    called: ClassVar[str] = "an answer"
    verbs: ClassVar[tuple[str, ...]] = ("return", "return_file", "fail", "snooze", "real")
    beside: ClassVar[dict[str, tuple[str, ...]]] = {
        "code": ("fail",),
        "message": ("fail",),
        "retry_after": ("fail",),
    }

    return_: Any = None
    return_file: Optional[Text] = None
    fail: Optional[Annotated[Literal["transient", "resource", "permanent", "bug", "timeout"], choice(*_FAILURES)]] = (
        None
    )
    code: Optional[Text] = None
    message: Optional[Text] = None
    retry_after: Optional[PositiveDuration] = None
    snooze: Optional[PositiveDuration] = None
    real: Annotated[bool, BeforeValidator(_read_real)] = False
    with_: Optional[Values] = None
    times: Optional[Annotated[int | Literal["any"], BeforeValidator(_read_times)]] = None


def _read_answer(value: Any) -> Any:
    return {"real": True} if value == "real" else value


def _read_script(value: Any) -> Any:
    """Take a list of answers, each for one call, or one that answers every call."""
    if isinstance(value, list | tuple):
        return tuple(value)
    one = _read_answer(value)
    if isinstance(one, dict) and "times" not in one:
        path = one.path if isinstance(one, MapData) else ()
        one = MapData({**one, "times": "any"})
        one.path = path
    return (one,)


#: The answers of one handler.
Script = Annotated[tuple[Annotated[Answer, BeforeValidator(_read_answer)], ...], BeforeValidator(_read_script)]


class Fault(Part):
    """A crash of the worker around an attempt of a step."""

    called: ClassVar[str] = "a fault"

    crash: Annotated[
        Literal["before_call", "before_commit", "after_commit"], choice("before_call", "before_commit", "after_commit")
    ]
    step: Instance
    attempt: Optional[Annotated[int, whole(1)]] = None
    times: Annotated[int, whole(1)] = 1


# -- what must come of it ---------------------------------------------------------------------------------------------


class ExpectedError(Part):
    """An error; the message must hold the text that is written."""

    called: ClassVar[str] = "`error`"

    class_: Optional[Text] = None
    code: Optional[Text] = None
    message: Optional[Text] = None
    step: Optional[Text] = None
    attempts: Optional[Count] = None


class ExpectedStep(Part):
    """How an instance of a step ended; `absent`: it never came to that."""

    called: ClassVar[str] = "an expected step"

    status: Optional[Annotated[StepStatus, choice(*_STEP_STATUSES)]] = None
    attempts: Optional[Count] = None
    output: Any = None
    error: Optional[ExpectedError] = None


class ExpectedCalls(Part):
    """Calls of a handler: how many, with what in some of them, or with what in each."""

    called: ClassVar[str] = "expected calls"

    count: Optional[Count] = None
    with_: Optional[Values] = None
    each: Optional[Many[Values]] = None


class ExpectedEvent(Part):
    """An event that a step has sent."""

    called: ClassVar[str] = "an expected event"

    event: EventName
    data: Any = None
    id: Optional[Text] = None


class ExpectedUndo(Part):
    """An undo that was made, by the step that it took back."""

    called: ClassVar[str] = "an expected undo"

    step: Instance
    status: Annotated[Literal["succeeded", "failed"], choice("succeeded", "failed")] = "succeeded"


class ExpectedRun(Part):
    """How a run ended."""

    called: ClassVar[str] = "an expected run"

    status: Optional[Annotated[RunStatus, choice(*_RUN_STATUSES)]] = None
    output: Any = None
    error: Optional[ExpectedError] = None
    steps: Annotated[dict[Instance, Annotated[ExpectedStep, short("status")]], BeforeValidator(read_values)] = Field(
        default_factory=dict
    )
    undone: Optional[Many[Annotated[ExpectedUndo, short("step")]]] = None


class ExpectedRuns(Part):
    """Runs of a pipeline: how many, or each of them in the order in which they were made."""

    called: ClassVar[str] = "expected runs"

    count: Optional[Count] = None
    each: Optional[Many[Annotated[ExpectedRun, short("status")]]] = None


class Expected(ExpectedRun):
    """What must be true; of a map, only what is written is compared."""

    called: ClassVar[str] = "`then`"

    calls: Annotated[
        dict[CalledName, Annotated[ExpectedCalls, BeforeValidator(_read_calls)]], BeforeValidator(read_values)
    ] = Field(default_factory=dict)
    order: Many[CalledName] = ()
    emitted: Optional[Many[Annotated[ExpectedEvent, short("event")]]] = None
    runs: Annotated[dict[str, Annotated[ExpectedRuns, BeforeValidator(_read_counted)]], BeforeValidator(_read_runs)] = (
        Field(default_factory=dict)
    )
    dead_letters: Optional[Count] = None
    check: OneOrMany[Expression] = ()


class When(Given):
    """What happens later: time goes by, more is given, the run is cancelled; or a look at how things stand."""

    called: ClassVar[str] = "`when`"
    verbs: ClassVar[tuple[str, ...]] = (*Given.verbs, "after", "cancel", "then")

    after: Optional[PositiveDuration] = None
    cancel: Optional[Annotated[str, BeforeValidator(_read_cancel)]] = None
    then: Optional[Expected] = None


class PipelineTest(Part):
    """A test of a pipeline."""

    called: ClassVar[str] = "a pipeline test"

    test: Text
    pipeline: Name
    description: Text = ""
    skip: Optional[Text] = None
    also: Many[Name] = ()
    now: Optional[Moment] = None
    env: Texts = Field(default_factory=dict)
    secrets: Texts = Field(default_factory=dict)
    vars: Annotated[dict[Identifier, Any], BeforeValidator(read_values)] = Field(default_factory=dict)
    given: OneOrMany[Given]
    handlers: Annotated[dict[ScriptedName, Script], BeforeValidator(_read_handlers)] = Field(default_factory=dict)
    faults: Many[Fault] = ()
    when: Many[When] = ()
    then: Expected


#: Keys of a test that `shared` may have as well.
SHARED_KEYS: Final = tuple(key for key in list(PipelineTest.keys()) if key not in {"test", "skip", "then"})

#: Of these, a test's own keys are added to the shared ones; of all others, the test's replaces the shared.
MERGED_KEYS: Final = ("env", "secrets", "vars", "handlers")
