"""What values a path can have where a condition stands, and so whether the condition can be true or false there.

Domains come from types (the enum, const and bounds of a schema) and from conditions that held before. They only ever
hold too much: what is decided here is true for all data, as far as the condition has a value at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from flowlang.expr.facts import FactPath, path_of
from flowlang.expr.syntax import Binary, Call, Conditional, ListNode, Literal, Logic, Node, Unary
from flowlang.expr.types import ListOf, MapOf, ObjectOf, Scalar, Type

#: A value with its kind, so that `true` is not `1`.
Value = tuple[str, object]

_INFINITE: Final = (-math.inf, math.inf)
_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NEGATED: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Domain:
    """The values that something can have.

    Args:
        values: All of them, or None when they are not known one by one.
        excluded: Values that it does not have; only where `values` is None.
        low: Least number that it can be.
        high: Greatest number that it can be.
        whole: Whether numbers are whole.
    """

    values: frozenset[Value] | None = None
    excluded: frozenset[Value] = frozenset()
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is no value: the place is never reached."""
        return self.low > self.high or (self.values is not None and not self.values)

    @property
    def says_nothing(self) -> bool:
        """Whether any value is in it."""
        return self.values is None and not self.excluded and (self.low, self.high) == _INFINITE

    def among(self, values: Iterable[Value]) -> Domain:
        """Those that are among some values."""
        kept = frozenset(value for value in values if self.has(value))
        return Domain(kept, whole=self.whole)

    def without(self, value: Value) -> Domain:
        """Those that are not a value."""
        if self.values is not None:
            return Domain(self.values - {value}, whole=self.whole)
        return Domain(None, self.excluded | {value}, self.low, self.high, self.whole)

    def within(self, low: float, high: float) -> Domain:
        """The numbers between two bounds, both included."""
        if self.values is not None:
            return Domain(frozenset(value for value in self.values if _between(value, low, high)), whole=self.whole)
        return Domain(None, self.excluded, max(self.low, low), min(self.high, high), self.whole)

    def has(self, value: Value) -> bool:
        """Whether a value may be in it."""
        if self.values is not None:
            return value in self.values
        return value not in self.excluded and (
            (self.low, self.high) == _INFINITE or _between(value, self.low, self.high)
        )

    def __or__(self, other: Domain) -> Domain:
        """The values of both."""
        if self.values is not None and other.values is not None:
            return Domain(self.values | other.values, whole=self.whole)
        if self.values is None and other.values is None:
            low, high = min(self.low, other.low), max(self.high, other.high)
            return Domain(None, self.excluded & other.excluded, low, high, self.whole)
        return Domain()


def _between(value: Value, low: float, high: float) -> bool:
    number = value[1]
    return isinstance(number, int | float) and not isinstance(number, bool) and low <= number <= high


#: What is known of paths, beyond their types.
Known = Mapping[FactPath, Domain]


