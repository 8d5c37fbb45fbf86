"""Gives names their meaning: macro variables, types, functions and macros; decodes literals.

Turns the parser's tree into one that `closures` can compile, and reports everything that is wrong with it at once.
Names that the caller binds are left alone: which of them exist is the caller's to check, by `Expression.roots`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from flowlang.expr import limits, registry
from flowlang.expr.errors import ExpressionSyntaxError, Problem
from flowlang.expr.literals import decode
from flowlang.expr.operators import did_you_mean
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
    Mistake,
    Name,
    Node,
    OptionalMap,
    RawLiteral,
    Select,
    TypeName,
    Unary,
)
from flowlang.expr.values import type_names

_RESERVED: Final = frozenset(
    "as break const continue else for function if import let loop package namespace return var void while".split()  # noqa: SIM905 - a table
)
#: Macros by name and count of arguments: what they do, and how many of the arguments are names of variables.
_MACROS: Final[dict[tuple[str, int], tuple[Loop, int]]] = {
    ("all", 2): (Loop.ALL, 1),
    ("exists", 2): (Loop.EXISTS, 1),
    ("exists_one", 2): (Loop.EXISTS_ONE, 1),
    ("existsOne", 2): (Loop.EXISTS_ONE, 1),
    ("map", 2): (Loop.MAP, 1),
    ("map", 3): (Loop.MAP, 1),
    ("filter", 2): (Loop.FILTER, 1),
    ("sortBy", 2): (Loop.SORT_BY, 1),
    ("all", 3): (Loop.ALL, 2),
    ("exists", 3): (Loop.EXISTS, 2),
    ("existsOne", 3): (Loop.EXISTS_ONE, 2),
    ("exists_one", 3): (Loop.EXISTS_ONE, 2),
    ("transformList", 3): (Loop.TRANSFORM_LIST, 2),
    ("transformList", 4): (Loop.TRANSFORM_LIST, 2),
    ("transformMap", 3): (Loop.TRANSFORM_MAP, 2),
    ("transformMap", 4): (Loop.TRANSFORM_MAP, 2),
    ("transformMapEntry", 3): (Loop.TRANSFORM_MAP_ENTRY, 2),
    ("transformMapEntry", 4): (Loop.TRANSFORM_MAP_ENTRY, 2),
}
_MACRO_NAMES: Final = frozenset(name for name, _ in _MACROS) | {"optMap", "optFlatMap"}
_GLOBAL_MACROS: Final = frozenset({"has", "cel.bind", "cel.block"})
#: The names that an optimiser gives to values of `cel.block` and to the variables of macros: `cel.index(0)`.
_NUMBERED: Final = {"index": 1, "iterVar": 2, "accuVar": 2}


#: Variables of macros in sight: their slots, and whether they are lazy.
Names = dict[str, tuple[int, bool]]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tree that can be compiled.

    Args:
        root: Its top.
        slots: How many variables its macros have.
    """

    root: Node
    slots: int


def resolve(
    root: Node, *, container: str = "", variables: frozenset[str] = frozenset(), late_calls: bool = False
) -> Resolved:
    """Resolve the names of a parsed expression.

    Args:
        root: What the parser gave.
        container: Namespace in which names are sought first.
        variables: Names with dots that the bindings have; others need no declaration.
        late_calls: Leave unknown functions to fail when they are evaluated, as a parse-only run of CEL does.

    Returns:
        The tree with its meaning.

    Raises:
        ExpressionSyntaxError: With all problems found.
    """
    resolved, problems = resolve_all(root, container=container, variables=variables, late_calls=late_calls)
    if problems:
        raise ExpressionSyntaxError(problems)
    return resolved


def resolve_all(
    root: Node,
    *,
    container: str = "",
    variables: frozenset[str] = frozenset(),
    functions: frozenset[tuple[str, bool]] = frozenset(),
    late_calls: bool = False,
) -> tuple[Resolved, tuple[Problem, ...]]:
    """Resolve what can be resolved, so that the rest of an expression with problems can be checked too.

    Args:
        root: What the parser gave.
        container: Namespace in which names are sought first.
        variables: Names with dots that the bindings have; others need no declaration.
        functions: Functions beside the language's own, by name and whether they are methods; they can be checked,
            not evaluated.
        late_calls: Leave unknown functions to fail when they are evaluated.

    Returns:
        The tree, and all problems found, in the order of the text; a tree with problems must not be evaluated.
    """
    resolver = _Resolver(container, variables, functions, late_calls=late_calls)
    resolved = resolver.visit(root, {})
    ordered = sorted(resolver.problems, key=lambda problem: problem.start)
    return Resolved(resolved, resolver.slots), tuple(ordered[: limits.MAX_PROBLEMS])


