"""Deduces the type of every part of an expression, and finds what cannot be right before anything is evaluated.

The rules are those of CEL's checkers (cel-go's `checker/checker.go`): parameters of types are unified, all overloads
that fit are considered, and different results give `dyn`. On types from JSON Schemas more is found: fields that do not
exist, optional fields and nulls that nobody guarded, and comparisons with texts that an enum does not have.
All problems of an expression are reported at once; a part that has been reported causes no further ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from flowlang.expr import limits, registry
from flowlang.expr.assign import as_map, assign, join, most_general, substitute
from flowlang.expr.constants import constant_problems
from flowlang.expr.environment import Environment
from flowlang.expr.errors import (
    MAY_BE_MISSING,
    MAY_BE_NULL,
    NEVER_EQUAL,
    NOT_BOOL,
    UNKNOWN_FIELD,
    UNKNOWN_NAME,
    WRONG_TYPE,
    ExpressionSyntaxError,
    Problem,
)
from flowlang.expr.facts import NOTHING, FactPath, Facts, Implied, implied, path_of
from flowlang.expr.mismatch import mismatch_hint, not_bool_hint
from flowlang.expr.narrowing import narrowed
from flowlang.expr.operator_types import OPERATORS, UNARY
from flowlang.expr.operators import did_you_mean
from flowlang.expr.parser import parse
from flowlang.expr.program import Expression
from flowlang.expr.resolve import resolve_all
from flowlang.expr.signatures import Signature, signature
from flowlang.expr.syntax import (
    Binary,
    Bind,
    Call,
    Comprehension,
    Conditional,
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
    Select,
    TypeName,
    Unary,
)
from flowlang.expr.type_words import denoted, in_words
from flowlang.expr.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    SCALARS,
    STRING,
    UINT,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    OptionalOf,
    Scalar,
    Type,
    TypeOf,
    Variable,
    is_dyn,
    kind,
    nullable,
    plain,
    without_null,
)
from flowlang.expr.types import parts as parts_of
from flowlang.expr.values import UInt

_LITERALS: Mapping[type, Type] = {
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checker found.

    Args:
        type: Of the whole; `error` where that part has been reported.
        problems: In the order of the text.
        types: Of every node of the tree.
        implied: What follows where the expression is true, and where it is false.
        marked: Nodes that read fields which must not be shown, and what these are called.
    """

    type: Type
    problems: tuple[Problem, ...] = ()
    types: Mapping[Node, Type] = field(default_factory=dict)
    implied: Implied = field(default_factory=Implied)
    marked: Mapping[Node, str] = field(default_factory=dict)


def check_text(text: str, environment: Environment, *, expected: Type | None = None) -> Checked:
    """Check an expression, syntax included.

    Args:
        text: The expression, without `${{ }}`.
        environment: What it may read.
        expected: The type that its place wants, such as `BOOL` for a condition; None: any.

    Returns:
        All its problems. Where the text cannot be parsed, the parser's problem is the only one.
    """
    try:
        parsed = parse(text)
    except ExpressionSyntaxError as error:
        return Checked(ERROR, error.problems)
    resolved, problems = resolve_all(
        parsed,
        container=environment.container,
        variables=frozenset(name for name in environment.variables if "." in name or environment.container),
        functions=frozenset(environment.functions),
    )
    checked = check(resolved.root, environment, expected=expected)
    found = sorted((*problems, *checked.problems), key=lambda problem: problem.start)
    return replace(checked, problems=tuple(found[: limits.MAX_PROBLEMS]))


def check_expression(expression: Expression, environment: Environment, *, expected: Type | None = None) -> Checked:
    """Check a compiled expression.

    Args:
        expression: As `compile_expression` gives it.
        environment: What it may read.
        expected: The type that its place wants; None: any.

    Returns:
        Its type and all its problems.
    """
    return check(expression.root, environment, expected=expected)


def check(root: Node, environment: Environment, *, expected: Type | None = None) -> Checked:
    """Check a resolved tree.

    Args:
        root: Its top.
        environment: What it may read.
        expected: The type that its place wants; None: any.

    Returns:
        Its type and all its problems.
    """
    checker = _Checker(environment)
    found = checker.visit(root)
    if expected is not None:
        checker.expect(root, found, expected)
    known = checker.known
    types = {
        node: type_ if type_.__class__ in _WITHOUT_PARTS else substitute(known, type_, unknown=DYN)
        for node, type_ in checker.types.items()
    }
    problems = sorted(checker.problems, key=lambda problem: problem.start)[: limits.MAX_PROBLEMS]
    return Checked(types[root], tuple(problems), types, implied(root), checker.marked)