def value_of(constant: object) -> Value | None:
    """A constant with its kind; None where constants of its kind are not compared here."""
    match constant:
        case bool():
            return ("bool", constant)
        case int() | float():
            return ("number", constant)
        case str():
            return ("text", constant)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Decides conditions of one expression.

    Args:
        types: Of the parts of its tree.
        known: What is known of paths before it.
    """

    types: Mapping[Node, Type]
    known: Known

    def decide(self, node: Node) -> bool | None:
        """Tell whether a condition is always true (or always false) here; None where it depends."""
        match node:
            case Literal(value=bool() as constant):
                return constant
            case Unary(operator="!"):
                inner = self.decide(node.operand)
                return None if inner is None else not inner
            case Logic():
                return self._logic(node)
            case Conditional():
                return self._conditional(node)
            case Binary(operator="in"):
                return self._membership(node)
            case Binary(operator=operator) if operator in _FLIPPED:
                return _compared(operator, self.domain(node.left), self.domain(node.right))
            case _:
                domain = self.domain(node)
                found = domain.values or frozenset()
                return next(iter(found))[1] is True if len(found) == 1 and ("bool", True) in found else None

    def given(self, node: Node, *, truth: bool) -> Known | None:
        """What is known of paths where a condition is true (or false); None where it never is."""
        decided = self.decide(node)
        if decided is not None and decided is not truth:
            return None
        found = dict(self.known)
        for path, domain in self._implied(node, truth=truth).items():
            if domain.is_empty:
                return None
            found[path] = domain
        return found

    def domain(self, node: Node) -> Domain:
        """The values that a part can have."""
        if isinstance(node, Literal):
            value = value_of(node.value)
            return Domain() if value is None else Domain(frozenset({value}))
        if isinstance(node, Unary) and node.operator == "-" and isinstance(node.operand, Literal):
            number = node.operand.value
            if isinstance(number, int | float) and not isinstance(number, bool):
                return Domain(frozenset({("number", -number)}))
        if isinstance(node, Call) and node.name == "size" and self._is_counted(node):
            return Domain(low=0, whole=True)
        path = path_of(node)
        if path is not None and path in self.known:
            return self.known[path]
        return _of_type(self.types.get(node))

    def _is_counted(self, node: Call) -> bool:
        of = node.target if node.target is not None else node.args[0] if node.args else None
        type_ = None if of is None else self.types.get(of)
        return isinstance(type_, ListOf | MapOf | ObjectOf) or (isinstance(type_, Scalar) and type_.kind == "string")

    # Parts ----------------------------------------------------------------------------------------------------------

    def _logic(self, node: Logic) -> bool | None:
        """`&&` is false where one part is, given that those before it are true; `||` the other way round."""
        decisive = node.operator == "||"
        here: Reasoning = self
        undecided = False
        for operand in node.operands:
            found = here.decide(operand)
            if found is decisive:
                return decisive
            undecided = undecided or found is None
            known = here.given(operand, truth=not decisive)
            if known is None:
                return decisive
            here = Reasoning(self.types, known)
        return None if undecided else not decisive

    def _conditional(self, node: Conditional) -> bool | None:
        condition = self.decide(node.condition)
        if condition is not None:
            return self.decide(node.then if condition else node.otherwise)
        then, otherwise = self.decide(node.then), self.decide(node.otherwise)
        return then if then is otherwise else None

    def _membership(self, node: Binary) -> bool | None:
        listed = _constants(node.right)
        domain = self.domain(node.left)
        if listed is None or domain.says_nothing:
            return None
        if not any(domain.has(value) for value in listed):
            return False
        return True if domain.values is not None and domain.values <= listed else None

    def _implied(self, node: Node, *, truth: bool) -> dict[FactPath, Domain]:
        match node:
            case Unary(operator="!"):
                return self._implied(node.operand, truth=not truth)
            case Logic():
                return self._implied_by_parts(node, truth=truth)
            case Binary(operator="in"):
                return self._implied_by_list(node, truth=truth)
            case Binary(operator=operator) if operator in _FLIPPED:
                return self._implied_by_relation(node, operator if truth else _NEGATED[operator])
            case _:
                path = self._path(node)
                if path is None or not _is_bool(self.types.get(node)):
                    return {}
                return {path: self.domain(node).among([("bool", truth)])}

    def _implied_by_parts(self, node: Logic, *, truth: bool) -> dict[FactPath, Domain]:
        if truth is (node.operator == "&&"):  # all parts are so
            here = self
            found: dict[FactPath, Domain] = {}
            for operand in node.operands:
                found |= here._implied(operand, truth=truth)
                here = Reasoning(self.types, {**self.known, **found})
            return found
        parts = [
            self._implied(operand, truth=truth) for operand in node.operands if self.decide(operand) is not (not truth)
        ]
        shared = set.intersection(*(set(part) for part in parts)) if parts else set()
        joined: dict[FactPath, Domain] = {}
        for path in shared:
            domains = [part[path] for part in parts]
            whole = domains[0]
            for domain in domains[1:]:
                whole = whole | domain
            joined[path] = whole
        return joined

    def _implied_by_list(self, node: Binary, *, truth: bool) -> dict[FactPath, Domain]:
        path, listed = self._path(node.left), _constants(node.right)
        if path is None or listed is None:
            return {}
        domain = self.domain(node.left)
        if truth:
            return {path: domain.among(listed)}
        for value in listed:
            domain = domain.without(value)
        return {path: domain}

    def _implied_by_relation(self, node: Binary, operator: str) -> dict[FactPath, Domain]:
        for side, other, relation in (
            (node.left, node.right, operator),
            (node.right, node.left, _FLIPPED[operator]),
        ):
            path = self._path(side)
            constant = self.domain(other).values
            if path is None or constant is None or len(constant) != 1:
                continue
            value = next(iter(constant))
            domain = self.domain(side)
            if relation == "==":
                return {path: domain.among([value])}
            if relation == "!=":
                return {path: domain.without(value)}
            bound = value[1]
            if isinstance(bound, int | float) and not isinstance(bound, bool):
                step = 1 if domain.whole and relation in {"<", ">"} else 0
                low, high = (bound + step, math.inf) if relation in {">", ">="} else (-math.inf, bound - step)
                return {path: domain.within(low, high)}
        return {}

    def _path(self, node: Node) -> FactPath | None:
        """The path of a root name; a macro's variable is another one each time."""
        path = path_of(node)
        return path if path is not None and len(path) > 1 and isinstance(path[0], str) else None