class _Resolver:
    """Walks a tree; `names` are the macro variables in sight, with their slots."""

    def __init__(
        self,
        container: str,
        variables: frozenset[str],
        functions: frozenset[tuple[str, bool]],
        *,
        late_calls: bool,
    ) -> None:
        registry.functions()  # libraries bring types too, whose names must be known
        self._types = type_names()
        self.problems: list[Problem] = []
        self.slots = 0
        self._container = container
        self._variables = variables
        self._functions = functions
        self._late_calls = late_calls

    def visit(self, node: Node, names: Names) -> Node:
        match node:
            case RawLiteral():
                return self._literal(node)
            case Name():
                return self._name(node, names)
            case Select():
                return self._select(node, names)
            case Index():
                operand, index = self.visit(node.operand, names), self.visit(node.index, names)
                return Index(node.start, node.end, operand, index, node.optional)
            case Call():
                return self._call(node, names)
            case Unary():
                return self._unary(node, names)
            case Binary():
                return self._binary(node, names)
            case Logic():
                operands = tuple([self.visit(operand, names) for operand in node.operands])
                return Logic(node.start, node.end, node.operator, operands)
            case Conditional(start, end, condition, then, otherwise):
                return Conditional(
                    start,
                    end,
                    self.visit(condition, names),
                    self.visit(then, names),
                    self.visit(otherwise, names),
                )
            case ListNode():
                elements = tuple([self._element(element, names) for element in node.elements])
                return ListNode(node.start, node.end, elements)
            case MapNode():
                return MapNode(node.start, node.end, tuple([self._entry(entry, names) for entry in node.entries]))
            case _:
                return node

    def _element(self, element: Element, names: Names) -> Element:
        return Element(element.start, element.end, self.visit(element.value, names), element.optional)

    def _entry(self, entry: Entry, names: Names) -> Entry:
        key, value = self.visit(entry.key, names), self.visit(entry.value, names)
        return Entry(entry.start, entry.end, key, value, entry.optional)

    def _literal(self, node: RawLiteral, *, negative: bool = False) -> Node:
        try:
            return Literal(node.start, node.end, decode(node, negative=negative))
        except ExpressionSyntaxError as error:
            self.problems += error.problems
            return Mistake(node.start, node.end)

    def _unary(self, node: Unary, names: Names) -> Node:
        operand = node.operand
        # The sign belongs to the literal, or -9223372036854775808 could not be written; a parenthesis parts them.
        adjacent = (
            isinstance(operand, RawLiteral) and operand.kind in {"INT", "FLOAT"} and operand.start == node.start + 1
        )
        if node.operator == "-" and adjacent and isinstance(operand, RawLiteral):
            literal = self._literal(operand, negative=True)
            return replace(literal, start=node.start)
        return Unary(node.start, node.end, node.operator, self.visit(operand, names))

    def _binary(self, node: Binary, names: Names) -> Node:
        """Walk down the left spine in a loop: a long sum is deep only to the left."""
        spine = [node]
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        left = self.visit(spine[-1].left, names)
        for part in reversed(spine):
            left = Binary(part.start, part.end, part.operator, left, self.visit(part.right, names))
        return left

    def _name(self, node: Name, names: Names) -> Node:
        if not node.absolute and node.name in names:
            return Local(node.start, node.end, node.name, *names[node.name])
        if node.name in _RESERVED:
            self._problem(f"`{node.name}` is a reserved word", node, "it can be a field, but no name of its own")
        variable = self._variable(node, node.name, absolute=node.absolute)
        if variable is not None:
            return variable
        named = self._type(node, node.name, absolute=node.absolute)
        return node if named is None else named

    def _select(self, node: Select, names: Names) -> Node:
        path, absolute = dotted(node)
        if path and (absolute or path.partition(".")[0] not in names):
            variable = self._variable(node, path, absolute=absolute)
            if variable is not None:
                return variable
            named = self._type(node, path, absolute=absolute)
            if named is not None:
                return named
        operand = self.visit(node.operand, names)
        return Select(node.start, node.end, operand, node.field, node.field_start, node.optional)

    def _variable(self, node: Node, path: str, *, absolute: bool) -> Name | None:
        """Seek a declared variable by its whole path, in the container and in those around it."""
        if not self._variables:
            return None
        found = next((name for name in self._candidates(path, absolute=absolute) if name in self._variables), None)
        return None if found is None else Name(node.start, node.end, found, absolute=True)

    def _type(self, node: Node, path: str, *, absolute: bool) -> TypeName | None:
        """Seek a type in the same way: in the container `google`, `protobuf.Timestamp` is one."""
        found = next((name for name in self._candidates(path, absolute=absolute) if name in self._types), None)
        return None if found is None else TypeName(node.start, node.end, found)

    def _candidates(self, path: str, *, absolute: bool) -> Iterator[str]:
        """Iterate over what a path may stand for: in the container first, in the root last."""
        scopes = [] if absolute or not self._container else self._container.split(".")
        while scopes:
            yield ".".join([*scopes, path])
            scopes.pop()
        yield path

    def _call(self, node: Call, names: Names) -> Node:
        numbered = _numbered(node)
        if numbered in names:
            return Local(node.start, node.end, numbered, *names[numbered])
        node = self._namespaced(node, names)
        if node.target is None and node.name in _GLOBAL_MACROS:
            write_out = {"has": self._has, "cel.bind": self._bind, "cel.block": self._block}[node.name]
            return write_out(node, names)
        if node.target is not None and node.name in _MACRO_NAMES:
            macro = self._macro(node, node.target, names)
            if macro is not None:
                return macro
        self._check_function(node)
        target = None if node.target is None else self.visit(node.target, names)
        args = tuple([self.visit(arg, names) for arg in node.args])
        return Call(node.start, node.end, target, node.name, args, node.name_start, node.name_end, node.absolute)

    def _namespaced(self, node: Call, names: Names) -> Call:
        """Fold `math.abs(x)` into a call of the function `math.abs`."""
        prefix, absolute = dotted(node.target) if node.target is not None else ("", node.absolute)
        if (node.target is not None and not prefix) or (not absolute and prefix.partition(".")[0] in names):
            return node
        name = f"{prefix}.{node.name}" if prefix else node.name
        known = registry.functions()
        for candidate in (f"{self._container}.{name}", name):
            if (candidate, False) in known or candidate in _GLOBAL_MACROS:
                return replace(node, target=None, name=candidate)
        if prefix in registry.namespaces() and (node.name, True) not in known and node.name not in _MACRO_NAMES:
            return replace(node, target=None, name=name)
        return node

    def _check_function(self, node: Call) -> None:
        method = node.target is not None
        known = registry.functions()
        function = known.get((node.name, method))
        if node.target is None and node.name in _RESERVED:
            self._problem(f"`{node.name}` is a reserved word", node, None)
        elif self._late_calls or (node.name, method) in self._functions:
            return
        elif function is None:
            self._unknown_function(node, method=method)
        elif not function.any_count and len(node.args) not in function.arities():
            counts = " or ".join(str(count) for count in function.arities())
            plural = "" if counts == "1" else "s"
            signatures = "; ".join(overload.signature for overload in function.overloads[:3])
            message = f"`{node.name}` takes {counts} argument{plural}, not {len(node.args)}"
            self._problem(message, node, f"there is {signatures}")

    def _unknown_function(self, node: Call, *, method: bool) -> None:
        known = registry.functions()
        start, end = node.name_start, node.name_end
        if method and node.name in _MACRO_NAMES:
            forms = sorted({_form(name, count) for name, count in _MACROS if name == node.name} | _OPTIONAL_FORMS)
            right = " or ".join(form for form in forms if f".{node.name}(" in form)
            message = f"`{node.name}` does not take {len(node.args)} argument{'' if len(node.args) == 1 else 's'}"
            self.problems.append(Problem(message, node.start, node.end, f"it is written {right}"))
            return
        if (node.name, not method) in known:
            right = f"{node.name}(x)" if method else f"x.{node.name}(…)"
            self.problems.append(
                Problem(f"no such {_sort(method)} `{node.name}`", start, end, f"it is written {right}")
            )
            return
        names = [name for name, is_method in known if is_method == method]
        names += sorted(_MACRO_NAMES) if method else sorted(_GLOBAL_MACROS)
        near = did_you_mean(node.name, names)
        hint = near.removeprefix("; ") if "did you mean" in near else None
        self.problems.append(Problem(f"no such {_sort(method)} `{node.name}`", start, end, hint))

    def _has(self, node: Call, names: Names) -> Node:
        argument = node.args[0] if len(node.args) == 1 else None
        if not isinstance(argument, Select):
            self._problem(
                "`has` takes one field, as in has(event.data.email)", node, "to test a key write 'key' in map"
            )
            return Mistake(node.start, node.end)
        operand = self.visit(argument.operand, names)
        return Has(node.start, node.end, operand, argument.field, argument.field_start, argument.end, argument.optional)

    def _bind(self, node: Call, names: Names) -> Node:
        if len(node.args) != 3:
            self._problem("`cel.bind` takes a name, a value and an expression", node, None)
            return Mistake(node.start, node.end)
        value = self.visit(node.args[1], names)
        slots, written, inner = self._declare(node, node.args[:1], names, lazy=True)
        return Bind(node.start, node.end, slots, written, (value,), self.visit(node.args[2], inner))

    def _block(self, node: Call, names: Names) -> Node:
        values = node.args[0] if node.args else None
        if len(node.args) != 2 or not isinstance(values, ListNode) or any(each.optional for each in values.elements):
            self._problem("`cel.block` takes a list of values and an expression", node, None)
            return Mistake(node.start, node.end)
        inner = dict(names)
        slots, written, visited = [], [], []
        for number, element in enumerate(values.elements):
            visited.append(self.visit(element.value, inner))
            slots.append(self._slot())
            written.append(f"cel.index({number})")
            inner[written[-1]] = slots[-1], True
        body = self.visit(node.args[1], inner)
        return Bind(node.start, node.end, tuple(slots), tuple(written), tuple(visited), body)

    def _slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def _macro(self, node: Call, target: Node, names: Names) -> Node | None:
        if node.name in {"optMap", "optFlatMap"} and len(node.args) == 2:
            operand = self.visit(target, names)
            slots, written, inner = self._declare(node, node.args[:1], names)
            body = self.visit(node.args[1], inner)
            return OptionalMap(node.start, node.end, operand, slots[0], written[0], body, node.name == "optFlatMap")
        known = _MACROS.get((node.name, len(node.args)))
        if known is None:
            return None
        loop, count = known
        elements = self.visit(target, names)
        slots, written, inner = self._declare(node, node.args[:count], names)
        parts = [self.visit(arg, inner) for arg in node.args[count:]]
        where, body = (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])
        return Comprehension(node.start, node.end, loop, elements, slots, written, where, body)

    def _declare(
        self, node: Call, variables: tuple[Node, ...], names: Names, *, lazy: bool = False
    ) -> tuple[tuple[int, ...], tuple[str, ...], Names]:
        inner = dict(names)
        slots: list[int] = []
        written: list[str] = []
        for variable in variables:
            name = variable.name if isinstance(variable, Name) and not variable.absolute else _numbered(variable)
            if not name:
                self._problem(f"`{node.name}` needs a plain name here", variable, "as in items.map(item, item.price)")
            elif name in _RESERVED:
                self._problem(f"`{name}` is a reserved word", variable, "choose another name")
            elif name in written:
                self._problem(f"the two variables of `{node.name}` need different names", variable, None)
            slots.append(self._slot())
            written.append(name)
            inner[name] = slots[-1], lazy
        return tuple(slots), tuple(written), inner

    def _problem(self, message: str, node: Node, hint: str | None) -> None:
        self.problems.append(Problem(message, node.start, node.end, hint))


