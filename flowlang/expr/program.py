"""Compiled expressions: what they read, and their evaluation in two tiers. This is what the rest of FlowLang uses.

An expression begins in the closure tier, which is ready at once. One that is evaluated often is generated as Python
(`codegen`), which takes longer to make and is several times faster. Both mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from flowlang.expr import limits
from flowlang.expr.analysis import Reference, analyse
from flowlang.expr.closures import Closure, ClosureCompiler
from flowlang.expr.errors import OUT_OF_RANGE, TOO_DEEP, EvaluationError, ExpressionSyntaxError, Problem
from flowlang.expr.parser import parse
from flowlang.expr.resolve import resolve
from flowlang.expr.scope import NO_PINS, Pins, Scope
from flowlang.expr.syntax import Node

if TYPE_CHECKING:
    from flowlang.expr.types import Type

#: Evaluations in the closure tier before code is generated. Generating costs about as much as it saves in 150.
EVALUATIONS_BEFORE_GENERATION: Final = 100


class Evaluate(Protocol):
    """Evaluates an expression."""

    def __call__(self, bindings: Mapping[str, object], pins: Pins = NO_PINS) -> Any:
        """Evaluate the expression.

        Args:
            bindings: Values of the root names; plain JSON values, or views that load on demand.
            pins: What `now()` and `uuid()` answer.

        Returns:
            A value of the language; `to_json` makes plain JSON of it.

        Raises:
            EvaluationError: It has no value for these bindings.
        """


class Expression:
    """A compiled expression, safe to use in several threads.

    Args:
        text: The expression, without `${{ }}`.
        root: Its resolved tree.
        slots: How many variables its macros have.

    Attributes:
        evaluate: Evaluates it, in the tier that it has reached; see `Evaluate`.
    """

    __slots__ = ("_closure", "_left", "_slots", "calls", "evaluate", "paths", "references", "root", "roots", "text")

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
        self._left = EVALUATIONS_BEFORE_GENERATION
        self.evaluate: Evaluate = self._counted

    def exactly(self, bindings: Mapping[str, object], pins: Pins = NO_PINS) -> Any:
        """Evaluate in the closure tier, whatever tier the expression has reached; like `evaluate` otherwise."""
        try:
            return self._closure(Scope(bindings, pins, self._slots))
        except EvaluationError as error:
            raise error.at(0, len(self.text))  # noqa: B904 - the same error
        except RecursionError:
            raise EvaluationError("the data is nested too deeply", TOO_DEEP, 0, len(self.text)) from None
        except (OverflowError, ValueError) as error:
            if error.__class__ is ValueError and "int_max_str_digits" not in str(error):
                raise
            # Python neither writes numbers of thousands of digits nor makes doubles of them.
            message = "a number in the data does not fit 64 bits"
            raise EvaluationError(message, OUT_OF_RANGE, 0, len(self.text)) from None

    def optimise(self) -> None:
        """Generate code at once, as a worker does when it starts; without effect where that is not possible."""
        # Threads that do this at the same time make the same function, and either may stay.
        self.evaluate = self.specialise(None)

    def specialise(self, types: Mapping[Node, Type] | None) -> Evaluate:
        """Generate code that is faster on data of known types.

        Args:
            types: Of the nodes of `root`, as `check_expression` gives them for an environment; None: nothing is known.

        Returns:
            Evaluates the expression like `evaluate`. With types it is only right for data that has been validated
            against the schemas that they come from; where code cannot be generated it is the closure tier.
        """
        from flowlang.expr.codegen import generate  # noqa: PLC0415 - a command that evaluates nothing must not load it

        return generate(self.root, self._slots, self.exactly, types=types) or self.exactly

    def _counted(self, bindings: Mapping[str, object], pins: Pins = NO_PINS) -> Any:
        self._left -= 1
        if self._left <= 0:
            self.optimise()
        return self.exactly(bindings, pins)

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