def _is_bool(type_: Type | None) -> bool:
    return isinstance(type_, Scalar) and type_.kind == "bool"


def _of_type(type_: Type | None) -> Domain:
    if not isinstance(type_, Scalar):
        return Domain()
    whole = type_.kind == "int"
    if type_.values is not None:
        values = [value_of(constant) for constant in type_.values]
        known = frozenset(value for value in values if value is not None)
        return Domain(known, whole=whole) if len(known) == len(set(values)) else Domain()
    if type_.kind == "bool":
        return Domain(frozenset({("bool", True), ("bool", False)}))
    if type_.kind not in {"int", "double"}:
        return Domain()
    low = -math.inf if type_.minimum is None else type_.minimum
    high = math.inf if type_.maximum is None else type_.maximum
    return Domain(None, frozenset(), low, high, whole)


def _constants(node: Node) -> frozenset[Value] | None:
    """The values of a list of constants; None for any other node."""
    if not isinstance(node, ListNode):
        return None
    found = [value_of(element.value.value) if isinstance(element.value, Literal) else None for element in node.elements]
    return frozenset(value for value in found if value is not None) if None not in found else None


def _compared(operator: str, left: Domain, right: Domain) -> bool | None:
    """Compare all values of one domain with all of another."""
    if left.says_nothing or right.says_nothing:
        return None
    if operator == "!=":
        equal = _compared("==", left, right)
        return None if equal is None else not equal
    if operator == "==":
        return _equal(left, right)
    bounds = _bounds(left), _bounds(right)
    if bounds[0] is None or bounds[1] is None:
        return None
    (low, high), (other_low, other_high) = bounds[0], bounds[1]
    match operator:
        case "<":
            return True if high < other_low else False if low >= other_high else None
        case "<=":
            return True if high <= other_low else False if low > other_high else None
        case ">":
            return True if low > other_high else False if high <= other_low else None
        case _:
            return True if low >= other_high else False if high < other_low else None


def _equal(left: Domain, right: Domain) -> bool | None:
    for one, other in ((left, right), (right, left)):
        if one.values is not None and not any(other.has(value) for value in one.values):
            return False
    if left.values is not None and left.values == right.values and len(left.values) == 1:
        return True
    return None


def _bounds(domain: Domain) -> tuple[float, float] | None:
    """Least and greatest number of a domain; None where it has something else."""
    if domain.values is None:
        return domain.low, domain.high
    numbers = [value[1] for value in domain.values]
    found = [number for number in numbers if isinstance(number, int | float) and not isinstance(number, bool)]
    return (min(found), max(found)) if found and len(found) == len(numbers) else None
