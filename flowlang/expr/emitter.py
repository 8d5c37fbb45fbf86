"""What generating code keeps: the statements so far, names, what is known of parts, and the work to be charged.

Knows no node of the language; those are `codegen`'s, `codegen_numbers`' and `codegen_loops`'.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from flowlang.expr import limits
from flowlang.expr import python_tree as py
from flowlang.expr.fast_paths import IN_LOOP, NEAR, fail
from flowlang.expr.intervals import INT64, Interval
from flowlang.expr.survey import Path

#: Kinds whose Python class is known exactly; `map` and `list` may be views.
BOOL: Final = "bool"
INT: Final = "int"
DOUBLE: Final = "double"
STRING: Final = "string"
LIST: Final = "list"
MAP: Final = "map"
OPTIONAL: Final = "optional"


@dataclass(frozen=True, slots=True)
class Code:
    """Python that gives the value of a part, and what is known of that value.

    Args:
        expr: The Python expression; it stands at one place only, unless it is simple.
        kind: The value's type where it is certain, None where it is not.
        interval: Where it is an int: between which bounds it certainly lies.
    """

    expr: ast.expr
    kind: str | None = None
    interval: Interval = INT64

    @property
    def simple(self) -> bool:
        """Whether it may stand at several places: a variable or a constant."""
        return isinstance(self.expr, ast.Name | ast.Constant)

    @property
    def is_constant(self) -> bool:
        """Whether it is a constant."""
        return isinstance(self.expr, ast.Constant)

    @property
    def value(self) -> Any:
        """The constant's value."""
        assert isinstance(self.expr, ast.Constant)
        return self.expr.value


@dataclass(slots=True)
class Budget:
    """Work of one stretch of code that runs once, or once an element.

    Args:
        units: What it is charged for at most.
        in_loop: Whether it runs once an element.
    """

    units: int = 0
    in_loop: bool = False


@dataclass(slots=True)
class Emitter:
    """State of one generation.

    Args:
        loops: How many loops the expression has.
        shared: Paths that are read more than once and deserve a variable.
    """

    loops: int = 0
    shared: frozenset[Path] = frozenset()
    block: list[ast.stmt] = field(default_factory=list)
    namespace: dict[str, object] = field(default_factory=dict)
    variables: dict[int, Code] = field(default_factory=dict)
    paths: dict[Path, ast.expr] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    needs_scope: bool = False
    counts_work: bool = False
    _names: dict[int, str] = field(default_factory=dict)
    _count: int = 0
    _bounds: list[tuple[ast.Constant, int]] = field(default_factory=list)

    def fresh(self) -> str:
        """Make the name of a new variable."""
        self._count += 1
        return f"v{self._count}"

    def known(self, value: object) -> ast.Name:
        """Name an object that generated code uses, such as a function or a compiled pattern."""
        name = self._names.get(id(value))
        if name is None:
            name = f"k{len(self.namespace)}"
            self._names[id(value)] = name
            self.namespace[name] = value
        return py.name(name)

    def failure(self) -> ast.expr:
        """An expression that leaves the evaluation to the closure tier."""
        return py.call(self.known(fail))

    def guarded(self, conditions: list[ast.expr], value: ast.expr) -> ast.expr:
        """The value where all conditions hold, else the closure tier's answer."""
        return py.choose(py.every(conditions), value, self.failure()) if conditions else value

    def twice(self, code: Code) -> tuple[ast.expr, ast.expr]:
        """Make an expression for the first use of a value, and one for all uses after that."""
        if code.simple:
            return code.expr, code.expr
        variable = self.fresh()
        return py.walrus(variable, code.expr), py.name(variable)

    def kept(self, code: Code) -> Code:
        """Compute a value now, by a statement, unless it is simple."""
        if code.simple:
            return code
        variable = self.fresh()
        self.block.append(py.assign(variable, code.expr))
        return Code(py.name(variable), code.kind, code.interval)

    @contextmanager
    def branch(self) -> Iterator[list[ast.stmt]]:
        """Collect the statements of code that may not run; what it has read is not known behind it."""
        outer, paths = self.block, self.paths
        self.block, self.paths = [], dict(paths)
        try:
            yield self.block
        finally:
            self.block, self.paths = outer, paths

    @contextmanager
    def loop(self, units: int) -> Iterator[Budget]:
        """Count the work of code that runs once an element; `units` is what its nodes cost."""
        outer, self.budget = self.budget, Budget(units, in_loop=True)
        try:
            yield self.budget
        finally:
            self.budget = outer

    def charge(self, units: int) -> None:
        """Charge the stretch of code that is being made."""
        self.budget.units += units

    @property
    def longest_text(self) -> int:
        """The longest text that code at this place reads without asking the closure tier."""
        return IN_LOOP if self.budget.in_loop else NEAR

    def enter_loop(self, size: ast.expr, units: int) -> None:
        """Charge a loop before it begins.

        Args:
            size: How many elements it has.
            units: What one of them costs.
        """
        if self.needs_scope:
            spend = py.attribute(py.name("scope"), "spend")
            self.block.append(py.statement(py.call(spend, py.arithmetic(size, "*", py.constant(units)))))
        elif self.loops == 1:
            # The only loop: its bound is a constant, known when everything outside it has been charged.
            bound = py.constant(0)
            self._bounds.append((bound, units))
            self.block.append(py.when(py.compare(size, ">", bound), [py.statement(self.failure())]))
        else:
            self.counts_work = True
            self.block.append(py.decrease("work", py.arithmetic(size, "*", py.constant(units))))
            spent = py.compare(py.name("work"), "<", py.constant(0))
            self.block.append(py.when(spent, [py.statement(self.failure())]))

    def beginning(self, make_scope: object, slots: int) -> list[ast.stmt]:
        """Make the statements before everything else, when all charges are known.

        Args:
            make_scope: The class of scopes.
            slots: How many variables the expression's macros have.

        Returns:
            None, one or two statements.
        """
        left = limits.MAX_WORK - self.budget.units
        for bound, units in self._bounds:
            bound.value = left // units
        if self.needs_scope:
            scope = py.call(self.known(make_scope), py.name("bindings"), py.name("pins"), py.constant(slots))
            spend = py.call(py.attribute(py.name("scope"), "spend"), py.constant(self.budget.units))
            return [py.assign("scope", scope), *([py.statement(spend)] if self.budget.units else [])]
        return [py.assign("work", py.constant(left))] if self.counts_work else []
