"""Read handlers as data from their source, without importing it.

Owns finding `@handler(…)` in syntax trees under whatever name it was imported. What a file computes while it runs is
not seen: a handler whose declaration is not plain literals is a problem, said with its place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from flowlang.handler.files import HandlerFile, built_in_files, installed_files, project_files
from flowlang.handler.signature import Param, Signature, annotation_texts, declaration_problems, duplicate_message

_DECORATORS = frozenset({"flowlang.handler", "flowlang.handler.handler", "flowlang.handler.declare.handler"})
_CONTEXTS = frozenset({"flowlang.Context", "flowlang.handler.context.Context"})
_ANNOTATED = frozenset({"typing.Annotated", "typing_extensions.Annotated"})
_KEYWORDS = ("effect", "timeout", "retry")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class SignatureProblem:
    """A declaration that cannot be used. `line` and `column` count from 1; both are 0 when no place is to blame.

    `first` is the earlier declaration of the same name, where that is the problem; else a name may be missing.
    """

    path: str
    line: int
    column: int
    message: str
    first: Signature | None = None


def read_signatures(
    folder: Path, *, entry_points: bool | Sequence[EntryPoint] = True
) -> tuple[dict[str, Signature], list[SignatureProblem]]:
    """Read the handlers of a project and of installed packages, and FlowLang's own where no other has their name.

    Args:
        folder: The project's folder, which holds `handlers/`.
        entry_points: Whether to take installed packages and FlowLang's own in; or the entry points to take.

    Returns:
        The signatures by name, the first declaration winning, and all problems in the order of files and lines.
    """
    folder = folder.resolve()
    files = project_files(folder)
    problems: list[SignatureProblem] = []
    if entry_points is not False:
        installed, missing = installed_files(None if entry_points is True else entry_points)
        files += installed
        problems += [SignatureProblem(point.module, 0, 0, point.message) for point in missing]
    signatures: dict[str, Signature] = {}
    for file in files:
        found, wrong = _read_file(file, folder)
        problems += wrong
        for signature in found:
            present = signatures.setdefault(signature.name, signature)
            if present is not signature:
                message = duplicate_message(signature.name, present.place, signature.place)
                problems.append(SignatureProblem(signature.path, signature.line, signature.column, message, present))
    if entry_points is not False:
        for file in built_in_files():
            for signature in _read_file(file, folder)[0]:
                signatures.setdefault(signature.name, signature)
    return signatures, problems


def _read_file(file: HandlerFile, folder: Path) -> tuple[list[Signature], list[SignatureProblem]]:
    path = file.path.relative_to(folder) if file.path.is_relative_to(folder) else file.path
    scan = _Scan(path.as_posix())
    try:
        tree = ast.parse(file.path.read_bytes(), filename=str(file.path))
    except SyntaxError as error:
        scan.report(error.lineno or 0, error.offset or 0, f"the file is no Python: {error.msg}")
    except (OSError, ValueError, RecursionError) as error:
        scan.report(0, 0, f"the file cannot be read: {error}")
    else:
        scan.module(tree)
    return scan.signatures, scan.problems


@dataclass(slots=True)
class _Scan:
    """The scan of one file."""

    path: str
    signatures: list[Signature] = field(default_factory=list)
    problems: list[SignatureProblem] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  #: name in the file → what it was imported as

    def report(self, line: int, column: int, message: str) -> None:
        self.problems.append(SignatureProblem(self.path, line, column, message))

    def report_at(self, node: ast.expr | ast.arg, message: str) -> None:
        self.report(node.lineno, node.col_offset + 1, message)

    def module(self, tree: ast.Module) -> None:
        """Read a whole file: imports first, since `if TYPE_CHECKING` and `try` may order them in any way."""
        statements = list(_statements(tree.body))
        for statement in statements:
            self._learn(statement)
        for statement in statements:
            if isinstance(statement, FunctionNode):
                self._function(statement)
            elif isinstance(statement, ast.ClassDef):
                self._methods(statement)

    def _learn(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import):
            for name in statement.names:
                self.names[name.asname or name.name.partition(".")[0]] = (
                    name.name if name.asname else name.name.partition(".")[0]
                )
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            for name in statement.names:
                self.names[name.asname or name.name] = f"{statement.module}.{name.name}"

    def _resolve(self, node: ast.expr) -> str:
        """Return the imported name that an expression such as `flow.handler` stands for, or empty text."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, "")
        if isinstance(node, ast.Attribute) and (owner := self._resolve(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    def _declaration(self, decorator: ast.expr) -> ast.Call | None:
        if isinstance(decorator, ast.Call) and self._resolve(decorator.func) in _DECORATORS:
            return decorator
        if self._resolve(decorator) in _DECORATORS:
            self.report_at(decorator, "@handler needs a name: write @handler('segment.segment')")
        return None

    def _methods(self, node: ast.ClassDef) -> None:
        for member in node.body:
            if isinstance(member, FunctionNode):
                for call in filter(None, map(self._declaration, member.decorator_list)):
                    self.report_at(call, "@handler must stand on a function of a module, not on a method")

    def _function(self, node: FunctionNode) -> None:
        calls = [(index, call) for index, d in enumerate(node.decorator_list) if (call := self._declaration(d))]
        if not calls:
            return
        index, call = calls[0]
        if len(calls) > 1:
            self.report_at(calls[1][1], "this function is a handler already; one name a function")
        elif index > 0:
            self.report_at(call, "another decorator wraps this handler; put @handler on top")
        elif (given := self._given(call)) is not None and self._callable_by_name(node):
            self.signatures.append(self._signature(node, call, given))

    def _given(self, call: ast.Call) -> dict[str, Any] | None:
        """Read the arguments of `@handler(…)`; None when something is wrong and has been reported."""
        nodes = {keyword.arg or "**": keyword.value for keyword in call.keywords}
        if call.args:
            nodes["name"] = call.args[0]
        unknown = [name for name in nodes if name not in {"name", *_KEYWORDS}]
        if len(call.args) > 1 or unknown or "name" not in nodes:
            extra = f", not {', '.join(unknown)}" if unknown else ""
            self.report_at(call, f"@handler takes a name, and by keyword {', '.join(_KEYWORDS)}{extra}")
            return None
        given: dict[str, Any] = dict.fromkeys(_KEYWORDS)
        for name, node in nodes.items():
            try:
                given[name] = ast.literal_eval(node)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                self.report_at(
                    node, f"the {name} of a handler must be written as a literal, so that it can be read here"
                )
                return None
        problems = declaration_problems(given["name"], given["effect"], given["timeout"], given["retry"])
        for problem in problems:
            self.report_at(call, problem)
        return None if problems else given

    def _callable_by_name(self, node: FunctionNode) -> bool:
        by_position = [*node.args.posonlyargs, *([node.args.vararg] if node.args.vararg else [])]
        for argument in by_position:
            self.report_at(
                argument,
                f"the handler takes {argument.arg!r} by position only; `with` gives arguments by name,"
                " so write it as an ordinary parameter",
            )
        contexts = [argument for argument in _arguments(node) if self._is_context(argument.annotation)]
        for argument in contexts[1:]:
            self.report_at(argument, "the handler takes the Context twice")
        return not by_position and len(contexts) <= 1

    def _is_context(self, note: ast.expr | None) -> bool:
        if isinstance(note, ast.Constant) and isinstance(note.value, str):
            try:
                note = ast.parse(note.value, mode="eval").body
            except SyntaxError:
                return False
        if isinstance(note, ast.Subscript) and self._resolve(note.value) in _ANNOTATED:
            inner = note.slice.elts[0] if isinstance(note.slice, ast.Tuple) and note.slice.elts else note.slice
            return self._is_context(inner)
        return note is not None and self._resolve(note) in _CONTEXTS

    def _signature(self, node: FunctionNode, call: ast.Call, given: dict[str, Any]) -> Signature:
        texts = annotation_texts(node)
        optional = _with_default(node)
        return Signature(
            name=given["name"],
            params=tuple(
                Param(argument.arg, argument.arg not in optional, texts.get(argument.arg), argument.arg in optional)
                for argument in _arguments(node)
                if not self._is_context(argument.annotation)
            ),
            accepts_extra=node.args.kwarg is not None,
            effect=given["effect"],
            timeout=given["timeout"],
            retry=given["retry"],
            is_async=isinstance(node, ast.AsyncFunctionDef),
            returns=texts.get("return"),
            path=self.path,
            line=call.lineno,
            column=max(call.col_offset, 1),
        )


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk the statements of a module, also those in its `if`, `try` and `with`, not those in functions."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.TryStar | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, part, []))
            for clause in getattr(statement, "handlers", []):
                yield from _statements(clause.body)


def _arguments(node: FunctionNode) -> list[ast.arg]:
    return [*node.args.args, *node.args.kwonlyargs]


def _with_default(node: FunctionNode) -> set[str]:
    count = len(node.args.defaults)
    names = {argument.arg for argument in node.args.args[len(node.args.args) - count :]}
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return names | {argument.arg for argument, default in pairs if default is not None}