#: How the macros of optionals are written.
_OPTIONAL_FORMS: Final = frozenset({"x.optMap(v, value)", "x.optFlatMap(v, optional)"})


def _form(name: str, count: int) -> str:
    """Show how a macro is written, such as `items.filter(x, …)`."""
    _, variables = _MACROS[name, count]
    arguments = ["x" if variables == 1 else "i, x", *["…"] * (count - variables)]
    return f"items.{name}({', '.join(arguments)})"


def _numbered(node: Node) -> str:
    """Write `cel.index(0)` or `cel.iterVar(0, 1)` as the name that it stands for; empty where it is something else."""
    if not isinstance(node, Call) or node.target is None or dotted(node.target)[0] != "cel":
        return ""
    numbers = [part.text for part in node.args if isinstance(part, RawLiteral) and part.kind == "INT"]
    if len(numbers) != len(node.args) or _NUMBERED.get(node.name) != len(numbers):
        return ""
    return f"cel.{node.name}({', '.join(numbers)})"


def _sort(method: bool) -> str:
    return "method" if method else "function"


def dotted(node: Node) -> tuple[str, bool]:
    """Write a chain of plain selections as it was written.

    Args:
        node: Any node.

    Returns:
        Such as `google.protobuf.Timestamp`, empty where the node is something else; and whether a dot stood before it.
    """
    fields: list[str] = []
    while isinstance(node, Select) and not node.optional:
        fields.append(node.field)
        node = node.operand
    if not isinstance(node, Name):
        return "", False
    return ".".join([node.name, *reversed(fields)]), node.absolute
