"""Regular expressions in RE2's syntax, which match in linear time; Python's `re` does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from flowlang.expr import limits
from flowlang.expr.errors import BAD_ARGUMENT, EvaluationError
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope
from flowlang.expr.values import Optional

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
#: Units for a match that is looked at: its places and groups.
_MATCH: Final = 800
#: Patterns whose search may go far beyond the match that it finds, and again for the next match.
_FAR_SIGHTED: Final = re.compile(r"\||\)[*+?{]")
#: Characters that such a search passes for one unit.
_PASSED: Final = 8
#: In a replacement: a group's number or a backslash behind a backslash, or a backslash that means nothing.
_REFERENCE: Final = re.compile(r"\\([0-9\\])|\\.?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Searcher:
    """A compiled pattern.

    Args:
        match: Takes a text, and gives something true where a part of it matches.
        pattern: The same, for those who want to know where.
        size: Instructions of its program.
        units: Work for a character.
        far_sighted: Whether a search may go far beyond the match that it finds.
    """

    match: Callable[[str], Any]
    pattern: Any
    size: int
    units: int
    far_sighted: bool

    def cost(self, size: int) -> int:
        """Weigh the search in a text.

        Args:
            size: Its characters.

        Returns:
            Units of work.
        """
        return size * self.units


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
    import re2  # type: ignore[import-untyped] # noqa: PLC0415 - most expressions have no pattern

    options = re2.Options()
    options.log_errors = False
    options.max_mem = limits.MAX_PATTERN_MEMORY
    try:
        single = re2.compile(pattern, options)
        size = single.programsize
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
    units = _UNITS if bounded else size + size // 4
    return Searcher(compiled.Match, single, size, units, _FAR_SIGHTED.search(pattern) is not None)


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
    return search(scope, _compiled(scope, pattern), text)


def _compiled(scope: Scope, pattern: str) -> Searcher:
    """Compile a pattern that is computed, and pay for it."""
    scope.spend(_COMPILE)
    try:
        compiled = searcher(pattern)
    except EvaluationError:
        scope.spend(_REFUSED)
        raise
    scope.spend(compiled.size * _COMPILE_INSTRUCTION)
    return compiled


def _found(scope: Scope, compiled: Searcher, text: str) -> Iterator[Any]:
    """Iterate over the matches of a pattern, and pay for each."""
    scope.spend(compiled.cost(len(text)) + len(text))
    last = -1
    try:
        for match in compiled.pattern.finditer(text):
            scope.spend(_MATCH + ((len(text) - match.start()) // _PASSED if compiled.far_sighted else 0))
            if match.end() > last:  # RE2 and Go see no empty match right behind another match, Python does
                yield match
            last = match.end()
    except UnicodeEncodeError:
        raise EvaluationError("the text holds half of a surrogate pair", BAD_ARGUMENT) from None


def _group(compiled: Searcher) -> int:
    """Which group of a match is wanted: the only one that the pattern has, or the whole match."""
    if compiled.pattern.groups > 1:
        message = f"the pattern has {compiled.pattern.groups} groups, and one at most can be extracted"
        raise EvaluationError(message, BAD_ARGUMENT)
    return int(compiled.pattern.groups)


@declare(
    "regex.extract(string, string) -> optional<string>",
    doc="Gives the first match of a regular expression, or its group if it has one, as an optional.",
    examples=(
        r"regex.extract('order 17, order 18', '[0-9]+').value() == '17'",
        r"regex.extract('ada@example.com', '@(.*)').value() == 'example.com'",
        r"!regex.extract('none', '[0-9]+').hasValue()",
    ),
    needs_scope=True,
)
def _extract(scope: Scope, text: str, pattern: str) -> Optional:
    compiled = _compiled(scope, pattern)
    group = _group(compiled)
    for match in _found(scope, compiled, text):
        return Optional.of(match.group(group) or "")
    return Optional.NONE


@declare(
    "regex.extractAll(string, string) -> list<string>",
    doc="Gives all matches of a regular expression, or of its group if it has one; empty ones are left out.",
    examples=(
        r"regex.extractAll('order 17, order 18', '[0-9]+') == ['17', '18']",
        r"regex.extractAll('a=1;b=2', '([a-z])=') == ['a', 'b']",
        r"regex.extractAll('none', '[0-9]+') == []",
    ),
    needs_scope=True,
)
def _extract_all(scope: Scope, text: str, pattern: str) -> list[str]:
    compiled = _compiled(scope, pattern)
    group = _group(compiled)
    groups = [match.group(group) for match in _found(scope, compiled, text)]
    return [found for found in groups if found]


@declare(
    "regex.replace(string, string, string) -> string",
    doc="Replaces what matches a regular expression, or only the first so many matches; \\1 stands for a group.",
    examples=(
        r"regex.replace('2026-06-10', '([0-9]+)-([0-9]+)-([0-9]+)', r'\3.\2.\1') == '10.06.2026'",
        r"regex.replace('banana', 'a', 'o', 2) == 'bonona'",
    ),
    needs_scope=True,
)
def _replace(scope: Scope, text: str, pattern: str, replacement: str) -> str:
    return _replace_some(scope, text, pattern, replacement, -1)


@declare("regex.replace(string, string, string, int) -> string", doc="", examples=(), needs_scope=True)
def _replace_some(scope: Scope, text: str, pattern: str, replacement: str, count: int) -> str:
    if count == 0:
        return text
    compiled = _compiled(scope, pattern)
    parts = _replacement(replacement, int(compiled.pattern.groups))
    written: list[str] = []
    position = 0
    for number, match in enumerate(_found(scope, compiled, text)):
        if number == count:
            break
        start, position_after = match.span()
        pieces = [text[position:start], *(part if isinstance(part, str) else match.group(part) or "" for part in parts)]
        scope.make_text(sum(map(len, pieces)))
        written += pieces
        position = position_after
    written.append(text[position:])
    scope.make_text(sum(map(len, written)))
    return "".join(written)


def _replacement(text: str, groups: int) -> list[str | int]:
    """Cut a replacement into texts and numbers of groups."""
    parts: list[str | int] = []
    position = 0
    for found in _REFERENCE.finditer(text):
        parts.append(text[position : found.start()])
        position = found.end()
        if found[1] is None:
            message = f"`{found.group()}` means nothing in a replacement; write \\1 for a group, \\\\ for a backslash"
            raise EvaluationError(message, BAD_ARGUMENT)
        if found[1] == "\\":
            parts.append("\\")
        elif int(found[1]) > groups:
            message = f"the replacement names group {found[1]}, and the pattern has {groups or 'none'}"
            raise EvaluationError(message, BAD_ARGUMENT)
        else:
            parts.append(int(found[1]))
    return [*parts, text[position:]]
