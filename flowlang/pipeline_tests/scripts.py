"""The answers of scripted handlers: which one a call gets, and which are used up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flowlang.engine.turn import Call
from flowlang.errors import FlowError
from flowlang.model import Path
from flowlang.model.pipeline_tests import ANY_HANDLER, Answer
from flowlang.pipeline_tests.matching import fits, shown


class ScriptError(FlowError):
    """A handler was called and the test does not say what it answers.

    Args:
        path: Of the script in the test's document.
        message: What was called, and what there is.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(slots=True)
class _Left:
    answer: Answer
    times: int | None  #: None: any number


class Scripts:
    """The scripts of a test, used up call by call.

    Args:
        handlers: Answers by handler, as the test has them.
    """

    def __init__(self, handlers: Mapping[str, tuple[Answer, ...]]) -> None:
        self._left = {name: [_Left(answer, _times(answer)) for answer in script] for name, script in handlers.items()}
        self._given: dict[int, _Left] = {}

    def answer(self, call: Call) -> Answer:
        """The answer to a call; it is used up with it.

        Raises:
            ScriptError: when there is none.
        """
        name = call.handler if call.handler in self._left else ANY_HANDLER
        script = self._left.get(name)
        if script is None:
            hint = f"`handlers: {{{call.handler}: {{return: …}}}}`, or `real` to run your own"
            raise ScriptError(("handlers",), f"{_told(call)}, and has no script: write {hint}")
        fitting = [left for left in script if left.answer.with_ is None or fits(left.answer.with_, call.arguments)]
        for left in fitting:
            if left.times is None or left.times > 0:
                if left.times is not None:
                    left.times -= 1
                self._given[id(call)] = left
                return left.answer
        why = "all its answers are used up" if fitting else f"no answer fits {shown(call.arguments)}"
        raise ScriptError(("handlers", name), f"{_told(call)}, and {why}")

    def give_back(self, call: Call) -> None:
        """Take a call's answer back: the attempt was lost before it was recorded, and will be made again."""
        left = self._given.pop(id(call), None)
        if left is not None and left.times is not None:
            left.times += 1


def _times(answer: Answer) -> int | None:
    if answer.times == "any":
        return None
    return 1 if answer.times is None else answer.times


def _told(call: Call) -> str:
    return f"`{call.handler}` was called by `{call.instance}` (attempt {call.attempt})"
