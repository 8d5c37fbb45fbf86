"""Code for arithmetic and comparisons: the operators where Python's numbers are not the language's.

A tree of arithmetic operators has one type, since the language mixes none: what is known of one operand holds for all.
Integers are guarded once an operand, by an interval so narrow that no intermediate result can leave 64 bits.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowlang.expr import fast_paths
from flowlang.expr import python_tree as py
from flowlang.expr.closures import apply_operator
from flowlang.expr.costs import JOINED
from flowlang.expr.emitter import BOOL, DOUBLE, INT, LIST, STRING, Code
from flowlang.expr.intervals import INT64, Interval, combine, widest_bound
from flowlang.expr.operators import divide, modulo
from flowlang.expr.syntax import Binary, Node, Unary
from flowlang.expr.values import INT_MAX, INT_MIN

if TYPE_CHECKING:
    from flowlang.expr.codegen import Generator

_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%"})
#: Python compares ints up to this size several times faster than larger ones.
_DIGIT: Final = 2**30 - 1
#: Operands are not confined to less than this; results are checked instead.
_LEAST_BOUND: Final = 2**31 - 1
#: Beyond this an int is not exactly a double, and the language compares the two as doubles.
_EXACT: Final = 2**53


def arithmetic(generator: Generator, node: Binary | Unary) -> Code:
    """Make the code of an arithmetic operator, together with those directly below it.

    Args:
        generator: Makes the operands.
        node: `+ - * / %`, or unary `-`.

    Returns:
        Its code.
    """
    leaves: list[Node] = []
    operators: set[str] = set()
    tree = _tree(generator, node, leaves, operators)
    codes = generator.together(leaves)
    known = {code.kind for code in codes} - {None}
    if known == {STRING}:
        return _text(generator, tree, codes) if operators == {"+"} else _never(generator)
    if known == {INT} or (not known and "%" in operators):
        return _Ints(generator, tree, codes).code()
    if known == {DOUBLE}:
        return _doubles(generator, tree, codes) if "%" not in operators else _never(generator)
    if not known:
        return _unknown(generator, tree, codes, operators)
    if known <= {"timestamp", "duration"} or (len(known) == 1 and known <= {LIST, "bytes", "uint"}):
        return _by_closures(generator, tree, codes)
    return _never(generator)


def _never(generator: Generator) -> Code:
    """An expression whose operands do not fit: the closure tier says so."""
    return Code(generator.emitter.failure())


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operator in a tree; its operands are operations or numbers of leaves. `right` is None for unary minus."""

    node: Binary | Unary
    left: _Operation | int
    right: _Operation | int | None


_Tree = _Operation | int


def _tree(generator: Generator, node: Node, leaves: list[Node], operators: set[str]) -> _Tree:
    if generator.constant(node) is None:
        if isinstance(node, Binary) and node.operator in _ARITHMETIC:
            operators.add(node.operator)
            left = _tree(generator, node.left, leaves, operators)
            return _Operation(node, left, _tree(generator, node.right, leaves, operators))
        if isinstance(node, Unary) and node.operator == "-":
            operators.add("-")
            return _Operation(node, _tree(generator, node.operand, leaves, operators), None)
    leaves.append(node)
    return len(leaves) - 1


def _plain(tree: _Tree, leaves: list[ast.expr]) -> ast.expr:
    """Write the operators as Python's own."""
    if isinstance(tree, int):
        return leaves[tree]
    left = _plain(tree.left, leaves)
    if tree.right is None:
        return py.negative(left)
    return py.arithmetic(left, tree.node.operator, _plain(tree.right, leaves))


def _operations(tree: _Tree) -> int:
    if isinstance(tree, int):
        return 0
    return 1 + _operations(tree.left) + (0 if tree.right is None else _operations(tree.right))


# Texts and doubles ---------------------------------------------------------------------------------------------------


def _text(generator: Generator, tree: _Tree, codes: list[Code]) -> Code:
    """Join texts: one operand is certainly a text, so Python refuses all others that are none."""
    return _short(generator, _plain(tree, [code.expr for code in codes]), _operations(tree))


