"""Code for macros: comprehensions where the body is an expression, `for` where it needs statements."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flowlang.expr import fast_paths
from flowlang.expr import python_tree as py
from flowlang.expr.costs import loop_cost
from flowlang.expr.emitter import BOOL, INT, LIST, MAP, Code
from flowlang.expr.intervals import SIZES
from flowlang.expr.operators import make_map
from flowlang.expr.syntax import Comprehension, Loop

if TYPE_CHECKING:
    from flowlang.expr.codegen import Generator

_LISTS: Final = frozenset({Loop.MAP, Loop.FILTER, Loop.TRANSFORM_LIST})


def comprehension(generator: Generator, node: Comprehension) -> Code:
    """Make the code of a macro.

    Args:
        generator: Makes its parts.
        node: The macro.

    Returns:
        Its code; the loop itself may be among the statements.
    """
    if node.loop in {Loop.SORT_BY, Loop.TRANSFORM_MAP_ENTRY}:
        return generator.left_alone(node)
    return _Macro(generator, node).code()


class _Macro:
    def __init__(self, generator: Generator, node: Comprehension) -> None:
        self._generator = generator
        self._emitter = generator.emitter
        self._node = node
        self._names = [self._emitter.fresh() for _ in node.variables]

    def code(self) -> Code:
        source = self._source()
        place = len(self._emitter.block)
        size = py.call(self._emitter.known(len), source)
        elements = source if len(self._names) == 1 else self._pairs(source)
        with self._emitter.loop(loop_cost(self._node)) as budget, self._emitter.branch() as body:
            where = None if self._node.where is None else self._condition_of(self._node.where)
            if where is not None and body:
                where = self._kept_condition(where)
            before = len(body)
            element = self._generator.emit(self._node.body)
            if self._node.loop in {Loop.ALL, Loop.EXISTS, Loop.EXISTS_ONE, Loop.FILTER}:
                element = Code(self._generator.condition(element), BOOL)
        # What an element costs is known only now, and must be paid before the first.
        behind = self._emitter.block[place:]
        del self._emitter.block[place:]
        self._emitter.enter_loop(size, budget.units)
        self._emitter.block += behind
        if self._node.loop in {Loop.ALL, Loop.EXISTS}:
            return self._quantified(elements, body, element.expr)
        if self._node.loop is Loop.EXISTS_ONE:
            return self._counted(elements, body, element.expr)
        return self._collected(elements, where, body, before, element)

    def _source(self) -> ast.expr:
        """Compute what is gone over, and make sure that it is a list or a map."""
        code = self._generator.emit(self._node.range)
        kept = self._emitter.kept(code)
        source = kept.expr
        if isinstance(source, ast.Constant):
            variable = self._emitter.fresh()
            self._emitter.block.append(py.assign(variable, source))
            source = py.name(variable)
        if code.kind not in {LIST, MAP} and len(self._names) == 1:
            is_list = self._generator.is_class(source, list)
            check = py.statement(py.call(self._emitter.known(fast_paths.ranged), source))
            self._emitter.block.append(py.when(py.negation(is_list), [check]))
        self._declare(code)
        return source

    def _declare(self, source: Code) -> None:
        """Make the variables known; the first of two is a position in lists and a key in maps."""
        from_data = self._generator.is_data(self._node.range)
        for slot, name in zip(self._node.variables, self._names, strict=True):
            self._emitter.variables[slot] = Code(py.name(name))
            self._generator.from_data[slot] = from_data
        if len(self._names) == 2 and source.kind == LIST:
            position = self._emitter.variables[self._node.variables[0]]
            self._emitter.variables[self._node.variables[0]] = replace(position, kind=INT, interval=SIZES)

    def _pairs(self, source: ast.expr) -> ast.expr:
        return py.call(self._emitter.known(fast_paths.pairs), source)

    def _condition_of(self, node: object) -> ast.expr:
        assert self._node.where is node
        return self._generator.condition(self._generator.emit(self._node.where))  # type: ignore[arg-type]

    def _kept_condition(self, condition: ast.expr) -> ast.expr:
        return self._emitter.kept(Code(condition, BOOL)).expr

    def _quantified(self, elements: ast.expr, body: list[ast.stmt], condition: ast.expr) -> Code:
        decisive = self._node.loop is Loop.EXISTS
        result = self._emitter.fresh()
        stop = [py.assign(result, py.constant(decisive)), py.leave()]
        body.append(py.when(condition if decisive else py.negation(condition), stop))
        self._emitter.block.append(py.assign(result, py.constant(not decisive)))
        self._emitter.block.append(py.loop(self._names, elements, body))
        return Code(py.name(result), BOOL)

    def _counted(self, elements: ast.expr, body: list[ast.stmt], condition: ast.expr) -> Code:
        count = self._emitter.fresh()
        more = py.assign(count, py.arithmetic(py.name(count), "+", py.constant(1)))
        body.append(py.when(condition, [more]))
        self._emitter.block.append(py.assign(count, py.constant(0)))
        self._emitter.block.append(py.loop(self._names, elements, body))
        return Code(py.compare(py.name(count), "==", py.constant(1)), BOOL)

    def _collected(
        self, elements: ast.expr, where: ast.expr | None, body: list[ast.stmt], before: int, element: Code
    ) -> Code:
        """Collect what the body gives: a list, or the entries of a map."""
        value = element.expr
        if self._node.loop is Loop.FILTER:
            where, value = element.expr, py.name(self._names[0])
        elif self._node.loop is Loop.TRANSFORM_MAP:
            value = py.tuple_of([py.name(self._names[0]), value])
        if not body:
            collected: ast.expr = py.list_comprehension(value, self._names, elements, where)
        else:
            collected = self._appended(elements, where, body, before, value)
        if self._node.loop is Loop.TRANSFORM_MAP:
            return Code(py.call(self._emitter.known(make_map), collected), MAP)
        return Code(collected, LIST)

    def _appended(
        self, elements: ast.expr, where: ast.expr | None, body: list[ast.stmt], before: int, value: ast.expr
    ) -> ast.expr:
        result = self._emitter.fresh()
        append = py.statement(py.call(py.attribute(py.name(result), "append"), value))
        if self._node.loop is Loop.FILTER or where is None:
            rest = body
            statements = [*rest, append if where is None else py.when(where, [append])]
        else:
            statements = [*body[:before], py.when(where, [*body[before:], append])]
        self._emitter.block.append(py.assign(result, py.list_of([])))
        self._emitter.block.append(py.loop(self._names, elements, statements))
        return py.name(result)
