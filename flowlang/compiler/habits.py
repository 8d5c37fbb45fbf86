"""What people write in expressions and values who come from other tools, and what they mean.

Hints for functions, names and fields that do not exist; and texts that are no expressions but would be elsewhere. Such
a text is only spoken of where it certainly names something: a text may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from flowlang.compiler.unbraced import Unbraced
from flowlang.expr.environment import Environment
from flowlang.expr.errors import UNKNOWN_FIELD, Problem
from flowlang.expr.types import ListOf, Nullable, ObjectOf, OptionalOf, Type, is_dyn

_STATUS: Final = (
    "test `steps.ID.status == 'succeeded'`, or leave it out: a step runs when those before it have ended well"
)
_FAILED: Final = "what a failure calls for stands in `catch` of the step or `on_failure` of the pipeline"

#: Function of another language → what is written here.
FUNCTIONS: Final[Mapping[str, str]] = {
    "success": _STATUS,
    "failure": _FAILED,
    "always": "what runs in any case stands in `finally` of the step",
    "cancelled": "what runs in any case, also on cancel, stands in `finally` of the step",
    "toJSON": "it is written `json(x)`",
    "toJson": "it is written `json(x)`",
    "fromJSON": "JSON is parsed by handlers; data of events and outputs is parsed already",
    "fromJson": "JSON is parsed by handlers; data of events and outputs is parsed already",
    "contains": "it is written `text.contains('x')`, and of lists `'x' in list`",
    "startsWith": "it is written `text.startsWith('x')`",
    "endsWith": "it is written `text.endsWith('x')`",
    "format": "it is written `'%s'.format([x])`, or as a text with several `${{ }}`",
    "join": "it is written `list.join(',')`",
    "hashFiles": "of values it is `hash(x)`",
    "secret": "it is written `secrets.NAME`",
    "env": "it is written `env.NAME`, in `vars`",
    "envs": "it is written `env.NAME`, in `vars`",
    "not": "`not x` is written `!x`",
    "len": "it is written `size(x)`",
    "length": "it is written `size(x)`",
    "count": "it is written `size(x)`",
    "str": "it is written `string(x)`",
    "float": "it is written `double(x)`",
    "number": "it is written `int(x)` or `double(x)`",
    "lower": "it is written `text.lowerAscii()`",
    "upper": "it is written `text.upperAscii()`",
    "outputs": "it is written `steps.ID.output`",
    "coalesce": "it is written `a.?b.orValue(c)`",
    "default": "it is written `a.?b.orValue(c)`",
}

#: Root name of another language → what is read here.
ROOTS: Final[Mapping[str, str]] = {
    "None": "it is written `null`",
    "True": "it is written `true`",
    "False": "it is written `false`",
    "nil": "it is written `null`",
    "undefined": "an absent field is read with `.?` or tested with `has(…)`",
    "needs": "a step's output is `steps.ID.output`",
    "job": "what is running is `run`",
    "runner": "what is running is `run`",
    "flow": "what is running is `run`",
    "taskrun": "a step's output is `steps.ID.output`",
    "step": "a step's output is `steps.ID.output`",
    "task": "a step's output is `steps.ID.output`",
    "matrix": "the item of a `foreach` is `item`, or what `as` calls it",
    "states": "the event that started the run is `event`, a step's output is `steps.ID.output`",
    "input": "a call's data is `event.data`",
    "params": "a call's data is `event.data`",
    "payload": "the data of the event is `event.data`",
    "data": "the data of the event is `event.data`",
}

#: Operator of another language → what is written here.
_SIGNS: Final[Mapping[str, str]] = {
    "??": "a default is written `a.?b.orValue(c)`",
    "===": "`===` is written `==`",
    "!==": "`!==` is written `!=`",
    "<>": "`<>` is written `!=`",
}

_NO_FUNCTION = re.compile(r"no such function `(\w+)`")
_NO_FIELD = re.compile(r".+ has no field `(\w+)`")
_SIZES: Final = frozenset({"length", "len", "count", "size"})
#: What other tools call the data of an event.
_DATA: Final = frozenset({"body", "payload", "detail", "json", "params", "content", "client_payload", "inputs"})


def hint_of(problem: Problem, text: str, environment: Environment | None) -> str | None:
    """The hint for a problem of an expression: what is meant, where a habit explains it, else the problem's own.

    Args:
        problem: The problem.
        text: What its offsets count in.
        environment: What the expression may read; None: unknown.
    """
    function = _NO_FUNCTION.fullmatch(problem.message)
    if function is not None and function[1] in FUNCTIONS:
        return FUNCTIONS[function[1]]
    field = _NO_FIELD.fullmatch(problem.message)
    if field is not None and problem.kind == UNKNOWN_FIELD and problem.message.startswith("the event has"):
        return _event_field(field[1], environment) or problem.hint
    if field is not None and field[1] in _SIZES and problem.kind != UNKNOWN_FIELD:
        return "it is written `size(x)`"
    return next((hint for sign, hint in _SIGNS.items() if _stands(sign, text, problem)), problem.hint)


def _stands(sign: str, text: str, problem: Problem) -> bool:
    """Whether a problem is one of the characters of a sign."""
    found = text.find(sign, max(problem.start - len(sign) + 1, 0))
    return 0 <= found <= problem.start < found + len(sign)


def _event_field(name: str, environment: Environment | None) -> str | None:
    event = None if environment is None else environment.variables.get("event")
    data = event.fields["data"].type if isinstance(event, ObjectOf) and "data" in event.fields else None
    if isinstance(data, ObjectOf) and name in data.fields:
        return f"it is `event.data.{name}`"
    return "the data of the event is `event.data`" if name in _DATA else None


# -- texts that are no expressions ------------------------------------------------------------------------------------


_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[[0-9]+\])+", re.ASCII)
_BRACES = re.compile(r"(?<![${])\{\{-?\s*([A-Za-z_][\w.\[\]]*)\s*(?:\|[^{}]*)?-?\}\}(?!\})", re.ASCII)
_JSON_PATH = re.compile(r"\$\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[[0-9]+\])*)", re.ASCII)
_SEGMENT = re.compile(r"\w+")
_SECRET = re.compile(r"[A-Z][A-Z0-9_]*")

#: An argument of such a name may well take the path of something.
_TAKES_PATHS = re.compile(r"path|query|select|pointer|filter|expr|field|key|column", re.IGNORECASE)

_STEP_FIELDS: Final = frozenset({"status", "output", "error", "attempts", "started_at", "ended_at"})


@dataclass(frozen=True, slots=True)
class Known:
    """What a text may name where it stands.

    Attributes:
        steps: Ids of steps that can be seen.
        vars: Names of vars.
        environment: Root names with their types.
    """

    steps: frozenset[str]
    vars: frozenset[str]
    environment: Environment

    def refutes(self, path: str) -> bool:
        """Whether a path certainly leads to nothing: its owner is known to have no such field, as of `run.began`."""
        root, *names = _SEGMENT.findall(path)
        if root == "vars":
            return names[0] not in self.vars
        type_ = self.environment.variables.get(root)
        for name in names if root != "steps" else ():
            field = type_.field(name) if isinstance(type_, ObjectOf) else None
            if field is None:
                return isinstance(type_, ObjectOf)
            type_ = field.type
        return False

    def resolves(self, path: str) -> bool:
        """Whether a path certainly leads to something: a root and a field that are known, and none that is not."""
        root, *names = _SEGMENT.findall(path)
        if root not in self.environment.variables or not names:
            return False
        if root == "steps":
            return len(names) > 1 and names[0] in self.steps and names[1] in _STEP_FIELDS
        if root == "vars":
            return names[0] in self.vars
        if root == "secrets":
            return len(names) == 1 and _SECRET.fullmatch(names[0]) is not None
        return self._leads(self.environment.variables[root], names)

    def _leads(self, type_: Type, names: list[str]) -> bool:
        certain = False
        for name in names:
            while isinstance(type_, Nullable | OptionalOf):
                type_ = type_.type if isinstance(type_, Nullable) else type_.value
            if is_dyn(type_):
                return certain
            if name.isdecimal() and isinstance(type_, ListOf):
                type_ = type_.element
                continue
            field = type_.fields.get(name) if isinstance(type_, ObjectOf) else None
            if field is None:
                return False
            certain, type_ = True, field.type
        return certain

    def meant(self, path: str) -> str | None:
        """What a path of FlowLang, Kestra or Step Functions reads here; None when that is not certain."""
        if self.resolves(path):
            return path
        root, _, rest = path.partition(".")
        candidates = [f"event.data.{path}"]
        if root in {"inputs", "trigger", "input", "event"} and rest:
            candidates.append(f"event.data.{rest.removeprefix('body.')}")
        if root == "outputs" and rest:
            step, _, field = rest.partition(".")
            candidates.append(f"steps.{step}.output{f'.{field}' if field else ''}")
        return next((each for each in candidates if self.resolves(each)), None)


def may_be_meant(text: str, name: str, known: Known) -> bool:
    """Whether nothing that is known of the data speaks against a path in a text.

    Args:
        text: `event.data.id`, which is looked into; in braces it is meant whatever the data has.
        name: The key that it stands under.
        known: What it may name.
    """
    if _PATH.fullmatch(text) is None:
        return True
    return not _TAKES_PATHS.search(name) and not known.refutes(text)


def foreign(text: str, name: str, known: Known) -> Iterator[Unbraced]:
    """What of a text other tools would compute by names that are theirs: Kestra's `inputs`, a JSONPath.

    Args:
        text: Without `${{ }}`.
        name: The key that it stands under.
        known: What it may name.
    """
    for braces in _BRACES.finditer(text):
        meant = known.meant(braces[1])
        if meant is not None:
            message = f"`{braces[0]}` stays as it is: an expression stands in `${{{{ }}}}`"
            yield Unbraced("FL226", message, f"did you mean `${{{{ {meant} }}}}`?", braces.start(), braces.end())
    json_path = _JSON_PATH.fullmatch(text)
    meant = known.meant(json_path[1]) if json_path is not None and not _TAKES_PATHS.search(name) else None
    if meant is not None:
        message = f"`{text}` is a text here, and no path into the data"
        yield Unbraced("FL152", message, f"did you mean `${{{{ {meant} }}}}`?", 0, len(text))