def _short(generator: Generator, joined: ast.expr, operations: int) -> Code:
    """Hold a text to what has been charged for it."""
    emitter = generator.emitter
    first, again = emitter.twice(Code(joined))
    size = py.call(emitter.known(len), first)
    if not emitter.budget.in_loop:
        emitter.charge(operations * (fast_paths.NEAR + JOINED))
        guard: ast.expr = py.compare(size, "<=", py.constant(fast_paths.NEAR))
    else:
        # A unit pays for one character of any kind, or for four of ASCII.
        emitter.charge(operations * (fast_paths.MADE_IN_LOOP + JOINED))
        ascii_only = py.call(py.attribute(again, "isascii"))
        longer = py.compare(py.call(emitter.known(len), again), "<=", py.constant(4 * fast_paths.MADE_IN_LOOP))
        short = py.compare(size, "<=", py.constant(fast_paths.MADE_IN_LOOP))
        guard = py.either([short, py.every([longer, ascii_only])])
    return Code(emitter.guarded([guard], again), STRING)


def _doubles(generator: Generator, tree: _Tree, codes: list[Code]) -> Code:
    """Calculate with doubles: Python raises for a division by zero, and agrees on everything else."""
    guards, leaves = _class_guards(generator, codes, float, DOUBLE)
    return Code(generator.emitter.guarded(guards, _plain(tree, leaves)), DOUBLE)


def _class_guards(
    generator: Generator, codes: list[Code], python_class: type, kind: str
) -> tuple[list[ast.expr], list[ast.expr]]:
    """Guard the operands that are not known to be of a class; all are evaluated in their order."""
    guards: list[ast.expr] = []
    leaves: list[ast.expr] = []
    needed = any(code.kind != kind for code in codes)
    for code in codes:
        if not needed or code.is_constant:
            leaves.append(code.expr)
            continue
        first, again = generator.emitter.twice(code)
        leaves.append(again)
        if code.kind != kind:
            guards.append(generator.is_class(first, python_class))
        elif first is not again:
            guards.append(_evaluated(first))
    return guards, leaves


def _evaluated(first: ast.expr) -> ast.expr:
    """A condition that is always true: it only computes a number where the order asks for it."""
    return py.compare(first, "is not", py.constant(None))


# Integers ------------------------------------------------------------------------------------------------------------


