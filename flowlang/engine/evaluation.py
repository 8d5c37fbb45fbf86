"""Evaluates a scope's expressions and values; that one has no value is an error of its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flowlang.durations import DurationError, milliseconds, parse_duration
from flowlang.engine.ops import Timer
from flowlang.engine.program import ROOT, Program, reads_time
from flowlang.engine.state import ErrorInfo, ScopeState, StepFrame
from flowlang.engine.turn import Turn
from flowlang.engine.view import RunView, bindings, pins
from flowlang.expr import (
    CelError,
    Duration,
    EvaluationError,
    Expression,
    Pins,
    Template,
    Timestamp,
    ValueTemplate,
    compile_template,
    compile_value,
    fill_but,
    to_json,
)

#: Nanoseconds in a millisecond: timers are that coarse, and never early.
MS = 1_000_000

_NONE: Mapping[str, Any] = MappingProxyType({})


class StepError(Exception):
    """A step cannot be carried out: its error, on its way to where the step ends."""

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(error.message)
        self.error = error


class Evaluator:
    """Evaluates for one turn of one scope.

    Args:
        program: The pipeline.
        view: Its data.
        state: The scope.
        now_ms: The store's time.
        first: The scope's first turn, if this is one: it is binding once an expression has read the time.
    """

    def __init__(self, program: Program, view: RunView, state: ScopeState, *, now_ms: int, first: Turn | None) -> None:
        self._program = program
        self._view = view
        self._state = state
        self._now_ms = now_ms
        self._first = first

    def condition(self, frame: StepFrame, text: str) -> bool:
        """Evaluate an `if`.

        Raises:
            StepError: when it has no value, or one that is neither true nor false.
        """
        wanted = self.expression(frame, "if", text)
        if not isinstance(wanted, bool):
            raise self.error(frame, "expression", f"`if: {text}` gives {type_name(wanted)}, not true or false")
        return wanted

    def names(self) -> dict[str, Any]:
        """The root names with their values, `secrets` excepted."""
        return self._bindings()

    def expression(self, frame: StepFrame | None, slot: str, text: str, *, extra: Mapping[str, Any] = _NONE) -> Any:
        """Evaluate an expression to plain JSON; `extra` are more root names. Raises: StepError."""
        compiled = self._program.expression(text)
        return self._guarded(
            frame,
            slot,
            compiled,
            lambda pinned: to_json(compiled.evaluate(self._bindings() | dict(extra), pins=pinned)),
        )

    def value(
        self, frame: StepFrame | None, slot: str, tree: Any, *, secrets: bool = False, extra: Mapping[str, Any] = _NONE
    ) -> Any:
        """Evaluate a value with templates to plain JSON.

        Args:
            frame: The step; None: the pipeline.
            slot: Which of its values.
            tree: The value.
            secrets: Whether it may read `secrets`.
            extra: More root names.

        Raises:
            StepError: when it has no value.
        """
        template = self._program.value(ROOT if frame is None else frame.step, slot, tree)

        def fill(pinned: Pins) -> Any:
            names = {} if template.literal else self._bindings(secrets=secrets) | dict(extra)
            return template.evaluate(names, pins=pinned)

        return self._guarded(frame, slot, template, fill)

    def partly(
        self, frame: StepFrame, slot: str, tree: Any, later: frozenset[str], *, extra: Mapping[str, Any] = _NONE
    ) -> Any:
        """Evaluate a value as far as it can be; what reads a name of `later` stays a template. Raises: StepError."""
        template = self._program.value(frame.step, slot, tree)

        def fill(pinned: Pins) -> Any:
            return fill_but(template, self._bindings() | dict(extra), later, pins=pinned)

        return self._guarded(frame, slot, template, fill)

    def left(self, frame: StepFrame, tree: Any, names: Mapping[str, Any]) -> Any:
        """Evaluate what `partly` has left, from these names alone. Raises: StepError."""
        template = compile_value(tree)
        return self._guarded(frame, "undo.with", template, lambda pinned: template.evaluate(names, pins=pinned))

    def timer(self, frame: StepFrame, slot: str, text: str, timer_id: str) -> Timer:
        """Make a timer of a duration, a timestamp, or a template that gives one.

        Args:
            frame: The step.
            slot: Which of its values, such as `sleep`.
            text: As written.
            timer_id: Of the timer.

        Raises:
            StepError: when it is neither.
        """
        template = compile_template(text)
        until = self._guarded(frame, slot, template, lambda pinned: template.evaluate(self._bindings(), pins=pinned))
        match until:
            case Duration():
                return Timer(timer_id, max(0, -(-until.ns // MS)))
            case Timestamp():
                return Timer(timer_id, at_ms=-(-until.ns // MS))
            case str():
                return self._text_timer(frame, slot, timer_id, until)
            case _:
                raise self.error(frame, slot, f"`{slot}` takes a duration or a timestamp, not {type_name(until)}")

    def error(self, frame: StepFrame | None, code: str, message: str) -> StepError:
        """A permanent error of a step, or of the pipeline; what must not be shown is hidden in its message."""
        return StepError(ErrorInfo("permanent", code, self._view.mask().text(message), step=self._instance(frame)))

    def _text_timer(self, frame: StepFrame, slot: str, timer_id: str, text: str) -> Timer:
        try:
            return Timer(timer_id, milliseconds(parse_duration(text)))
        except DurationError as no_duration:
            try:
                return Timer(timer_id, at_ms=-(-Timestamp.parse(text).ns // MS))
            except (CelError, ValueError):
                message = f"{text!r} is neither a duration such as 1h30m nor a timestamp"
                raise self.error(frame, slot, message) from no_duration

    def _bindings(self, *, secrets: bool = False) -> dict[str, Any]:
        names = bindings(self._program, self._view, self._state)
        if secrets:
            names["secrets"] = self._view.secrets
        return names

    def _guarded(
        self,
        frame: StepFrame | None,
        slot: str,
        compiled: Expression | Template | ValueTemplate,
        evaluate: Callable[[Pins], Any],
    ) -> Any:
        if self._first is not None and reads_time(compiled):
            self._first.binding = True
        try:
            return evaluate(pins(self._view, self._instance(frame), slot, frame, self._now_ms))
        except EvaluationError as error:
            known = frame is not None and frame.undo is None
            place = self._program.place(frame.step if known and frame is not None else ROOT, slot, error)
            raise self.error(frame, "expression", f"{slot}: {error}{place}") from error

    def _instance(self, frame: StepFrame | None) -> str:
        if frame is None:
            return ""
        return frame.undo_name or self._program.frame_instance(frame, self._state.loops)


def type_name(value: Any) -> str:
    """A value's type in the language's words."""
    names = {dict: "a map", list: "a list", str: "text", bool: "a bool", int: "an int", float: "a double"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
