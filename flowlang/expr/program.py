"""Compiled expressions: what they read, and their evaluation. This is what the rest of FlowLang uses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from flowlang.expr import limits
from flowlang.expr.analysis import Reference, analyse
from flowlang.expr.closures import Closure, ClosureCompiler
from flowlang.expr.errors import TOO_DEEP, EvaluationError, ExpressionSyntaxError, Problem
from flowlang.expr.parser import parse
from flowlang.expr.resolve import resolve
from flowlang.expr.scope import NO_PINS, Pins, Scope
from flowlang.expr.syntax import Node


class Expression:
    """A compiled expression; immutable, and safe to use in several threads.

    Args:
        text: The expression, without `${{ }}`.
        root: Its resolved tree.
        slots: How many variables its macros have.
    """

    __slots__ = ("_closure", "_slots", "calls", "paths", "references", "root", "roots", "text")

    def __init__(self, text: str, root: Node, slots: int) -> None:
        reads = analyse(root)
        self.text: str = text
        self.root: Node = root
        self.references: tuple[Reference, ...] = reads.references
        self.paths: frozenset[tuple[str, ...]] = frozenset(reference.path for reference in reads.references)
        self.roots: frozenset[str] = frozenset(path[0] for path in self.paths)
        self.calls: frozenset[str] = reads.calls
        self._slots = slots
        self._closure: Closure = ClosureCompiler().compile(root)

    def evaluate(self, bindings: Mapping[str, object], *, pins: Pins = NO_PINS) -> object:
        """Evaluate the expression.

        Args:
            bindings: Values of the root names; plain JSON values, or views that load on demand.
            pins: What `now()` and `uuid()` answer.

        Returns:
            A value of the language; `to_json` makes plain JSON of it.

        Raises:
            EvaluationError: It has no value for these bindings.
        """
        try:
            return self._closure(Scope(bindings, pins, self._slots))
        except EvaluationError as error:
            raise error.at(0, len(self.text))  # noqa: B904 - the same error
        except RecursionError:
            raise EvaluationError("the data is nested too deeply", TOO_DEEP, 0, len(self.text)) from None

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


@lru_cache(maxsize=limits.CACHE_SIZE)
def compile_expression(text: str) -> Expression:
    """Compile an expression; the same text gives the same object while it is in the cache.

    Args:
        text: The expression, without `${{ }}`.

    Returns:
        The compiled expression.

    Raises:
        ExpressionSyntaxError: The text is no expression; with all problems found.
    """
    try:
        resolved = resolve(parse(text))
        return Expression(text, resolved.root, resolved.slots)
    except RecursionError:
        # The bound on depth leaves room for this, unless the caller's own stack is nearly full.
        raise ExpressionSyntaxError((Problem("the expression is nested too deeply", 0, len(text)),)) from None
