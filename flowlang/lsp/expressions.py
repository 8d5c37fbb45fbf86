"""What can be written in an expression, and what its parts are: by the types that the checker knows there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from flowlang.compiler.expressions import STEP_FIELDS, Place, Seen
from flowlang.expr.check import check_expression, check_text
from flowlang.expr.environment import Environment
from flowlang.expr.errors import ExpressionSyntaxError
from flowlang.expr.lexer import Token, tokenize
from flowlang.expr.program import compile_expression
from flowlang.expr.registry import Function, functions
from flowlang.expr.syntax import Call, Has, Index, Literal, Local, Name, Node, Select, walk
from flowlang.expr.type_words import in_words
from flowlang.expr.types import (
    DYN,
    Field,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    OptionalOf,
    Scalar,
    Type,
    is_dyn,
    kind,
    without_null,
)

#: What the names are that expressions read.
ROOT_DOCS: Final[Mapping[str, str]] = {
    "event": "The event that started the run: `name id time data source user`.",
    "events": "The events of the batch.",
    "steps": "The steps that have ended by here: `steps.ID.output`, `status`, `error`, `attempts`.",
    "run": "The run: `id pipeline version started_at parent root replay_of`.",
    "vars": "Values of the pipeline and the project.",
    "env": "Variables of the environment, read when the project is deployed.",
    "secrets": "Secrets, by name; never stored.",
    "error": "The error that is being handled: `class code message step attempts failed`.",
    "item": "The item of the innermost `foreach`.",
    "index": "The number of the item or round, from 0.",
    "last": "The output of the round before; in the first one `start`, or null.",
    "results": "One entry for each item or round: `item index status output error`.",
    "incoming": "The event that arrives.",
    "body": "The parsed body of the delivery.",
    "headers": "The headers of the delivery, names in lower case.",
}

_STEP_DOCS: Final[Mapping[str, str]] = {
    "status": "`succeeded`, `failed`, `timed_out`, `skipped` or `cancelled`.",
    "output": "What the step gave; only there when it has succeeded.",
    "error": "Why it failed; only there when it has.",
    "attempts": "How many attempts it made.",
    "started_at": "When its first attempt began.",
    "ended_at": "When it ended.",
}

#: Macros, which no registry has: how they are written, and what they do.
MACROS: Final[Mapping[str, tuple[str, str, bool]]] = {
    "has": ("has(a.b)", "Whether a field is there.", False),
    "all": ("list.all(x, condition)", "Whether it holds for each element.", True),
    "exists": ("list.exists(x, condition)", "Whether it holds for an element.", True),
    "exists_one": ("list.exists_one(x, condition)", "Whether it holds for exactly one element.", True),
    "filter": ("list.filter(x, condition)", "The elements for which it holds.", True),
    "map": ("list.map(x, value)", "A list of what is made of each element.", True),
}

_BINDERS: Final = frozenset({"all", "exists", "exists_one", "filter", "map", "sortBy", "transformList"})
_OPENERS: Final = {"RPAR": "LPAR", "RSQB": "LSQB"}


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that can be written.

    Attributes:
        name: What is inserted.
        kind: `field`, `name`, `step`, `function` or `method`.
        detail: Its type or signature.
        doc: A sentence about it.
    """

    name: str
    kind: str
    detail: str = ""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression that somebody points at.

    Attributes:
        start: Offset of its last name in the expression.
        end: Offset behind it.
        path: Names that lead to it, when it is a chain of plain selections.
        type: Of its value; None for a function.
        function: The name of the function.
    """

    start: int
    end: int
    path: tuple[str, ...] = ()
    type: Type | None = None
    function: str = ""


def offers(before: str, seen: Seen) -> tuple[list[Offer], int]:
    """What can be written at the end of an expression's beginning.

    Args:
        before: The expression up to the cursor.
        seen: What can be read there.

    Returns:
        The offers, and how many characters of the word are typed already.
    """
    tokens = list(tokenize(before, strict=False))
    word = tokens.pop() if tokens and _is_word(tokens[-1]) and tokens[-1].end_pos == len(before) else None
    typed = 0 if word is None else len(word.value)
    if tokens and tokens[-1].type == "STRAY" and tokens[-1].value in "'\"":
        return [], typed  # inside a text
    if tokens and tokens[-1].type == "QMARK" and len(tokens) > 1 and tokens[-2].type == "DOT":
        tokens.pop()
    if not tokens or tokens[-1].type != "DOT":
        return [*_roots(before, seen), *_functions()], typed
    operand = _operand(before, tokens[:-1])
    if not operand:
        return [], typed
    return _members(operand, before, seen), typed


def _is_word(token: Token) -> bool:
    return token.type in {"IDENT", "TRUE", "FALSE", "NULL", "IN"}


def _operand(text: str, tokens: list[Token]) -> str:
    """The text of what stands before a dot: names, calls and selections without a gap."""
    start = None
    place = len(tokens) - 1
    while place >= 0:
        token = tokens[place]
        if token.type in _OPENERS:
            place = _opening(tokens, place)
            if place < 0:
                return ""
            start = tokens[place].start_pos
            before = tokens[place - 1] if place else None
            if before is None or not (_is_word(before) or before.type in _OPENERS):
                break
            place -= 1
            continue
        if token.type not in {"IDENT", "STRING", "QUOTED"}:
            break
        start = token.start_pos
        place -= 1
        if place >= 0 and tokens[place].type == "QMARK" and place and tokens[place - 1].type == "DOT":
            place -= 1
        if place < 0 or tokens[place].type != "DOT":
            break
        place -= 1
    return "" if start is None else text[start : tokens[-1].end_pos]


def _opening(tokens: list[Token], place: int) -> int:
    """The place of the bracket that one closes; -1 when there is none."""
    depth = 0
    closing, opening = tokens[place].type, _OPENERS[tokens[place].type]
    while place >= 0:
        depth += (tokens[place].type == closing) - (tokens[place].type == opening)
        if depth == 0:
            return place
        place -= 1
    return -1


def _roots(before: str, seen: Seen) -> Iterator[Offer]:
    for name, type_ in _variables(before, seen).items():
        yield Offer(name, "name", shown(type_), "")
    for name in sorted(seen.place.names):
        yield Offer(name, "name", shown(seen.environment.variables.get(name, DYN)), ROOT_DOCS.get(name, ""))


def _functions() -> Iterator[Offer]:
    for (name, method), function in functions().items():
        if not method:
            yield Offer(name, "function", signatures(function), function.sentence)
    for name, (form, sentence, method) in MACROS.items():
        if not method:
            yield Offer(name, "function", form, sentence)


def _members(operand: str, before: str, seen: Seen) -> list[Offer]:
    if operand == "steps":
        return [_step(name, seen) for name in sorted(seen.place.steps)]
    if operand == "vars":
        types = seen.environment.variables.get("vars")
        known = types.fields if isinstance(types, ObjectOf) else {}
        types_of = {name: known[name].type if name in known else DYN for name in sorted(seen.place.vars)}
        return [Offer(name, "field", shown(type_)) for name, type_ in types_of.items()]
    environment = seen.environment
    variables = _variables(before, seen)
    environment = replace(environment, variables={**environment.variables, **variables})
    found = _look_through(check_text(operand, environment).type)
    fields = [
        Offer(name, "field", shown_field(field), _STEP_DOCS.get(name, "") if _is_step(operand) else "")
        for name, field in (found.fields.items() if isinstance(found, ObjectOf) else ())
    ]
    namespace = [
        Offer(name.removeprefix(f"{operand}."), "function", signatures(function), function.sentence)
        for (name, method), function in functions().items()
        if not method and name.startswith(f"{operand}.")
    ]
    if namespace:
        return namespace
    return fields + _methods(found)


def _is_step(operand: str) -> bool:
    return operand.startswith("steps.") and operand.count(".") == 1


def _step(name: str, seen: Seen) -> Offer:
    steps = seen.environment.variables.get("steps")
    field = steps.field(name) if isinstance(steps, ObjectOf) else None
    output = field.type.fields["output"].type if field is not None and isinstance(field.type, ObjectOf) else DYN
    return Offer(name, "step", f"its output is {in_words(output)}")


def _methods(target: Type) -> list[Offer]:
    wanted = kind(target)
    found = []
    for (name, method), function in functions().items():
        takes = {overload.parameters[0].partition("<")[0] for overload in function.overloads if overload.parameters}
        fits = wanted in takes or any(len(each) == 1 or each == "dyn" for each in takes)
        if method and (fits or (is_dyn(target) and wanted != "error")):
            found.append(Offer(name, "method", signatures(function), function.sentence))
    if wanted in {"list", "map", "dyn"}:
        found += [Offer(name, "method", form, doc) for name, (form, doc, method) in MACROS.items() if method]
    return found


def _variables(before: str, seen: Seen) -> dict[str, Type]:
    """The variables of the macros that are open at the end of a text."""
    tokens = list(tokenize(before, strict=False))
    open_calls: list[int] = []
    for place, token in enumerate(tokens):
        if token.type == "LPAR":
            open_calls.append(place)
        elif token.type == "RPAR" and open_calls:
            open_calls.pop()
    found: dict[str, Type] = {}
    for place in open_calls:
        named = tokens[place + 1 : place + 3]
        is_macro = (
            place >= 3
            and tokens[place - 1].value in _BINDERS
            and tokens[place - 2].type == "DOT"
            and len(named) == 2
            and (named[0].type, named[1].type) == ("IDENT", "COMMA")
        )
        if is_macro:
            operand = _operand(before, tokens[: place - 2])
            environment = replace(seen.environment, variables={**seen.environment.variables, **found})
            type_ = _look_through(check_text(operand, environment).type) if operand else DYN
            found[named[0].value] = type_.element if isinstance(type_, ListOf) else _key_of(type_)
    return found


def _key_of(type_: Type) -> Type:
    return type_.key if isinstance(type_, MapOf) else DYN


def _look_through(type_: Type) -> Type:
    """What an optional or nullable type holds."""
    if isinstance(type_, OptionalOf):
        return _look_through(type_.value)
    return without_null(type_)


def part_at(text: str, offset: int, environment: Environment) -> Part | None:
    """The part of an expression at an offset: the name there, with all that leads to it.

    Args:
        text: The expression.
        offset: In it; behind the name's last character still counts.
        environment: What it may read.

    Returns:
        None where no name is, or the expression cannot be parsed.
    """
    try:
        expression = compile_expression(text)
    except ExpressionSyntaxError:
        return None
    types = check_expression(expression, environment).types
    for node in walk(expression.root):
        name = _name_span(node)
        if name is None or not name[0] <= offset <= name[1]:
            continue
        if isinstance(node, Call):
            return Part(*name, function=node.name)
        type_ = types.get(node)
        if isinstance(node, Has):
            type_ = _field_type(types.get(node.operand), node.field)
        return Part(*name, path=_path(node), type=type_ if type_ is not None else DYN)
    return None


def _field_type(owner: Type | None, name: str) -> Type:
    holder = None if owner is None else _look_through(owner)
    field = holder.field(name) if isinstance(holder, ObjectOf) else None
    return DYN if field is None else field.type


def _name_span(node: Node) -> tuple[int, int] | None:
    match node:
        case Name() | Local():
            return node.start, node.end
        case Select():
            return node.field_start, node.end
        case Has():
            return node.field_start, node.field_end
        case Index(index=Literal(value=str())):
            return node.index.start, node.index.end
        case Call():
            return node.name_start, node.name_end
        case _:
            return None


def _path(node: Node) -> tuple[str, ...]:
    names: list[str] = []
    while True:
        match node:
            case Name():
                return (node.name, *reversed(names))
            case Select() | Has():
                names.append(node.field)
                node = node.operand
            case Index(index=Literal(value=str() as key)):
                names.append(key)
                node = node.operand
            case _:
                return ()


def shown(type_: Type) -> str:
    """A type as editors show it: objects with their fields."""
    match type_:
        case Scalar(values=tuple() as values):
            return " | ".join(f'"{value}"' if isinstance(value, str) else str(value).lower() for value in values)
        case Scalar(kind="dyn" | "error"):
            return "any value"
        case ListOf(element):
            return f"list of {shown(element)}"
        case MapOf(_, value):
            return f"map of {shown(value)}"
        case OptionalOf(value):
            return f"optional {shown(value)}"
        case Nullable(inner):
            return f"{shown(inner)} or null"
        case ObjectOf():
            names = ", ".join(f"{name}{'' if field.required else '?'}" for name, field in type_.fields.items())
            return f"{{{names}{', …' if type_.rest is not None else ''}}}"
        case _:
            return str(type_)


def shown_field(field: Field) -> str:
    """A field's type, and whether it may be missing."""
    return shown(field.type) if field.required else f"{shown(field.type)}, may be missing"


def signatures(function: Function) -> str:
    """The signatures of a function, one a line."""
    return "\n".join(overload.signature for overload in function.overloads)


def function_docs(name: str) -> tuple[str, str] | None:
    """Signatures and sentence of a function, method or macro; None for an unknown one."""
    if name in MACROS:
        return MACROS[name][:2]
    for method in (False, True):
        function = functions().get((name, method))
        if function is not None:
            return signatures(function), function.sentence
    return None


def name_docs(path: tuple[str, ...]) -> str:
    """What there is to say of a name that an expression reads, beside its type."""
    if len(path) == 1:
        return ROOT_DOCS.get(path[0], "")
    if len(path) == 3 and path[0] == "steps" and path[2] in STEP_FIELDS:
        return _STEP_DOCS[path[2]]
    return ""


def everywhere(names: frozenset[str], steps: frozenset[str], variables: frozenset[str]) -> Seen:
    """What can be read where nothing more is known.

    Args:
        names: Root names.
        steps: Ids of steps.
        variables: Names of vars.
    """
    place = Place(names, steps=steps, vars=variables)
    return Seen((), place, Environment(dict.fromkeys(names, DYN), closed=False))


#: An id, by its form alone.
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