class _Ints:
    """Calculates with ints: guards for the operands, truncating division, checks where operands may be large."""

    def __init__(self, generator: Generator, tree: _Tree, codes: list[Code]) -> None:
        self._generator = generator
        self._emitter = generator.emitter
        self._tree = tree
        self._codes = codes

    def code(self) -> Code:
        bound = widest_bound(self._stays_within)
        # Where operands would have to be small, they need not be: the results are checked instead.
        widest = Interval(-bound, bound) if bound is not None and bound >= _LEAST_BOUND else INT64
        guards: list[ast.expr] = []
        leaves: list[Code] = []
        guarded: set[str] = set()
        needed = any(not self._is_fine(code, widest) for code in self._codes)
        for code in self._codes:
            if not needed or code.is_constant:
                leaves.append(code)
                continue
            first, again = self._emitter.twice(code)
            fine = self._is_fine(code, widest)
            leaves.append(Code(again, INT, code.interval if fine else widest))
            name = again.id if isinstance(again, ast.Name) else ""
            if fine:
                guards += [] if first is again else [_evaluated(first)]
            elif name not in guarded:
                guards += self._guard(code, first, again, widest)
            guarded.add(name)
        expr, interval = self._build(self._tree, leaves)
        return Code(self._emitter.guarded(guards, expr), INT, interval)

    def _is_fine(self, code: Code, widest: Interval) -> bool:
        return code.kind == INT and (code.is_constant or code.interval.within(widest))

    def _guard(self, code: Code, first: ast.expr, again: ast.expr, widest: Interval) -> list[ast.expr]:
        guards = []
        if code.kind != INT:
            guards.append(self._generator.is_class(first, int))
            first = again
        low, high = py.constant(widest.low), py.constant(widest.high)
        small = py.compare(py.constant(-_DIGIT), "<=", first, "<=", py.constant(_DIGIT))
        guards.append(py.either([small, py.compare(low, "<=", again, "<=", high)]))
        return guards

    def _stays_within(self, bound: int) -> bool:
        widest = Interval(-bound, bound)
        return self._interval(self._tree, widest).fits

    def _interval(self, tree: _Tree, widest: Interval) -> Interval:
        """Bound a part; one that does not fit makes the whole not fit."""
        if isinstance(tree, int):
            code = self._codes[tree]
            return code.interval if self._is_fine(code, widest) else widest
        left = self._interval(tree.left, widest)
        right = Interval(0, 0) if tree.right is None else self._interval(tree.right, widest)
        if not (left.fits and right.fits):
            return left if not left.fits else right
        return combine("-", right, left) if tree.right is None else combine(tree.node.operator, left, right)

    def _build(self, tree: _Tree, leaves: list[Code]) -> tuple[ast.expr, Interval]:
        if isinstance(tree, int):
            return leaves[tree].expr, leaves[tree].interval
        left, left_interval = self._build(tree.left, leaves)
        if tree.right is None:
            return self._checked(py.negative(left), combine("-", Interval(0, 0), left_interval))
        right, right_interval = self._build(tree.right, leaves)
        operator = tree.node.operator
        interval = combine(operator, left_interval, right_interval)
        if operator in {"/", "%"}:
            expr = self._divided(operator, left, left_interval, right, right_interval)
            return expr, Interval(max(interval.low, INT_MIN), min(interval.high, INT_MAX))
        return self._checked(py.arithmetic(left, operator, right), interval)

    def _checked(self, expr: ast.expr, interval: Interval) -> tuple[ast.expr, Interval]:
        if interval.fits:
            return expr, interval
        first, again = self._emitter.twice(Code(expr))
        fits = py.compare(py.constant(INT_MIN), "<=", first, "<=", py.constant(INT_MAX))
        return self._emitter.guarded([fits], again), INT64

    def _divided(
        self, operator: str, left: ast.expr, left_interval: Interval, right: ast.expr, right_interval: Interval
    ) -> ast.expr:
        """Divide towards zero; Python divides downwards, which is the same where nothing is negative."""
        if right_interval.low <= 0:
            # Zero, or a sign of its own: the operator itself knows.
            return py.call(self._emitter.known(divide if operator == "/" else modulo), left, right)
        python = "//" if operator == "/" else "%"
        if left_interval.low >= 0:
            return py.arithmetic(left, python, right)
        first, again = self._emitter.twice(Code(left))
        if not isinstance(right, ast.Constant | ast.Name):
            return py.call(self._emitter.known(divide if operator == "/" else modulo), left, right)
        mirrored = py.negative(py.arithmetic(py.negative(again), python, right))
        return py.choose(py.compare(first, ">=", py.constant(0)), py.arithmetic(again, python, right), mirrored)


# Operands of which nothing is known ----------------------------------------------------------------------------------


def _unknown(generator: Generator, tree: _Tree, codes: list[Code], operators: set[str]) -> Code:
    """Calculate with whatever the first operand is: a double, an int or a text."""
    emitter = generator.emitter
    first, again = emitter.twice(codes[0])
    head = Code(again)
    doubles = _doubles(generator, tree, [Code(again, DOUBLE), *codes[1:]])
    ints = _Ints(generator, tree, [head, *codes[1:]]).code()
    otherwise = ints.expr
    if operators == {"+"}:
        texts = _short(generator, _plain(tree, [again, *(code.expr for code in codes[1:])]), _operations(tree))
        otherwise = py.choose(generator.is_class(again, str), texts.expr, otherwise)
    return Code(py.choose(generator.is_class(first, float), doubles.expr, otherwise))


def _by_closures(generator: Generator, tree: _Tree, codes: list[Code]) -> Code:
    """Apply each operator as the closure tier does: to lists, octets, unsigned numbers."""
    generator.emitter.needs_scope = True

    def build(part: _Tree) -> ast.expr:
        if isinstance(part, int):
            return codes[part].expr
        left = build(part.left)
        right = [] if part.right is None else [build(part.right)]
        apply = generator.emitter.known(apply_operator(part.node))
        return py.call(apply, py.name("scope"), left, *right)

    return Code(build(tree))


