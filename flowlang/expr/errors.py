"""The errors of the expression language: what is wrong, and where in the expression's text.

    CelError
    ├── ExpressionSyntaxError   the text is no expression; carries every problem found
    └── EvaluationError         the expression has no value for these bindings

Offsets count code points from the start of the expression. Mapping them to lines of a file is the caller's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flowlang.errors import FlowError

#: Codes of `EvaluationError`; rules, journals and tests compare these, never messages.
NO_FIELD: Final = "no_such_field"
NO_INDEX: Final = "no_such_index"
NO_OVERLOAD: Final = "no_such_overload"
NO_NAME: Final = "no_such_name"
BAD_ARGUMENT: Final = "bad_argument"
DIVIDE_BY_ZERO: Final = "divide_by_zero"
OUT_OF_RANGE: Final = "out_of_range"
BAD_KEY: Final = "bad_key"
NO_VALUE: Final = "no_value"
NOT_ALLOWED: Final = "not_allowed"
NOT_JSON: Final = "not_json"
TOO_MUCH_WORK: Final = "too_much_work"
TOO_DEEP: Final = "too_deep"

#: Kinds of `Problem`; what finds them is the parser for the first and the checker for the others.
SYNTAX: Final = "syntax"
UNKNOWN_NAME: Final = "unknown-name"
UNKNOWN_FIELD: Final = "unknown-field"
MAY_BE_MISSING: Final = "may-be-missing"
MAY_BE_NULL: Final = "may-be-null"
WRONG_TYPE: Final = "wrong-type"
NOT_BOOL: Final = "not-bool"
BAD_CONSTANT: Final = "bad-constant"
NEVER_EQUAL: Final = "never-equal"

#: These end the evaluation at once: `||` and `&&` may not hide that a bound was reached.
UNABSORBABLE: Final = frozenset({TOO_MUCH_WORK, TOO_DEEP, NOT_ALLOWED})


class CelError(FlowError):
    """Root of the errors of the expression language."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an expression's text.

    Args:
        message: What is wrong.
        start: Offset of the first code point concerned.
        end: Offset behind the last one.
        hint: What would be right, or None.
        path: Keys and positions of the text in a tree of templates; empty for a single text.
        kind: One of the kinds of this module.
    """

    message: str
    start: int
    end: int
    hint: str | None = None
    path: tuple[str | int, ...] = ()
    kind: str = SYNTAX


class ExpressionSyntaxError(CelError):
    """The text is no expression.

    Args:
        problems: All problems found, in the order of the text; at least one.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(
            problem.message if problem.hint is None else f"{problem.message} ({problem.hint})"
            for problem in self.problems
        )


class EvaluationError(CelError):
    """The expression has no value for these bindings.

    Args:
        message: What is wrong, or a function that writes it; errors that `||` absorbs are never written.
        code: One of the codes of this module.
        start: Offset of the failing part, -1 while it is not known.
        end: Offset behind it.

    Attributes:
        path: Keys and positions of the text in a tree of templates; empty for a single text.
    """

    def __init__(self, message: str | Callable[[], str], code: str, start: int = -1, end: int = -1) -> None:
        # Without `super().__init__()`: it would do nothing, and these are made for each error that `||` absorbs.
        self._message = message
        self.code = code
        self.start = start
        self.end = end
        self.path: tuple[str | int, ...] = ()

    @property
    def message(self) -> str:
        """What is wrong, in one sentence."""
        if not isinstance(self._message, str):
            self._message = self._message()
        return self._message

    def at(self, start: int, end: int) -> EvaluationError:
        """Say where it happened, unless something deeper in the expression has said so.

        Args:
            start: Offset of the failing part.
            end: Offset behind it.

        Returns:
            This error.
        """
        if self.start < 0:
            self.start = start
            self.end = end
        return self

    def __str__(self) -> str:
        return self.message
