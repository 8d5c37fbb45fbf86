"""Follows references between schema files, so that what is stored with an event stands alone.

Owns which references may be followed: those to files of the project. What cannot be followed is reported where it is
written.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import unquote

from flowlang.diagnostics import did_you_mean
from flowlang.project.schema_check import Path, SchemaProblem, subschemas

Report = Callable[[SchemaProblem], None]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_MISSING: Final = object()


class Files(Protocol):
    """The files that may be referred to."""

    paths: list[str]
    referred: set[str]  #: collects those that something refers to

    def content(self, path: str) -> Any:
        """What is written in a file, or None when that has mistakes."""

    def reporter(self, path: str) -> Report:
        """What takes the mistakes in a file that has been read."""


class Bundle:
    """Puts the files that a schema refers to into its `$defs`.

    Args:
        files: All that there are.
        path: Where the schema is written; empty when that is no file of schemas.
        schema: It may have mistakes; then only its references are worth looking at.
        report: Takes the mistakes in this schema.
    """

    def __init__(self, files: Files, path: str, schema: Any, report: Report) -> None:
        self._files = files
        self._path = path
        self._schema = schema
        self._report = report
        self._names: dict[str, str] = {}  #: file → its name in `$defs`
        self._whole = True

    def whole(self) -> Any:
        """The schema with all that it refers to; None when something is missing."""
        schema = self._rewritten(self._schema, self._path, ())
        embedded: dict[str, Any] = {}
        pending = list(self._names)
        while pending:
            path = pending.pop(0)
            content = self._files.content(path)
            known = set(self._names)
            inner = self._rewritten(content, path, ("$defs", self._names[path]))
            if isinstance(inner, dict):
                inner = {key: value for key, value in inner.items() if key not in {"$id", "$schema"}}
            embedded[self._names[path]] = inner
            pending += [name for name in self._names if name not in known]
        if not self._whole:
            return None
        return {**schema, "$defs": {**_defs(schema), **embedded}} if embedded else schema

    def _rewritten(self, schema: Any, home: str, prefix: Path) -> Any:
        """A copy of a file's schema with its references as they are in the bundle."""
        copy = _plain(schema)
        for path, part in subschemas(copy):
            reference = part.get("$ref")
            if isinstance(reference, str):
                part["$ref"] = self._reference(reference, home, prefix, (*path, "$ref"))
        return copy

    def _reference(self, reference: str, home: str, prefix: Path, at: Path) -> str:
        name, _, fragment = reference.partition("#")
        if fragment and not fragment.startswith("/"):
            return reference  # an anchor; whether it exists shows when the whole is compiled
        target = self._target(name, home, at, reference)
        if target is None:
            return reference
        content = self._schema if target == self._path else self._files.content(target)
        if content is None:
            self._whole = False
            return reference
        if fragment and _follow(content, fragment) is _MISSING:
            self._refuse(home, at, f"`{reference}` leads to nothing", None)
            return reference
        if target == self._path:
            return f"#{fragment}"
        if target == home:
            return f"#/{'/'.join(str(part) for part in prefix)}{fragment}"
        return f"#/$defs/{self._name(target)}{fragment}"

    def _target(self, name: str, home: str, at: Path, reference: str) -> str | None:
        """The file that a reference names, or None when it may not be followed."""
        if not name:
            return home
        if _SCHEME.match(name):
            elsewhere = f"`{reference}` lies elsewhere, and nothing is fetched"
            self._refuse(home, at, elsewhere, "put the schema below `schemas/` and refer to it by its path")
            return None
        path = posixpath.normpath(posixpath.join(posixpath.dirname(home), unquote(name)))
        if path in self._files.paths:
            if path != home:
                self._files.referred.add(path)
            return path
        near = did_you_mean(path, self._files.paths)
        hint = f"did you mean `{posixpath.relpath(near, posixpath.dirname(home) or '.')}`?" if near else None
        self._refuse(home, at, f"there is no schema file `{path}`", hint)
        return None

    def _refuse(self, home: str, at: Path, message: str, hint: str | None) -> None:
        """Report a reference where it is written: in this schema, or in a file that it refers to."""
        self._whole = False
        report = self._report if home == self._path else self._files.reporter(home)
        report(SchemaProblem(at, message, hint))

    def _name(self, path: str) -> str:
        if path not in self._names:
            taken = {*self._names.values(), *_defs(self._schema)}
            name = _UNSAFE.sub("_", path.replace("/", "."))
            while name in taken:
                name += "_"
            self._names[path] = name
        return self._names[path]


def _defs(schema: dict[str, Any]) -> dict[str, Any]:
    """The `$defs` of a schema; one with mistakes may have anything there."""
    written = schema.get("$defs")
    return written if isinstance(written, dict) else {}


def _plain(value: Any) -> Any:
    """A copy in plain lists and dicts."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list) else value


def _follow(schema: Any, pointer: str) -> Any:
    """What a JSON pointer leads to, or `_MISSING`."""
    for part in pointer.split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list) and name.isdecimal() and int(name) < len(schema):
            schema = schema[int(name)]
        elif isinstance(schema, dict) and name in schema:
            schema = schema[name]
        else:
            return _MISSING
    return schema
