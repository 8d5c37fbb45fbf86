"""Reads `schemas/**/*.json`: strictly, with the place of every mistake, and with references to other files followed.

A schema that is handed on stands alone: what it refers to lies in its own `$defs`. Nothing is ever fetched.
"""

from __future__ import annotations

from typing import Any, Final

from flowlang import jsondata
from flowlang.diagnostics import Diagnostic
from flowlang.project.files import ProjectFiles
from flowlang.project.json_places import place_of
from flowlang.project.json_syntax import not_json
from flowlang.project.schema_bundle import Bundle, Report
from flowlang.project.schema_check import SchemaProblem, compile_problem, schema_problems

FOLDER: Final = "schemas"

#: Stands for a file that is no JSON: `null` is.
_NOTHING: Final = object()


class SchemaFiles:
    """The schemas of a project, each read when it is asked for.

    Args:
        files: Of the project.
    """

    def __init__(self, files: ProjectFiles) -> None:
        self._files = files
        self._parsed: dict[str, Any] = {}
        self._unsound: set[str] = set()
        self.paths = files.below(FOLDER, (".json",))
        self.referred: set[str] = set()
        self.found: list[Diagnostic] = []

    def schema(self, path: str) -> Any:
        """The schema in a file, standing alone.

        Args:
            path: One of `paths`.

        Returns:
            The schema, or None when it or a file that it refers to has mistakes, which have been reported.
        """
        sound = self.content(path)
        schema = self._parsed[path]
        if schema is _NOTHING:
            return None
        return self._alone(schema, path, self.reporter(path), sound=sound is not None)

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
        return self._alone(schema, "", report, sound=not problems)

    def content(self, path: str) -> Any:
        """What is written in a file, or None when that has mistakes, which have been reported."""
        if path not in self._parsed:
            self._parsed[path] = self._parse(path)
        return None if path in self._unsound else self._parsed[path]

    def _parse(self, path: str) -> Any:
        """The content of a file; `_NOTHING` when it is no JSON."""
        schema = _NOTHING
        source = self._files.read(path)
        if source is not None:
            try:
                schema = jsondata.loads_strict(source.text.encode())
            except jsondata.JsonError as error:
                self.found.append(not_json(source, error))
        problems = [] if schema is _NOTHING else schema_problems(schema)
        for problem in problems:
            self.reporter(path)(problem)
        if problems or schema is _NOTHING:
            self._unsound.add(path)
        return schema

    def reporter(self, path: str) -> Report:
        """What takes the mistakes in a file that has been read."""
        source = self._files.sources[path]

        def report(problem: SchemaProblem) -> None:
            span = source.span(*place_of(source.text, problem.path))
            self.found.append(Diagnostic("FL117", problem.message, span, hint=problem.hint))

        return report

    def _alone(self, schema: Any, path: str, report: Report, *, sound: bool) -> Any:
        """The schema with what it refers to; of one with mistakes, only its references are looked at."""
        whole = Bundle(self, path, schema, report).whole()
        if whole is None or not sound:
            return None
        trouble = compile_problem(whole)
        if trouble is not None:
            report(SchemaProblem((), f"the schema cannot be used: {trouble}"))
            return None
        return whole
