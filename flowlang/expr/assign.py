"""Which types fit where, and what they have in common: unification as CEL's checkers do it.

The rules are cel-go's (`checker/types.go`): a variable takes the most general of the types that it meets, `dyn` fits
everywhere, and null fits where messages, timestamps, durations or optionals are wanted. Types from schemas add: an
object fits where a map of texts is wanted, and a nullable type fits wherever the type without null does; whether a
null is really excluded there is the checker's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flowlang.expr.types import (
    DYN,
    STRING,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    Opaque,
    OptionalOf,
    Scalar,
    Type,
    TypeOf,
    Variable,
    is_dyn,
    kind,
    nullable,
    parts,
    plain,
    without_null,
)

#: What is known of the variables.
Substitution = Mapping[str, Type]

#: Kinds that a place for any `number` takes.
_NUMBERS: Final = frozenset({"int", "uint", "double"})
#: Kinds that null fits, as the checkers of CEL have it for historical reasons.
_NULL_FITS: Final = frozenset({"timestamp", "duration", "optional", "null", "nullable"})


def assign(known: Substitution, given: Iterable[Type], wanted: Iterable[Type]) -> Substitution | None:
    """Fit types into the places of others.

    Args:
        known: What is known of the variables so far; it is not changed.
        given: The types that are there.
        wanted: The types of their places, as many.

    Returns:
        What is known of the variables then, or None when a type does not fit.
    """
    found = dict(known)
    return found if all(_fits(found, a, b) for a, b in zip(given, wanted, strict=True)) else None


def _fits(known: dict[str, Type], given: Type, wanted: Type) -> bool:
    if isinstance(wanted, Variable):
        fits, bound = _bind(known, given, wanted)
        if fits or bound:
            return fits
    if isinstance(given, Variable):
        return _bind(known, wanted, given)[0]
    if is_dyn(given) or is_dyn(wanted):
        return True
    if isinstance(given, Nullable) or isinstance(wanted, Nullable):
        return "null" in {kind(given), kind(wanted)} or _fits(known, without_null(given), without_null(wanted))
    if kind(given) == "null" or kind(wanted) == "null":
        other = wanted if kind(given) == "null" else given
        return kind(other) in _NULL_FITS or isinstance(other, Opaque)
    return _same_shape(known, given, wanted)


def _same_shape(known: dict[str, Type], given: Type, wanted: Type) -> bool:
    match given, wanted:
        case (ObjectOf(), ObjectOf()):
            return True
        case (ObjectOf(), MapOf()):
            return _all_fit(known, parts(as_map(given)), parts(wanted))
        case (MapOf(), ObjectOf()):
            return _all_fit(known, parts(given), parts(as_map(wanted)))
        case (Scalar(), Scalar()):
            return given.kind == wanted.kind
        case (Scalar(), Opaque("number")):
            return given.kind in _NUMBERS
        case (TypeOf(), TypeOf()):
            return True
        case (Opaque(name, a), Opaque(other, b)):
            return name == other and len(a) == len(b) and _all_fit(known, a, b)
        case (ListOf(), ListOf()) | (MapOf(), MapOf()) | (OptionalOf(), OptionalOf()):
            return _all_fit(known, parts(given), parts(wanted))
        case _:
            return False


def _all_fit(known: dict[str, Type], given: Iterable[Type], wanted: Iterable[Type]) -> bool:
    """Fit parts, of which either all bind variables or none do."""
    found = assign(known, given, wanted)
    if found is None:
        return False
    known.update(found)
    return True


def _bind(known: dict[str, Type], type_: Type, variable: Variable) -> tuple[bool, bool]:
    """Take a type for a variable. Tells whether it can be, and whether the variable was known before."""
    if type_ == variable:
        return True, True
    before = known.get(variable.name)
    if before is None:
        if _mentions(known, variable, type_):
            return False, False
        known[variable.name] = type_
        return True, False
    if type_ == before:
        return True, True
    if not _fits(known, type_, before):
        return False, True
    general = most_general(type_, before)
    if not _mentions(known, variable, general):
        known[variable.name] = general
    return True, True


def _mentions(known: Substitution, variable: Variable, type_: Type) -> bool:
    """Whether a type holds a variable, followed through what is known: then it cannot stand for it."""
    if isinstance(type_, Variable):
        if type_ == variable:
            return True
        other = known.get(type_.name)
        return other is not None and _mentions(known, variable, other)
    inner = parts(type_)
    return bool(inner) and any(_mentions(known, variable, part) for part in inner)


def most_general(a: Type, b: Type) -> Type:
    """Choose, of two types that fit each other, the one that has the values of both.

    Args:
        a: A type.
        b: A type that fits it.

    Returns:
        The more general one; what only one of them says of its values is dropped.
    """
    if a == b:
        return a
    if isinstance(a, Nullable) or isinstance(b, Nullable):
        if "null" in {kind(a), kind(b)}:
            return a if isinstance(a, Nullable) else b
        return nullable(most_general(without_null(a), without_null(b)))
    if kind(a) == "null":
        return b
    if kind(b) == "null":
        return a
    if isinstance(a, Scalar) and isinstance(b, Scalar) and a.kind == b.kind:
        return plain(a)
    if isinstance(a, ObjectOf) or isinstance(b, ObjectOf):
        return _general_object(a, b)
    merged = _merged(a, b)
    if merged is not None:
        return merged
    return a if _less_specific(a, b) else b


def _general_object(a: Type, b: Type) -> Type:
    """Objects of different make have only in common that they are maps; beside a map, an object is one too."""
    if is_dyn(a) or is_dyn(b) or isinstance(a, Variable) or isinstance(b, Variable):
        return a if _less_specific(a, b) else b
    if isinstance(a, ObjectOf) and isinstance(b, ObjectOf):
        return MapOf(STRING, DYN)
    return most_general(*(as_map(one) if isinstance(one, ObjectOf) else one for one in (a, b)))


def _merged(a: Type, b: Type) -> Type | None:
    """Generalise part by part where both have parts; a variable stands aside for what the other says."""
    match a, b:
        case ListOf(x), ListOf(y):
            return ListOf(most_general(x, y))
        case OptionalOf(x), OptionalOf(y):
            return OptionalOf(most_general(x, y))
        case MapOf(k, x), MapOf(other, y):
            return MapOf(most_general(k, other), most_general(x, y))
        case Opaque(name, xs), Opaque(_, ys) if len(xs) == len(ys):
            return Opaque(name, tuple(map(most_general, xs, ys)))
        case _:
            return None


def _less_specific(a: Type, b: Type) -> bool:
    if is_dyn(a) or isinstance(a, Variable):
        return True
    return not (is_dyn(b) or isinstance(b, Variable)) and kind(a) == kind(b)


def join(known: Substitution, a: Type, b: Type) -> tuple[Type, Substitution]:
    """Find a type for elements that stand beside each other, such as in a list.

    Args:
        known: What is known of the variables.
        a: The type so far.
        b: The type of the next element.

    Returns:
        A type for both, `dyn` when they have nothing in common, and what is known of the variables then.
    """
    found = assign(known, (a,), (b,))
    return (DYN, known) if found is None else (most_general(a, b), found)


def as_map(object_: ObjectOf) -> MapOf:
    """See an object as a map of texts.

    Args:
        object_: Any object.

    Returns:
        A map whose values have the type that all fields share, or `dyn`. An object without a type for unnamed fields
        may have such fields all the same: a schema that is silent on them allows them.
    """
    types = [field.type for field in object_.fields.values()]
    if object_.rest is None or any(type_ != object_.rest for type_ in types):
        return MapOf(STRING, DYN)
    return MapOf(STRING, object_.rest)


def substitute(known: Substitution, type_: Type, *, unknown: Type | None = None) -> Type:
    """Put what is known of variables into a type.

    Args:
        known: What is known.
        type_: Any type.
        unknown: Stands for variables of which nothing is known; None leaves them.

    Returns:
        The type.
    """
    if type_.__class__ is Scalar or type_.__class__ is ObjectOf:
        return type_
    match type_:
        case Variable(name):
            found = known.get(name)
            if found is not None:
                return substitute(known, found, unknown=unknown)
            return type_ if unknown is None else unknown
        case ListOf(element):
            return ListOf(substitute(known, element, unknown=unknown))
        case MapOf(key, value):
            return MapOf(substitute(known, key, unknown=unknown), substitute(known, value, unknown=unknown))
        case OptionalOf(value):
            return OptionalOf(substitute(known, value, unknown=unknown))
        case TypeOf(value):
            return TypeOf(substitute(known, value, unknown=unknown))
        case Nullable(value):
            return nullable(substitute(known, value, unknown=unknown))
        case Opaque(name, parameters):
            return Opaque(name, tuple(substitute(known, part, unknown=unknown) for part in parameters))
        case _:
            return type_
