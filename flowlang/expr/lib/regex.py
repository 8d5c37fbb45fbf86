"""Regular expressions in RE2's syntax, which match in linear time; Python's `re` does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from flowlang.expr import limits
from flowlang.expr.errors import BAD_ARGUMENT, EvaluationError
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope

#: Instructions of a compiled pattern whose automaton stays small whatever the text is; measured.
_SMALL_PROGRAM: Final = 19
#: Units of a character for such a pattern; for others RE2 may have to follow all instructions at each character.
_UNITS: Final = 2
#: Patterns without alternatives and open repetitions: at each character there is one way on.
_STEADY: Final = re.compile(r"\^(?:(?:[^\\()|*+?{}\[\].$^]|\\[dwsDWS.\-/+]|\[[^\\\[\]]+\])(?:\{[0-9]+\})?)*\$?")
#: Units for compiling a pattern that is not constant, for each instruction of it, and for one that is refused.
_COMPILE: Final = 10_000
_COMPILE_INSTRUCTION: Final = 60
_REFUSED: Final = 250_000


@dataclass(frozen=True, slots=True)
class Searcher:
    """A compiled pattern.

    Args:
        match: Takes a text, and gives something true where a part of it matches.
        size: Instructions of its program.
        units: Work for a character.
    """

    match: Callable[[str], Any]
    size: int
    units: int

    def cost(self, size: int) -> int:
        """Weigh the search in a text.

        Args:
            size: Its characters.

        Returns:
            Units of work.
        """
        return size * self.units


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = limits.MAX_PATTERN_MEMORY
    return options


@lru_cache(maxsize=limits.PATTERN_CACHE_SIZE)
def searcher(pattern: str) -> Searcher:
    """Compile a pattern to a set of one: a set answers yes or no several times faster than a search does.

    Args:
        pattern: In RE2's syntax.

    Returns:
        The compiled pattern.

    Raises:
        EvaluationError: It is no pattern, or too large.
    """
    if len(pattern) > limits.MAX_PATTERN:
        raise EvaluationError(f"the pattern has more than {limits.MAX_PATTERN} characters", BAD_ARGUMENT)
    options = _options()
    try:
        size = re2.compile(pattern, options).programsize
        compiled = re2.Set.SearchSet(options)
        compiled.Add(pattern)
        compiled.Compile()
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        message = f"`{pattern[:60]}` is no regular expression of RE2: {text}"
        raise EvaluationError(message, BAD_ARGUMENT) from None
    except UnicodeEncodeError:
        raise EvaluationError("the pattern holds half of a surrogate pair", BAD_ARGUMENT) from None
    bounded = size <= _SMALL_PROGRAM or _STEADY.fullmatch(pattern) is not None
    return Searcher(compiled.Match, size, _UNITS if bounded else size + size // 4)


def search(scope: Scope, compiled: Searcher, text: str) -> bool:
    """Look for a pattern, and pay for it.

    Args:
        scope: Of the evaluation.
        compiled: The pattern.
        text: Where it is sought.

    Returns:
        Whether a part of the text matches.

    Raises:
        EvaluationError: The evaluation has used up its bound, or the text cannot be searched.
    """
    scope.spend(compiled.cost(len(text)))
    try:
        return bool(compiled.match(text))
    except UnicodeEncodeError:
        raise EvaluationError("the text holds half of a surrogate pair", BAD_ARGUMENT) from None


@declare(
    "matches(string, string) -> bool",
    "string.matches(string) -> bool",
    doc="Tells whether a part of the text matches a regular expression of RE2; write ^ and $ for the whole.",
    examples=("'hubba'.matches('ubb')", "!'hubba'.matches('^ubb$')", "matches('a1', '[0-9]')"),
    needs_scope=True,
)
def _matches(scope: Scope, text: str, pattern: str) -> bool:
    scope.spend(_COMPILE)
    try:
        compiled = searcher(pattern)
    except EvaluationError:
        scope.spend(_REFUSED)
        raise
    scope.spend(compiled.size * _COMPILE_INSTRUCTION)
    return search(scope, compiled, text)