class _Checker:
    """Walks a tree once; `facts` are what is known where it stands."""

    def __init__(self, environment: Environment) -> None:
        self.problems: list[Problem] = []
        self.types: dict[Node, Type] = {}
        self.marked: dict[Node, str] = {}
        self.known: Mapping[str, Type] = {}
        self._environment = environment
        self._facts = environment.facts
        self._slots: dict[int, Type] = {}
        self._fresh = 0
        self._reported: set[FactPath] = set()

    # The walk -------------------------------------------------------------------------------------------------------

    def visit(self, node: Node, facts: Facts = NOTHING) -> Type:
        """Deduce the type of a part, given more facts."""
        before = self._facts
        self._facts = before | facts if facts is not NOTHING else before
        found = self._type(node)
        self._facts = before
        self.types[node] = found
        return found

    def _type(self, node: Node) -> Type:
        match node:
            case Literal():
                return _LITERALS[node.value.__class__]
            case Mistake():
                return ERROR
            case TypeName():
                return TypeOf(denoted(node.name))
            case Name():
                return self._name(node)
            case Local():
                return self._narrow(node, self._slots[node.slot])
            case Select():
                return self._select(node)
            case Has():
                self._field(node, self.visit(node.operand), node.field, guarded=True)
                return BOOL
            case Index():
                return self._index(node)
            case Call():
                return self._call(node)
            case ListNode():
                return self._list(node)
            case MapNode():
                return self._map(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Logic():
                return self._logic(node)
            case Conditional():
                return self._conditional(node)
            case Comprehension():
                return self._comprehension(node)
            case Bind():
                return self._bind(node)
            case OptionalMap():
                return self._optional_map(node)
            case _:
                raise AssertionError(f"{node.__class__.__name__} is no node of a resolved tree")

    def expect(self, node: Node, found: Type, wanted: Type) -> None:
        """Report a whole that is not what its place wants."""
        found = self._known(found)
        if isinstance(found, Nullable):
            self._null(node, found)
            found = without_null(found)
        fits = assign(self.known, (found,), (wanted,))
        if fits is not None and not (kind(found) == "null" and kind(wanted) != "null"):
            self.known = fits
            return
        if kind(wanted) == "bool":
            message = f"this must be true or false, and is {in_words(found)}"
            self._problem(node, NOT_BOOL, message, not_bool_hint(found))
        else:
            message = f"this must be {in_words(wanted)}, and is {in_words(found)}"
            self._problem(node, WRONG_TYPE, message, mismatch_hint("", (wanted, found), ()))

    # Names and selections -------------------------------------------------------------------------------------------

    def _name(self, node: Name) -> Type:
        found = self._environment.variables.get(node.name)
        if found is not None:
            return self._narrow(node, found)
        if self._environment.closed:
            hint = _suggestion(node.name, list(self._environment.variables))
            self._problem(node, UNKNOWN_NAME, f"there is no `{node.name}` here", hint)
            return ERROR
        return DYN

    def _narrow(self, node: Node, found: Type) -> Type:
        """Take null from what is known not to be null here, and take what an object is as one of its fields tells."""
        if isinstance(found, Nullable) and path_of(node) in self._facts.not_null | self._reported:
            found = found.type
        if isinstance(found, ObjectOf) and found.variants is not None and self._facts.equal:
            path = path_of(node)
            name, variants = found.variants
            if path is not None:
                for value, variant in variants.items():
                    if ((*path, name), value) in self._facts.equal:
                        return variant
        return found

    def _select(self, node: Select) -> Type:
        operand = self.visit(node.operand)
        found = self._field(node, operand, node.field, guarded=node.optional)
        if node.optional:
            return found if is_dyn(found) and kind(found) == "error" else OptionalOf(found)
        return OptionalOf(found) if isinstance(self._known(operand), OptionalOf) else self._narrow(node, found)

    def _field(self, node: Select | Has | Index, operand: Type, name: str, *, guarded: bool) -> Type:
        """Deduce the type of a field of a map or object, what an optional holds looked through."""
        operand = self._known(operand)
        if isinstance(operand, OptionalOf):
            guarded, operand = True, self._known(operand.value)
        if isinstance(operand, Nullable):
            self._null(node.operand, operand)
            operand = operand.type
        if isinstance(operand, ObjectOf):
            return self._object_field(node, operand, name, guarded=guarded)
        if isinstance(operand, MapOf):
            return operand.value
        if self._open(operand):
            return DYN
        start, end = _field_span(node)
        message = f"{in_words(operand)} has no field `{name}`"
        hint = "`.?` guards an absent field, not one that is null" if kind(operand) == "null" else None
        self.problems.append(Problem(message, start, end, hint, kind=WRONG_TYPE))
        return ERROR

    def _object_field(self, node: Select | Has | Index, owner: ObjectOf, name: str, *, guarded: bool) -> Type:
        found = owner.field(name)
        start, end = _field_span(node)
        if found is None:
            hint = _suggestion(name, list(owner.fields))
            self.problems.append(
                Problem(f"{in_words(owner)} has no field `{name}`", start, end, hint, kind=UNKNOWN_FIELD)
            )
            return ERROR
        if found.sensitive:
            self.marked[node] = found.sensitive
        path = path_of(node) if not isinstance(node, Has) else None
        if not found.required and not guarded and path not in self._facts.present and path not in self._reported:
            operand = "" if path is None else _written(path, node)
            message = f"`{name}` may be missing" + (f": {found.reason}" if found.reason else "")
            hint = f"test it with has({operand}), or read it with .?{name}.orValue(…)" if operand else "read it with .?"
            self.problems.append(Problem(message, start, end, hint, kind=MAY_BE_MISSING))
            if path is not None:
                self._reported.add(path)
        return found.type

    def _index(self, node: Index) -> Type:
        operand, key = self._known(self.visit(node.operand)), self._known(self.visit(node.index))
        literal = node.index.value if isinstance(node.index, Literal) else None
        optional = node.optional or isinstance(operand, OptionalOf)
        holder = self._known(operand.value) if isinstance(operand, OptionalOf) else operand
        if isinstance(literal, str) and isinstance(without_null(holder), ObjectOf):
            found = self._field(node, operand, literal, guarded=optional)
        else:
            found = self._element(node, holder, key)
        if kind(found) == "error":
            return found
        return OptionalOf(found) if optional else self._narrow(node, found)

    def _element(self, node: Index, holder: Type, key: Type) -> Type:
        if isinstance(holder, Nullable):
            self._null(node.operand, holder)
            holder = holder.type
        if self._open(holder):
            return DYN
        wanted: Type
        found: Type
        match holder:
            case ListOf(element):
                wanted, found = INT, element
            case MapOf(wanted_key, value):
                wanted, found = wanted_key, value
            case ObjectOf():
                wanted, found = STRING, as_map(holder).value
            case _:
                self._problem(node.operand, WRONG_TYPE, f"{in_words(holder)} has no elements", None)
                return ERROR
        fits = assign(self.known, (without_null(key),), (wanted,))
        if fits is None:
            message = f"{in_words(holder)} is indexed by {in_words(wanted)}, not by {in_words(key)}"
            self._problem(node.index, WRONG_TYPE, message, None)
            return ERROR
        self.known = fits
        return found

    # Calls and operators --------------------------------------------------------------------------------------------

    def _call(self, node: Call) -> Type:
        parts = node.args if node.target is None else (node.target, *node.args)
        given = [self.visit(part) for part in parts]
        key = (node.name, node.target is not None)
        signatures = _declared(key, len(parts))
        signatures = self._environment.functions.get(key) or signatures
        if not signatures or any(kind(type_) == "error" for type_ in given):
            return ERROR if not signatures else self._result(signatures, given)
        problems = constant_problems(node)
        if problems:
            self.problems += problems
            return self._result(signatures, given)
        found = self._overload(signatures, parts, given)
        if found is None:
            self._no_overload(node, given, signatures)
            return ERROR
        return found

    def _result(self, signatures: Sequence[Signature], given: Sequence[Type]) -> Type:
        """What a call gives in whose arguments something has been reported."""
        results = {each.result for each in signatures if len(each.parameters) == len(given) and not each.variables}
        return results.pop() if len(results) == 1 else ERROR

    def _overload(self, signatures: Sequence[Signature], parts: Sequence[Node], given: Sequence[Type]) -> Type | None:
        """Find the overloads that take the arguments; what they give, or None when there is none."""
        kinds = _certain_kinds(given)
        if not kinds:
            return self._search(signatures, parts, given)
        # For scalars of which the types are certain, the answer depends on nothing else.
        key = id(signatures), kinds
        known = _ANSWERS.get(key)
        if known is None or known[0] is not signatures:
            if len(_ANSWERS) >= limits.CACHE_SIZE:
                _ANSWERS.clear()
            known = _ANSWERS[key] = signatures, self._search(signatures, (), [SCALARS[kind] for kind in kinds])
        return known[1]

    def _search(self, signatures: Sequence[Signature], parts: Sequence[Node], given: Sequence[Type]) -> Type | None:
        candidates = [each for each in signatures if len(each.parameters) == len(given)]
        unknown = [type_ for type_ in map(self._known, given) if isinstance(type_, Variable)]
        if unknown and sum(self._fit(each, given) is not None for each in candidates) > 1:
            # The first overload that fits must not decide what the element of an empty list is.
            self.known = assign(self.known, [DYN] * len(unknown), unknown) or self.known
        certain = not any(is_dyn(part) for type_ in map(self._known, given) for part in (type_, *parts_of(type_)))
        result: Type | None = None
        for each in candidates:
            if result is not None and each.is_fallback and certain:
                continue
            found = self._fit(each, given)
            if found is None:
                continue
            gives, self.known = found
            if result is None:
                if parts:
                    self._nulls(parts, given, each)
                result = self._known(gives)
            elif not is_dyn(result) and self._known(gives) != result:
                result = DYN
        return result

    def _fit(self, declared: Signature, given: Sequence[Type]) -> tuple[Type, Mapping[str, Type]] | None:
        """What a signature gives for some arguments, and what is known then; None where it does not take them."""
        parameters, result = self._instantiate(declared)
        fits = assign(self.known, given, parameters)
        return None if fits is None else (result, fits)

    def _instantiate(self, declared: Signature) -> tuple[tuple[Type, ...], Type]:
        """Give the parameters and the result of a signature, its variables under fresh names: calls must not mix."""
        if not declared.variables:
            return declared.parameters, declared.result
        renamed = {name: self._variable() for name in sorted(declared.variables)}
        parameters = tuple([substitute(renamed, parameter) for parameter in declared.parameters])
        return parameters, substitute(renamed, declared.result)

    def _variable(self) -> Variable:
        self._fresh += 1
        return Variable(f"${self._fresh}")

    def _nulls(self, parts: Sequence[Node], given: Sequence[Type], taken: Signature) -> None:
        """Report arguments that may be null where a null has no meaning."""
        for part, type_, parameter in zip(parts, given, taken.parameters, strict=True):
            found = self._known(type_)
            if isinstance(found, Nullable) and not isinstance(parameter, Variable) and not is_dyn(parameter):
                self._null(part, found)

    def _null(self, node: Node, found: Nullable) -> None:
        path = path_of(node)
        if path is not None and path in self._reported:
            return
        if path is not None:
            self._reported.add(path)
        hint = "test it with != null first"
        self._problem(node, MAY_BE_NULL, f"this may be null, and {in_words(found.type)} is needed", hint)

    def _no_overload(self, node: Call, given: Sequence[Type], signatures: Sequence[Signature]) -> None:
        types = [self._known(type_) for type_ in given]
        owner = types.pop(0) if node.target is not None else None
        if owner is not None and not any(self._takes(each, owner) for each in signatures):
            message = f"{in_words(owner)} has no method `{node.name}`"
        else:
            call = f"`{node.name}`" if owner is None else f"`{node.name}` on {in_words(owner)}"
            message = f"{call} does not take ({', '.join(map(in_words, types))})"
        taken = "; ".join(dict.fromkeys(each.text for each in signatures[:4]))
        hint = "unwrap the optional with orValue(…)" if isinstance(owner, OptionalOf) else f"there is {taken}"
        self._problem(node, WRONG_TYPE, message, hint)

    def _takes(self, declared: Signature, owner: Type) -> bool:
        """Whether a method can be called on a type, whatever its other arguments are."""
        return assign(self.known, (owner,), self._instantiate(declared)[0][:1]) is not None

    def _unary(self, node: Unary) -> Type:
        given = self.visit(node.operand)
        found = self._overload(UNARY[node.operator], (node.operand,), (given,))
        if found is not None:
            return plain(found)
        type_ = self._known(given)
        hint = not_bool_hint(type_) if node.operator == "!" else None
        self._problem(node, WRONG_TYPE, f"`{node.operator}` does not take {in_words(type_)}", hint)
        return ERROR

    def _binary(self, node: Binary) -> Type:
        spine = [node]
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        found = self.visit(spine[-1].left)
        for part in reversed(spine):
            found = self._operation(part, found, self.visit(part.right))
            self.types[part] = found
        return found

    def _operation(self, node: Binary, left: Type, right: Type) -> Type:
        parts, given = (node.left, node.right), (left, right)
        types = (self._known(left), self._known(right))
        if any(kind(type_) == "error" for type_ in types):
            return self._result(OPERATORS[node.operator], given)
        if node.operator in {"==", "!=", "in"}:
            self._never_equal(node, *types)
        found = self._overload(OPERATORS[node.operator], parts, given)
        if found is not None:
            return plain(found)
        if node.operator in {"==", "!="} and "null" in {kind(type_) for type_ in types}:
            other = types[0] if kind(types[1]) == "null" else types[1]
            message = f"{in_words(other)} is never null"
            self._problem(node, NEVER_EQUAL, message, None)
            return BOOL
        message = f"`{node.operator}` does not take {in_words(types[0])} and {in_words(types[1])}"
        self._problem(node, WRONG_TYPE, message, mismatch_hint(node.operator, types, parts))
        return self._result(OPERATORS[node.operator], given)

    def _never_equal(self, node: Binary, left: Type, right: Type) -> None:
        """Report literals that are not among the values which the schema gives the other side."""
        if node.operator == "in":
            elements = node.right.elements if isinstance(node.right, ListNode) else ()
            pairs: list[tuple[Node, Type]] = [(element.value, left) for element in elements]
            if isinstance(node.left, Literal) and isinstance(right, ListOf):
                pairs.append((node.left, self._known(right.element)))
        else:
            pairs = [(node.left, right), (node.right, left)]
        for part, type_ in pairs:
            scalar = without_null(self._known(type_))
            if not isinstance(part, Literal) or not isinstance(scalar, Scalar) or scalar.values is None:
                continue
            value = part.value
            if value is None or value in scalar.values or kind(_LITERALS[value.__class__]) != scalar.kind:
                continue
            shown = ", ".join(_literal_text(each) for each in scalar.values[:8])
            more = ", …" if len(scalar.values) > 8 else ""
            near = _suggestion(str(value), [each for each in scalar.values if isinstance(each, str)])
            hint = near if near and "did you mean" in near else f"it is one of {shown}{more}"
            self._problem(part, NEVER_EQUAL, f"{_literal_text(value)} is never the value here", hint)

    def _logic(self, node: Logic) -> Type:
        # An operand's error is absorbed unless all others leave the answer open, whatever their order.
        every = [implied(operand) for operand in node.operands]
        facts = [part.when_true if node.operator == "&&" else part.when_false for part in every]
        after = [NOTHING]
        for fact in reversed(facts[1:]):
            after.append(after[-1] | fact)
        before = NOTHING
        for operand, fact, rest in zip(node.operands, facts, reversed(after), strict=True):
            found = self.visit(operand, before | rest)
            self._condition(operand, found, f"`{node.operator}` takes true or false")
            before |= fact
        return BOOL

    def _condition(self, node: Node, found: Type, wants: str) -> None:
        type_ = self._known(found)
        if isinstance(type_, Nullable) and kind(type_.type) == "bool":
            self._null(node, type_)
            return
        fits = assign(self.known, (type_,), (BOOL,))
        if fits is None:
            self._problem(node, NOT_BOOL, f"{wants}, and this is {in_words(type_)}", not_bool_hint(type_))
        else:
            self.known = fits

    def _conditional(self, node: Conditional) -> Type:
        self._condition(node.condition, self.visit(node.condition), "the condition before `?` must be true or false")
        follows = implied(node.condition)
        then = self._known(self.visit(node.then, follows.when_true))
        otherwise = self._known(self.visit(node.otherwise, follows.when_false))
        kinds = {kind(then), kind(otherwise)}
        if "error" in kinds:
            return ERROR
        if "null" in kinds and len(kinds) == 2:
            # A value or null is what JSON has many of; CEL's own checkers refuse it.
            return nullable(then if kind(otherwise) == "null" else otherwise)
        fits = assign(self.known, (then,), (otherwise,))
        if fits is None:
            message = f"one branch gives {in_words(then)}, the other {in_words(otherwise)}"
            hint = (
                mismatch_hint("", (then, otherwise), (node.then, node.otherwise))
                or "if that is meant, wrap them in dyn(…)"
            )
            self._problem(node, WRONG_TYPE, message, hint)
            return ERROR
        self.known = fits
        return most_general(then, otherwise)

    # Lists, maps, macros --------------------------------------------------------------------------------------------

    def _list(self, node: ListNode) -> Type:
        found: Type | None = None
        for element in node.elements:
            found = self._joined(found, self._entry(element.value, optional=element.optional))
        return ListOf(self._variable() if found is None else found)

    def _map(self, node: MapNode) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            key = self._joined(key, self.visit(entry.key))
            value = self._joined(value, self._entry(entry.value, optional=entry.optional))
        if key is None or value is None:
            return MapOf(self._variable(), self._variable())
        return MapOf(key, value)

    def _entry(self, node: Node, *, optional: bool) -> Type:
        found = self.visit(node)
        if not optional:
            return found
        found = self._known(found)
        if isinstance(found, OptionalOf):
            return found.value
        if not is_dyn(found):
            self._problem(node, WRONG_TYPE, f"`?` before it needs an optional, and this is {in_words(found)}", None)
        return DYN

    def _joined(self, before: Type | None, found: Type) -> Type:
        found = plain(found)
        if before is None or before is found:
            return found
        general, self.known = join(self.known, self._known(before), self._known(found))
        return general

    def _comprehension(self, node: Comprehension) -> Type:
        source = self._known(self.visit(node.range))
        if isinstance(source, Nullable):
            self._null(node.range, source)
            source = source.type
        first, second = self._elements(node, source)
        self._slots[node.variables[0]] = first
        if len(node.variables) == 2:
            self._slots[node.variables[1]] = second
        facts = NOTHING
        if node.where is not None:
            self._condition(node.where, self.visit(node.where), f"`{node.loop.value}` filters by a condition")
            facts = implied(node.where).when_true
        body = self.visit(node.body, facts)
        return self._macro(node, source, first, body)

    def _elements(self, node: Comprehension, source: Type) -> tuple[Type, Type]:
        """Types of a loop's variables; with one variable, the first is the element or key."""
        both = len(node.variables) == 2
        match source:
            case ListOf(element):
                return (INT, element) if both else (element, element)
            case MapOf(key, value):
                return key, value
            case ObjectOf():
                return STRING, as_map(source).value
            case _:
                pass
        if self._open(source):
            return DYN, DYN
        message = f"`{node.loop.value}` goes over a list or a map, and this is {in_words(source)}"
        hint = "unwrap the optional with orValue([])" if isinstance(source, OptionalOf) else None
        self._problem(node.range, WRONG_TYPE, message, hint)
        return ERROR, ERROR

    def _macro(self, node: Comprehension, source: Type, first: Type, body: Type) -> Type:
        match node.loop:
            case Loop.ALL | Loop.EXISTS | Loop.EXISTS_ONE | Loop.FILTER:
                wants = f"`{node.loop.value}` needs a condition that is true or false"
                self._condition(node.body, body, wants)
                if node.loop is not Loop.FILTER:
                    return BOOL
                return ListOf(narrowed(first, node.variables[0], implied(node.body).when_true))
            case Loop.MAP | Loop.TRANSFORM_LIST:
                return ListOf(plain(body))
            case Loop.SORT_BY:
                return ListOf(first)
            case Loop.TRANSFORM_MAP:
                is_list = isinstance(source, ListOf)
                return MapOf(INT if is_list else first, plain(body))
            case Loop.TRANSFORM_MAP_ENTRY:
                return self._entries(node, body)

    def _entries(self, node: Comprehension, body: Type) -> Type:
        found = self._known(body)
        if isinstance(found, ObjectOf):
            return as_map(found)
        if isinstance(found, MapOf):
            return found
        if not is_dyn(found):
            message = f"`transformMapEntry` needs a map as its result, and this is {in_words(found)}"
            self._problem(node.body, WRONG_TYPE, message, "as in {key: value}")
        return MapOf(DYN, DYN)

    def _bind(self, node: Bind) -> Type:
        for slot, value in zip(node.slots, node.values, strict=True):
            self._slots[slot] = self.visit(value)
        return self.visit(node.body)

    def _optional_map(self, node: OptionalMap) -> Type:
        target = self._known(self.visit(node.target))
        name = "optFlatMap" if node.flat else "optMap"
        if isinstance(target, OptionalOf):
            self._slots[node.slot] = target.value
        else:
            self._slots[node.slot] = DYN
            if not is_dyn(target):
                message = f"`{name}` is for optionals, and this is {in_words(target)}"
                self._problem(node.target, WRONG_TYPE, message, "read the field with .? or [?]")
        body = self.visit(node.body)
        if not node.flat:
            return OptionalOf(plain(body))
        found = self._known(body)
        if isinstance(found, OptionalOf) or is_dyn(found):
            return found
        self._problem(node.body, WRONG_TYPE, f"`optFlatMap` needs an optional, and this is {in_words(found)}", None)
        return ERROR

    # The rest -------------------------------------------------------------------------------------------------------

    def _known(self, type_: Type) -> Type:
        return type_ if type_.__class__ in _WITHOUT_PARTS else substitute(self.known, type_)

    def _open(self, type_: Type) -> bool:
        """Whether nothing is known of a type; it is not found out later, since it was used as something else now."""
        if isinstance(type_, Variable):
            self.known = assign(self.known, (DYN,), (type_,)) or self.known
            return True
        return is_dyn(type_)

    def _problem(self, node: Node, problem_kind: str, message: str, hint: str | None) -> None:
        self.problems.append(Problem(message, node.start, node.end, hint, kind=problem_kind))


#: Types in which nothing is to be found out.
_WITHOUT_PARTS: Final = frozenset({Scalar, ObjectOf})
#: What signatures give for scalars of certain kinds, by identity of the signatures; those are declared once.
_ANSWERS: dict[tuple[int, tuple[str, ...]], tuple[Sequence[Signature], Type | None]] = {}


def _certain_kinds(types: Sequence[Type]) -> tuple[str, ...] | None:
    """List the kinds of types that are all scalars and neither null nor unknown; None for other types."""
    kinds = []
    for type_ in types:
        if not isinstance(type_, Scalar) or type_.kind in _UNCERTAIN:
            return None
        kinds.append(type_.kind)
    return tuple(kinds)


_UNCERTAIN: Final = frozenset({"dyn", "error", "null"})


@cache
def _declared(key: tuple[str, bool], count: int) -> tuple[Signature, ...]:
    """The signatures of one of the language's functions; a last parameter that may be repeated is."""
    function = registry.functions().get(key)
    if function is None:
        return ()
    found = []
    for overload in function.overloads:
        parameters = overload.parameters
        if function.any_count and parameters and count > len(parameters):
            parameters = (*parameters, *[parameters[-1]] * (count - len(parameters)))
        found.append(signature(overload.signature, parameters, overload.result))
    return tuple(found)


def _field_span(node: Select | Has | Index) -> tuple[int, int]:
    match node:
        case Select():
            return node.field_start, node.end
        case Has():
            return node.field_start, node.field_end
        case Index():
            return node.index.start, node.index.end


def _suggestion(word: str, names: list[str]) -> str | None:
    return did_you_mean(word, names).removeprefix("; ") or None


def _literal_text(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _written(path: FactPath, node: Select | Has | Index) -> str:
    """Write a path of names as `has` takes it; empty where it goes through a macro's variable or a position."""
    names = list(path)
    if isinstance(names[0], int):
        inner: Node = node
        while isinstance(inner, Select | Has | Index):
            inner = inner.operand
        names[0] = inner.name if isinstance(inner, Local) else ""
    return ".".join(map(str, names)) if all(isinstance(name, str) and name.isidentifier() for name in names) else ""
