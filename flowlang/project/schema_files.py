"""Reads `schemas/**/*.json`: strictly, with the place of every mistake, and with references to other files followed.

A schema that is handed on stands alone: what it refers to lies in its own `$defs`. Nothing is ever fetched.
"""

from __future__ import annotations

import json
from typing import Any, Final

from flowlang import jsondata
from flowlang.diagnostics import Diagnostic, Label
from flowlang.project.files import ProjectFiles
from flowlang.project.json_places import place_of, repeated_key
from flowlang.project.schema_bundle import Bundle, Report
from flowlang.project.schema_check import SchemaProblem, compile_problem, schema_problems
from flowlang.source import SourceText

FOLDER: Final = "schemas"


class SchemaFiles:
    """The schemas of a project, each read when it is asked for.

    Args:
        files: Of the project.
    """

    def __init__(self, files: ProjectFiles) -> None:
        self._files = files
        self._sound: dict[str, Any] = {}
        self.paths = files.below(FOLDER, (".json",))
        self.found: list[Diagnostic] = []

    def schema(self, path: str) -> Any:
        """The schema in a file, standing alone.

        Args:
            path: One of `paths`.

        Returns:
            The schema, or None when it or a file that it refers to has mistakes, which have been reported.
        """
        schema = self.content(path)
        return None if schema is None else self._alone(schema, path, self.reporter(path))

    def inline(self, schema: Any, report: Report) -> Any:
        """A schema that is written elsewhere, standing alone; its references are paths from the project's root.

        Args:
            schema: A JSON value.
            report: Takes its mistakes.

        Returns:
            The schema, or None when it has mistakes.
        """
        problems = schema_problems(schema)
        for problem in problems:
            report(problem)
        return None if problems else self._alone(schema, "", report)

    def content(self, path: str) -> Any:
        """What is written in a file, or None when that has mistakes, which have been reported."""
        if path not in self._sound:
            source = self._files.read(path)
            self._sound[path] = None if source is None else self._parsed(source)
        return self._sound[path]

    def _parsed(self, source: SourceText) -> Any:
        try:
            schema = jsondata.loads_strict(source.text.encode())
        except jsondata.JsonError as error:
            self.found.append(_not_json(source, error))
            return None
        problems = schema_problems(schema)
        for problem in problems:
            self.reporter(source.path)(problem)
        return None if problems else schema

    def reporter(self, path: str) -> Report:
        """What takes the mistakes in a file that has been read."""
        source = self._files.sources[path]

        def report(problem: SchemaProblem) -> None:
            span = source.span(*place_of(source.text, problem.path))
            self.found.append(Diagnostic("FL117", problem.message, span, hint=problem.hint))

        return report

    def _alone(self, schema: Any, path: str, report: Report) -> Any:
        whole = Bundle(self, path, schema, report).whole()
        if whole is None:
            return None
        trouble = compile_problem(whole)
        if trouble is not None:
            report(SchemaProblem((), f"the schema cannot be used: {trouble}"))
            return None
        return whole


def _not_json(source: SourceText, error: jsondata.JsonError) -> Diagnostic:
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        reason = cause.msg[:1].lower() + cause.msg[1:]
        return Diagnostic("FL117", f"this is no JSON: {reason}", source.span(cause.pos, cause.pos + 1))
    repeated = repeated_key(source.text)
    if repeated is not None and "twice" in str(error):
        again, first, key = repeated
        labels = (Label(source.span(*first), "first here"),)
        return Diagnostic("FL117", f"the key `{key}` is written twice", source.span(*again), labels=labels)
    return Diagnostic("FL117", f"this is no JSON that we take: {error}", source.span(0, 0))