# Comparisons ---------------------------------------------------------------------------------------------------------


def comparison(generator: Generator, node: Binary) -> Code:
    """Make the code of `== != < <= > >=`.

    Args:
        generator: Makes the operands.
        node: The comparison.

    Returns:
        Its code, a bool.
    """
    left, right = generator.together([node.left, node.right])
    operator, value, constant = node.operator, left, right
    if left.is_constant:
        operator, value, constant = _MIRRORED[operator], right, left
    if value.is_constant and constant.is_constant:
        # Part of a constant that fails as a whole; Python warns of comparisons of literals.
        return _never(generator)
    if constant.is_constant:
        make = _equal_to_constant if operator in {"==", "!="} else _order_to_constant
        found = make(generator, operator, value, constant)
        if found is not None:
            return Code(found, BOOL)
    known = {left.kind, right.kind}
    if len(known) == 1 and known <= {INT, DOUBLE}:
        return Code(py.compare(left.expr, node.operator, right.expr), BOOL)
    if known <= {None, INT, DOUBLE, BOOL, STRING, "null"}:
        helper = generator.emitter.known(fast_paths.COMPARISONS[node.operator])
        return Code(py.call(helper, left.expr, right.expr), BOOL)
    generator.emitter.needs_scope = True
    apply = generator.emitter.known(apply_operator(node))
    return Code(py.call(apply, py.name("scope"), left.expr, right.expr), BOOL)


_MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _equal_to_constant(generator: Generator, operator: str, code: Code, constant: Code) -> ast.expr | None:
    value = constant.value
    same = operator == "=="
    if value is None:
        return py.compare(code.expr, "is" if same else "is not", constant.expr)
    if value.__class__ is bool:
        if code.kind == BOOL:
            return code.expr if value is same else py.negation(code.expr)
        return py.compare(code.expr, "is" if same else "is not", constant.expr)
    if value.__class__ is str or value.__class__ is bytes:
        generator.emitter.charge(len(value) >> 6)
        return py.compare(code.expr, operator, constant.expr)
    if abs(value) >= _EXACT and code.kind != constant.kind:
        return None
    if value not in {0, 1} or code.kind not in {None, BOOL}:
        return py.compare(code.expr, operator, constant.expr)
    # Python takes True for 1 and False for 0.
    first, again = generator.emitter.twice(code)
    lookalike = py.constant(bool(value))
    equal = py.compare(first, operator, constant.expr)
    if same:
        return py.every([equal, py.compare(again, "is not", lookalike)])
    return py.either([equal, py.compare(again, "is", lookalike)])


def _order_to_constant(generator: Generator, operator: str, code: Code, constant: Code) -> ast.expr | None:
    if constant.kind == STRING:
        # Python orders a text with a text only, by code points as the language does.
        generator.emitter.charge(len(constant.value) >> 6)
        return py.compare(code.expr, operator, constant.expr)
    if constant.kind not in {INT, DOUBLE} or abs(constant.value) >= _EXACT:
        return None
    if code.kind in {INT, DOUBLE}:
        return py.compare(code.expr, operator, constant.expr)
    return _order_by_number(generator, operator, code, constant) if code.kind is None else generator.emitter.failure()


def _order_by_number(generator: Generator, operator: str, code: Code, constant: Code) -> ast.expr:
    """Compare with a number, which Python does for bools as well: they have the answer of 0 or 1."""
    first, again = generator.emitter.twice(code)
    compared = py.compare(first, operator, constant.expr)
    answers = {_COMPARE[operator](number, constant.value) for number in (0, 1)}
    is_bool = py.either(
        [py.compare(again, "is", py.constant(value=True)), py.compare(again, "is", py.constant(value=False))]
    )
    refused = py.every([is_bool, generator.emitter.failure()])
    if answers == {False}:
        return py.either([compared, refused])
    if answers == {True}:
        return py.every([compared, py.either([py.negation(is_bool), generator.emitter.failure()])])
    not_bool = py.compare(py.attribute(first, "__class__"), "is not", generator.emitter.known(bool))
    return generator.emitter.guarded([not_bool], py.compare(again, operator, constant.expr))


_COMPARE: Final = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
