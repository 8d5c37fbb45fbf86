"""Regular expressions in RE2's syntax, which match in linear time; Python's `re` does not."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from flowlang.expr import limits
from flowlang.expr.errors import BAD_ARGUMENT, EvaluationError
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope

_CHARACTERS_PER_UNIT: Final = 16


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = limits.MAX_PATTERN_MEMORY
    return options


@lru_cache(maxsize=limits.CACHE_SIZE)
def _searcher(pattern: str) -> Any:
    """Compile a pattern to a set of one: a set answers yes or no several times faster than a search does."""
    if len(pattern) > limits.MAX_PATTERN:
        raise EvaluationError(f"the pattern has more than {limits.MAX_PATTERN} characters", BAD_ARGUMENT)
    options = _options()
    try:
        re2.compile(pattern, options)
        searcher = re2.Set.SearchSet(options)
        searcher.Add(pattern)
        searcher.Compile()
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        message = f"`{pattern[:60]}` is no regular expression of RE2: {text}"
        raise EvaluationError(message, BAD_ARGUMENT) from None
    except UnicodeEncodeError:
        raise EvaluationError("the pattern holds half of a surrogate pair", BAD_ARGUMENT) from None
    return searcher


@declare(
    "matches(string, string) -> bool",
    "string.matches(string) -> bool",
    doc="Tells whether a part of the text matches a regular expression of RE2; write ^ and $ for the whole.",
    examples=("'hubba'.matches('ubb')", "!'hubba'.matches('^ubb$')", "matches('a1', '[0-9]')"),
    needs_scope=True,
)
def _matches(scope: Scope, text: str, pattern: str) -> bool:
    scope.spend(len(text) // _CHARACTERS_PER_UNIT)
    try:
        return bool(_searcher(pattern).Match(text))
    except UnicodeEncodeError:
        raise EvaluationError("the text holds half of a surrogate pair", BAD_ARGUMENT) from None
