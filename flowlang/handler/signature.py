"""Handlers as data: what a handler is called, takes and promises, without the function.

Owns the data type that the compiler checks pipelines against, and the rules that every declaration keeps. It leaves
reading source files to `flowlang.project.signatures` and reading live functions to `flowlang.handler.definition`; both
must give equal signatures.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

from flowlang import jsondata
from flowlang.durations import DurationError, parse_duration

Effect: TypeAlias = Literal["pure", "idempotent", "keyed", "once"]
JsonValue: TypeAlias = Any

EFFECTS: Final[tuple[str, ...]] = get_args(Effect)
NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
#: Names of one word are FlowLang's own.
OWN_NAMES: Final = frozenset({"log"})


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of a handler, given by name from `with`."""

    name: str
    required: bool
    annotation_text: str | None
    has_default: bool

    def to_json(self) -> dict[str, JsonValue]:
        """Return the parameter as plain JSON data."""
        return {
            "name": self.name,
            "required": self.required,
            "annotation": self.annotation_text,
            "has_default": self.has_default,
        }

    @classmethod
    def from_json(cls, data: dict[str, JsonValue]) -> Param:
        """Read what `to_json` wrote."""
        return cls(data["name"], data["required"], data["annotation"], data["has_default"])


@dataclass(frozen=True, slots=True)
class Signature:
    """What the compiler knows of a handler.

    `params` leaves out the parameter that takes the `Context`. `path` is relative to the project for its own handlers;
    `line` and `column` count from 1 and point at the function's decorator.
    """

    name: str
    params: tuple[Param, ...]
    accepts_extra: bool
    effect: str | None
    timeout: str | None
    retry: JsonValue
    is_async: bool
    returns: str | None
    path: str
    line: int
    column: int

    @property
    def digest(self) -> str:
        """SHA-256 of what the handler promises; moving it within a file or project does not change it."""
        promise = self.to_json()
        for place in ("path", "line", "column"):
            del promise[place]
        return jsondata.digest(promise)

    @property
    def place(self) -> str:
        """Where it is declared, as `path:line:column`."""
        return f"{self.path}:{self.line}:{self.column}"

    def param(self, name: str) -> Param | None:
        """Return the parameter of that name, or None."""
        return next((param for param in self.params if param.name == name), None)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the signature as plain JSON data."""
        return {
            "name": self.name,
            "params": [param.to_json() for param in self.params],
            "accepts_extra": self.accepts_extra,
            "effect": self.effect,
            "timeout": self.timeout,
            "retry": self.retry,
            "is_async": self.is_async,
            "returns": self.returns,
            "path": self.path,
            "line": self.line,
            "column": self.column,
        }

    @classmethod
    def from_json(cls, data: dict[str, JsonValue]) -> Signature:
        """Read what `to_json` wrote."""
        fields = {**data, "params": tuple(Param.from_json(param) for param in data["params"])}
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class HintSchemas:
    """The hints of one handler.

    Attributes:
        arguments: Schemas of what it takes, by name; an argument that is left out takes anything.
        returns: Schema of what it gives; True: anything.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    returns: Any = True

    def to_json(self) -> dict[str, Any]:
        """Return the schemas as plain JSON data."""
        return {"arguments": dict(self.arguments), "returns": self.returns}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HintSchemas:
        """Read what `to_json` wrote."""
        return cls(data["arguments"], data["returns"])


def declaration_problems(name: object, effect: object, timeout: object, retry: object) -> list[str]:
    """Check what `@handler(…)` was given.

    Returns:
        One sentence a problem, each saying what would be right; empty when all is well.
    """
    problems = []
    if not isinstance(name, str) or not (NAME_PATTERN.fullmatch(name) or name in OWN_NAMES):
        problems.append(
            f"the handler name {name!r} must be lower-case words joined by dots, such as 'mux.create_asset'"
        )
    if effect is not None and effect not in EFFECTS:
        problems.append(f"effect={effect!r} must be one of {', '.join(map(repr, EFFECTS))}")
    if timeout is not None and (problem := _timeout_problem(timeout)):
        problems.append(f"timeout={timeout!r} must be a duration with a unit, such as '30s' or '2m': {problem}")
    if retry is not None and not isinstance(retry, str | dict | list):
        problems.append(f"retry={retry!r} must be a policy, a list of policies or the name of one in flowlang.yaml")
    if retry is not None and effect == "once":
        problems.append("retry= cannot be used with effect='once': such a handler is never repeated")
    if isinstance(retry, dict | list):
        try:
            jsondata.check(retry)
        except jsondata.JsonError as error:
            problems.append(f"retry= must be plain data: {error}")
    return problems


def _timeout_problem(timeout: object) -> str:
    if not isinstance(timeout, str):
        return "it is no text"
    try:
        return "" if parse_duration(timeout) else "it leaves no time"
    except DurationError as error:
        return error.message


def duplicate_message(name: str, first: str, second: str) -> str:
    """Say that two functions have one handler name, with both places."""
    return f"the handler {name!r} is declared twice: at {first} and at {second}; give one of them another name"


def annotation_texts(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
    """Return the written type hints of a function's syntax tree, `return` included, in one normal form."""
    notes = {argument.arg: argument.annotation for argument in (*node.args.args, *node.args.kwonlyargs)}
    notes["return"] = node.returns
    return {name: hint_text(note) for name, note in notes.items() if note is not None}


def hint_text(note: ast.expr) -> str:
    """Write a type hint in one normal form; a hint in quotes is the hint within."""
    if isinstance(note, ast.Constant) and isinstance(note.value, str):
        text = note.value
        try:
            note = ast.parse(text, mode="eval").body
        except SyntaxError:
            return text
    return ast.unparse(note)
