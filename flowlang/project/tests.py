"""Finds and reads pipeline tests, and the data files that they name."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowlang import jsondata
from flowlang.diagnostics import Diagnostic
from flowlang.model import Path, TestDocument, load_tests
from flowlang.project.files import ProjectFiles

#: How the names of test files end.
SUFFIXES: Final = (".test.yaml", ".test.yml")

#: Folders in which they are looked for.
FOLDERS: Final = ("pipelines", "tests")


@dataclass(frozen=True, slots=True)
class ReadTests:
    """The tests of a project.

    Attributes:
        tests: In the order of files and in them.
        data: Contents of the data files that they name, by path from the project's root.
        found: What was found.
    """

    tests: tuple[TestDocument, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[Diagnostic, ...] = ()


def read_tests(files: ProjectFiles) -> ReadTests:
    """Read all test files of a project."""
    tests: list[TestDocument] = []
    data: dict[str, Any] = {}
    found: list[Diagnostic] = []
    paths = [path for folder in FOLDERS for path in files.below(folder, SUFFIXES, shared=True)]
    for path in paths:
        source = files.read(path)
        if source is None:
            continue
        read, mistakes = load_tests(source)
        tests += read
        found += mistakes
        for test in read:
            for place, named in data_files(test):
                problem = _read_data(files, data_path(test, named), data)
                if problem is not None:
                    message, hint = problem, f"a path is relative to `{path}`"
                    found.append(Diagnostic("FL129", message, test.document.span_at(place), hint=hint))
    return ReadTests(tuple(tests), data, tuple(found))


def data_path(test: TestDocument, named: str) -> str:
    """The path of a data file from the project's root.

    Args:
        test: That names it.
        named: As it is written: relative to the test's file.
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(test.source.path), named))


def data_files(test: TestDocument) -> Iterator[tuple[Path, str]]:
    """The data files that a test names, with the places where it does."""
    if test.model is None:
        return
    for key, actions in (("given", test.model.given), ("when", test.model.when)):
        for number, action in enumerate(actions):
            if action.data_file is not None:
                yield (key, number, "data_file"), action.data_file
            if action.call_file is not None:
                yield (key, number, "call_file"), action.call_file
    for handler, script in test.model.handlers.items():
        for number, answer in enumerate(script):
            if answer.return_file is not None:
                yield ("handlers", handler, number, "return_file"), answer.return_file


def _read_data(files: ProjectFiles, path: str, data: dict[str, Any]) -> str | None:
    """Read a data file into `data`; returns what is wrong with it."""
    if path in data:
        return None
    if path.startswith(("../", "/")) or not (files.folder / path).is_file():
        return f"there is no file `{path}` in the project"
    source = files.read(path)
    if source is None:
        return None  # what is wrong with it was reported with the file
    try:
        data[path] = jsondata.loads_strict(source.text.encode())
    except jsondata.JsonError as error:
        return f"`{path}`: {error}"
    return None
