"""The second tier: turns a resolved tree into a Python function, by building Python's own syntax tree.

It is optimistic. The whole body stands in one `try`, and any exception starts the closure tier, which gives the value
or the error with its place. The language has no side effects, so this is sound; `uuid()` counts its answers, so
expressions that call it are not generated. Generated code may raise too often, it may never answer differently: where
Python means something else than the language (`True == 1`, `"a" in "ab"`, `[-1]`), a guard stands before it. And
whenever it succeeds, the closure tier would have stayed within its bound on work: all work is charged, some of it at
its maximum, before it is done.

With types, the guards go that a type makes superfluous. Such code is only right for data that was validated against the
schema that the types come from, numbers converted as `engine.schemas` does.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, Final

from flowlang.expr import codegen_loops, codegen_numbers, codegen_times, costs, fast_paths, registry
from flowlang.expr import python_tree as py
from flowlang.expr.closures import ClosureCompiler, call_function
from flowlang.expr.codegen_calls import INLINED
from flowlang.expr.emitter import BOOL, DOUBLE, INT, LIST, MAP, OPTIONAL, STRING, Code, Emitter
from flowlang.expr.intervals import Interval
from flowlang.expr.operators import PLAIN, has_field, make_map, select_optional
from flowlang.expr.scope import NO_PINS, Scope
from flowlang.expr.survey import Folded, Survey, selected
from flowlang.expr.syntax import (
    Binary,
    Bind,
    Call,
    Comprehension,
    Conditional,
    Element,
    Entry,
    Has,
    Index,
    ListNode,
    Literal,
    Local,
    Logic,
    Loop,
    MapNode,
    Name,
    Node,
    OptionalMap,
    Select,
    TypeName,
    Unary,
    walk,
)
from flowlang.expr.times import Duration, Timestamp
from flowlang.expr.types import ListOf, MapOf, ObjectOf, OptionalOf, Scalar, Type
from flowlang.expr.values import INT_MAX, INT_MIN, TypeValue, UInt

#: Larger trees stay with closures: their code would take long to generate.
MAX_NODES: Final = 600
#: A constant part that takes more work than this is left to be evaluated each time.
_FOLDED_WORK: Final = 2_000
#: Functions whose answer is not the same each time.
_IMPURE: Final = frozenset({"now", "uuid"})
_FOLDABLE: Final = (
    Literal,
    TypeName,
    Select,
    Index,
    Call,
    ListNode,
    MapNode,
    Element,
    Entry,
    Unary,
    Binary,
    Logic,
    Conditional,
)
_RESULTS: Final = {"bool": BOOL, "int": INT, "double": DOUBLE, "string": STRING}

Evaluate = Callable[..., Any]


def generate(root: Node, slots: int, exact: Evaluate, *, types: Mapping[Node, Type] | None = None) -> Evaluate | None:
    """Generate the function of an expression.

    Args:
        root: Its resolved tree.
        slots: How many variables its macros have.
        exact: Evaluates it in the closure tier, from bindings and pins.
        types: Of its nodes, as the checker deduced them; the function is then only for data of these types.

    Returns:
        Takes bindings and pins; None where the closure tier is to be kept.
    """
    survey = Survey(root)
    if len(survey.nodes) > MAX_NODES or any(isinstance(node, Call) and node.name == "uuid" for node in survey.nodes):
        return None
    try:
        generator = Generator(survey, types or {}, needs_scope=False)
        body = generator.body(root, slots)
        if generator.emitter.needs_scope:
            # Only now it is known that work is counted in a scope, and loops must count there too.
            generator = Generator(survey, types or {}, needs_scope=True)
            body = generator.body(root, slots)
        return _compile(generator.emitter, body, exact)
    except RecursionError:
        return None


def _compile(emitter: Emitter, body: list[ast.stmt], exact: Evaluate) -> Evaluate:
    attempt = py.attempt(body, emitter.known(Exception))
    again = py.give(py.call(emitter.known(exact), py.name("bindings"), py.name("pins")))
    default = emitter.known(NO_PINS)
    module = py.function("evaluate", ("bindings", "pins"), (default,), [attempt, again])
    namespace: dict[str, Any] = {**emitter.namespace, "__builtins__": {}, "__name__": "flowlang.expr.generated"}
    exec(compile(module, "<expression>", "exec"), namespace)  # noqa: S102 - a tree of our own; users' text is constants
    function: Evaluate = namespace["evaluate"]
    return function


class Generator:
    """Makes the code of one tree, node by node.

    Args:
        survey: What is known of the tree.
        types: Of its nodes, where known.
        needs_scope: Whether work is counted in a scope from the beginning.
    """

    def __init__(self, survey: Survey, types: Mapping[Node, Type], *, needs_scope: bool) -> None:
        self._types = types
        self._paths = survey.paths
        self.from_data: dict[int, bool] = {}
        self.folded: dict[Node, Folded] = survey.folded
        self.emitter = Emitter(
            loops=sum(isinstance(node, Comprehension) for node in survey.nodes),
            shared=survey.shared,
            needs_scope=needs_scope,
        )

    def body(self, root: Node, slots: int) -> list[ast.stmt]:
        """Make the statements of the function."""
        code = self.emit(root)
        statements = [*self.emitter.block, py.give(code.expr)]
        return [*self.emitter.beginning(Scope, slots), *statements]

    def emit(self, node: Node) -> Code:
        """Make the code of a part; what it needs beforehand becomes statements.

        Args:
            node: The part.

        Returns:
            Its expression, to be evaluated exactly once, in the order in which parts were emitted.
        """
        folded = self.constant(node)
        if folded is not None:
            self.emitter.charge(folded.units)
            return self._constant(folded.value)
        match node:
            case Literal():
                return self._constant(node.value)
            case TypeName():
                return Code(self.emitter.known(TypeValue(node.name)), "type")
            case Name():
                return self._path(node)
            case Local():
                return self._local(node)
            case Select():
                return self._select(node)
            case Has():
                return self._has(node)
            case Index():
                return self._index(node)
            case Call():
                return self._call(node)
            case ListNode():
                return self._list(node)
            case MapNode():
                return self._map(node)
            case Unary():
                return self._not(node) if node.operator == "!" else codegen_numbers.arithmetic(self, node)
            case Binary():
                return self._binary(node)
            case Logic():
                return self._logic(node)
            case Conditional():
                return self._conditional(node)
            case Comprehension():
                return codegen_loops.comprehension(self, node)
            case Bind():
                return self._bind(node)
            case OptionalMap():
                return self.left_alone(node)
            case _:
                raise AssertionError(f"{node.__class__.__name__} is no node of a resolved tree")

    def constant(self, node: Node) -> Folded | None:
        """Find the value of a part that is always the same and may be shared: no list and no map."""
        folded = self.folded.get(node)
        return folded if folded is not None and folded.value.__class__ in _CONSTANTS else None

    # What is shared by everything ------------------------------------------------------------------------------------

    def together(self, nodes: list[Node]) -> list[Code]:
        """Emit parts that are all evaluated, in their order.

        Where a later part needs statements, the earlier ones are computed before them: their variables may be read.
        """
        block = self.emitter.block
        codes: list[Code] = []
        waiting = 0
        for node in nodes:
            before = len(block)
            code = self.emit(node)
            if len(block) > before:
                behind = block[before:]
                del block[before:]
                codes[waiting:] = [self.emitter.kept(earlier) for earlier in codes[waiting:]]
                block += behind
                waiting = len(codes)
            codes.append(code)
        return codes

    def condition(self, code: Code) -> ast.expr:
        """Make an expression that is True or False: what is no bool is left to the closure tier."""
        if code.kind == BOOL:
            return code.expr
        if code.kind is not None:
            return self.emitter.failure()
        first, again = self.emitter.twice(code)
        refused = py.every([py.compare(again, "is not", py.constant(value=False)), self.emitter.failure()])
        return py.either([py.compare(first, "is", py.constant(value=True)), refused])

    def kind(self, node: Node) -> str | None:
        """Tell the kind of a part by its type, where there are types."""
        type_ = self._types.get(node)
        if isinstance(type_, Scalar):
            return None if type_.kind in {"dyn", "error"} else type_.kind
        if isinstance(type_, ListOf):
            return LIST
        if isinstance(type_, MapOf | ObjectOf):
            return MAP
        return OPTIONAL if isinstance(type_, OptionalOf) else None

    def is_data(self, node: Node) -> bool:
        """Whether a part gives a value as the data has it, for which types hold to the letter.

        What is computed is less certain: `sum` of an empty list of doubles is the int 0.
        """
        while isinstance(node, Select | Index | Comprehension):
            if isinstance(node, Comprehension):
                if node.loop is not Loop.FILTER:
                    return False
                node = node.range
            else:
                node = node.operand
        return isinstance(node, Name) or (isinstance(node, Local) and self.from_data[node.slot])

    def typed(self, node: Node, expr: ast.expr) -> Code:
        """Make the code of a value that may come from the data, with what its type says then."""
        if not self._types or not self.is_data(node):
            return Code(expr)
        type_ = self._types.get(node)
        low, high = INT_MIN, INT_MAX
        if isinstance(type_, Scalar) and type_.kind == "int":
            low = low if type_.minimum is None else max(low, int(type_.minimum))
            high = high if type_.maximum is None else min(high, int(type_.maximum))
        return Code(expr, self.kind(node), Interval(low, high))

    def left_alone(self, node: Node) -> Code:
        """Let the closure tier evaluate a part inside the generated code."""
        self.emitter.needs_scope = True
        slots = sorted(
            {part.slot for part in walk(node) if isinstance(part, Local) and part.slot in self.emitter.variables}
        )
        evaluate = fast_paths.exactly(ClosureCompiler().compile(node), slots)
        values = [self.emitter.variables[slot].expr for slot in slots]
        return Code(py.call(self.emitter.known(evaluate), py.name("scope"), *values))

    def _constant(self, value: Any) -> Code:
        if value.__class__ is int:
            return Code(py.constant(value), INT, Interval(value, value))
        kind = _KINDS.get(value.__class__)
        if value is None or value.__class__ in {bool, str, float, bytes}:
            return Code(py.constant(value), kind)
        return Code(self.emitter.known(value), kind)

    # Names and fields ------------------------------------------------------------------------------------------------

    def _local(self, node: Local) -> Code:
        code = self.emitter.variables[node.slot]
        return code if code.kind is not None else self.typed(node, code.expr)

    def _path(self, node: Name | Select | Index) -> Code:
        """Read a name, or a field that must be there: `KeyError` and `TypeError` are the closure tier's to explain."""
        path = self._paths.get(node)
        known = None if path is None else self.emitter.paths.get(path)
        if known is not None:
            return self.typed(node, known)
        if isinstance(node, Name):
            expr: ast.expr = py.subscript(py.name("bindings"), py.constant(node.name))
        else:
            field = selected(node)
            operand = self.emit(node.operand)
            if operand.kind not in {None, MAP}:
                return self._not_in_map(operand, field)
            expr = py.subscript(operand.expr, py.constant(field))
        if path is not None and path in self.emitter.shared:
            variable = self.emitter.fresh()
            self.emitter.paths[path] = py.name(variable)
            expr = py.walrus(variable, expr)
        return self.typed(node, expr)

    def _not_in_map(self, operand: Code, field: str | None) -> Code:
        """Select a field of something that is certainly no map: optionals have it, nothing else does."""
        if operand.kind != OPTIONAL:
            return Code(self.emitter.failure())
        return Code(py.call(self.emitter.known(select_optional), operand.expr, py.constant(field)), OPTIONAL)

    def _select(self, node: Select) -> Code:
        if not node.optional:
            return self._path(node)
        operand = self.emit(node.operand)
        read = py.call(self.emitter.known(select_optional), operand.expr, py.constant(node.field))
        return Code(read, OPTIONAL)

    def _has(self, node: Has) -> Code:
        operand = self.emit(node.operand)
        if operand.kind == MAP:
            return Code(py.compare(py.constant(node.field), "in", operand.expr), BOOL)
        return Code(self.has(*self.emitter.twice(operand), node.field), BOOL)

    def has(
        self, first: ast.expr, again: ast.expr, field: str, *, otherwise: Callable[[Any, str], bool] = has_field
    ) -> ast.expr:
        """Look for a field: in a dict at once, in anything else by a function."""
        look = py.call(self.emitter.known(otherwise), again, py.constant(field))
        return py.choose(self.is_class(first, dict), py.compare(py.constant(field), "in", again), look)

    def is_class(self, expr: ast.expr, python_class: type) -> ast.expr:
        """`expr.__class__ is python_class`."""
        return py.compare(py.attribute(expr, "__class__"), "is", self.emitter.known(python_class))

    def _index(self, node: Index) -> Code:
        if node.optional:
            return self.left_alone(node)
        if selected(node) is not None:
            return self._path(node)
        operand, key = self.together([node.operand, node.index])
        if operand.kind not in {None, LIST, MAP, OPTIONAL}:
            return Code(self.emitter.failure())
        if operand.kind == LIST and key.kind == INT and key.interval.low >= 0:
            return self.typed(node, py.subscript(operand.expr, key.expr))
        if key.is_constant and key.kind == INT and key.value >= 0:
            first, again = self.emitter.twice(operand)
            read = py.subscript(again, key.expr)
            otherwise = py.call(self.emitter.known(fast_paths.element), again, key.expr)
            return self.typed(node, py.choose(self.is_class(first, list), read, otherwise))
        self.emitter.charge(2)
        return self.typed(node, py.call(self.emitter.known(fast_paths.element), operand.expr, key.expr))

    # Calls -----------------------------------------------------------------------------------------------------------

    def _call(self, node: Call) -> Code:
        method = node.target is not None
        function = registry.functions().get((node.name, method))
        if function is None:
            return self.left_alone(node)
        if codegen_times.time_of(node) is not None:
            return codegen_times.value(self, node)
        parts = [*([node.target] if node.target is not None else []), *node.args]
        inlined = INLINED.get((node.name, len(parts)))
        code = None if inlined is None else inlined(self, node, parts)
        if code is not None:
            return code
        if function.lazy:
            return self.left_alone(node)
        codes = self.together(parts)
        self.emitter.needs_scope = True
        apply = call_function(node, function, len(parts))
        values = [code.expr for code in codes]
        result = {overload.result for overload in function.overloads if len(overload.parameters) == len(parts)}
        kind = _RESULTS.get(result.pop()) if len(result) == 1 else None
        return Code(py.call(self.emitter.known(apply), py.name("scope"), *values), kind)

    def text_guard(self, expr: ast.expr, again: ast.expr) -> list[ast.expr]:
        """Make the conditions that a value is a text that is short enough for this place."""
        longest = py.constant(self.emitter.longest_text)
        return [self.is_class(expr, str), py.compare(py.call(self.emitter.known(len), again), "<=", longest)]

    # Containers ------------------------------------------------------------------------------------------------------

    def _list(self, node: ListNode) -> Code:
        if any(element.optional for element in node.elements):
            return self.left_alone(node)
        codes = self.together([element.value for element in node.elements])
        return Code(py.list_of([code.expr for code in codes]), LIST)

    def _map(self, node: MapNode) -> Code:
        if any(entry.optional for entry in node.entries):
            return self.left_alone(node)
        keys = [entry.key.value for entry in node.entries if isinstance(entry.key, Literal)]
        plain = all(key.__class__ is str for key in keys) and len(set(keys)) == len(node.entries)
        codes = self.together([part for entry in node.entries for part in (entry.key, entry.value)])
        pairs = list(zip([code.expr for code in codes[::2]], [code.expr for code in codes[1::2]], strict=True))
        if plain:
            return Code(py.dict_of([key for key, _ in pairs], [value for _, value in pairs]), MAP)
        entries = py.list_of([py.tuple_of(pair) for pair in pairs])
        return Code(py.call(self.emitter.known(make_map), entries), MAP)

    def _bind(self, node: Bind) -> Code:
        """Compute the values at once: they are lazy in the closure tier, which takes over where one fails."""
        for slot, value in zip(node.slots, node.values, strict=True):
            self.emitter.variables[slot] = self.emitter.kept(self.emit(value))
            self.from_data[slot] = self.is_data(value)
        return self.emit(node.body)

    # Operators -------------------------------------------------------------------------------------------------------

    def _not(self, node: Unary) -> Code:
        return Code(py.negation(self.condition(self.emit(node.operand))), BOOL)

    def _binary(self, node: Binary) -> Code:
        if node.operator == "in":
            return self._membership(node)
        if node.operator in {"+", "-", "*", "/", "%"}:
            if codegen_times.time_of(node) is not None:
                return codegen_times.value(self, node)
            return codegen_numbers.arithmetic(self, node)
        if codegen_times.time_of(node.left) is not None and codegen_times.time_of(node.right) is not None:
            return codegen_times.comparison(self, node)
        return codegen_numbers.comparison(self, node)

    def _membership(self, node: Binary) -> Code:
        folded = self.folded.get(node.right)
        if folded is not None:
            found = self._in_constants(node.left, folded)
            if found is not None:
                return found
        left, right = self.together([node.left, node.right])
        in_loop = self.emitter.budget.in_loop
        longest = fast_paths.SEARCHED_IN_LOOP if in_loop else fast_paths.SEARCHED
        self.emitter.charge(longest)
        holds = self.emitter.known(fast_paths.holds_in_loop if in_loop else fast_paths.holds)
        if not (left.is_constant and left.kind == STRING and len(left.value) <= costs.SHORT):
            return Code(py.call(holds, left.expr, right.expr), BOOL)
        # A constant text is found in a dict or list as Python finds it.
        first, again = self.emitter.twice(right)
        short = py.compare(py.call(self.emitter.known(len), again), "<=", py.constant(longest))
        plain = py.either([self.is_class(first, dict), py.every([self.is_class(again, list), short])])
        return Code(py.choose(plain, py.compare(left.expr, "in", again), py.call(holds, left.expr, again)), BOOL)

    def _in_constants(self, element: Node, folded: Folded) -> Code | None:
        """`x in ["a", "b"]`: Python's `in` of a set, which takes True for 1."""
        values = list(folded.value) if folded.value.__class__ in {list, dict} else None
        if values is None or not all(value.__class__ in {str, int, float} for value in values):
            return None
        numbers = [value for value in values if value.__class__ is not str]
        if any(abs(value) >= 2.0**53 for value in numbers) or (numbers and folded.value.__class__ is dict):
            return None
        code = self.emit(element)
        self.emitter.charge(
            folded.units + len(values) // 8 + sum(len(value) for value in values if value.__class__ is str)
        )
        container = py.constant(tuple(values) if len(values) <= 2 else frozenset(values))
        if not {0, 1} & set(numbers) or code.kind not in {None, BOOL}:
            return Code(py.compare(code.expr, "in", container), BOOL)
        first, again = self.emitter.twice(code)
        is_bool = py.compare(py.attribute(again, "__class__"), "is not", self.emitter.known(bool))
        return Code(py.every([py.compare(first, "in", container), is_bool]), BOOL)

    def _logic(self, node: Logic) -> Code:
        combine = py.every if node.operator == "&&" else py.either
        first, *rest = node.operands
        conditions = [self.condition(self.emit(first))]
        paths = dict(self.emitter.paths)
        for operand in rest:
            outer = self.emitter.block
            statements: list[ast.stmt] = []
            self.emitter.block = statements
            condition = self.condition(self.emit(operand))
            self.emitter.block = outer
            if not statements:
                conditions.append(condition)
                continue
            result = self.emitter.fresh()
            outer.append(py.assign(result, combine(conditions)))
            statements.append(py.assign(result, condition))
            known = py.name(result)
            outer.append(py.when(known if node.operator == "&&" else py.negation(known), statements))
            conditions = [known]
        self.emitter.paths = paths
        return Code(combine(conditions), BOOL)

    def _conditional(self, node: Conditional) -> Code:
        emitter = self.emitter
        condition = self.condition(self.emit(node.condition))
        with emitter.branch() as first:
            then = self.emit(node.then)
        with emitter.branch() as second:
            otherwise = self.emit(node.otherwise)
        kind = then.kind if then.kind == otherwise.kind else None
        interval = then.interval.joined(otherwise.interval)
        if not first and not second:
            return Code(py.choose(condition, then.expr, otherwise.expr), kind, interval)
        result = emitter.fresh()
        first.append(py.assign(result, then.expr))
        second.append(py.assign(result, otherwise.expr))
        emitter.block.append(py.when(condition, first, second))
        return Code(py.name(result), kind, interval)


#: Classes of values that generated code may share between evaluations.
_CONSTANTS: Final = PLAIN | {TypeValue}
_KINDS: Final[dict[type, str]] = {
    bool: BOOL,
    int: INT,
    UInt: "uint",
    float: DOUBLE,
    str: STRING,
    bytes: "bytes",
    type(None): "null",
    TypeValue: "type",
    Timestamp: "timestamp",
    Duration: "duration",
}
