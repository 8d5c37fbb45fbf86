"""Import a project's handlers, those of installed packages, and FlowLang's own.

Owns importing them under stable names: `handlers/mux/assets.py` is the module `handlers.mux.assets`, with or without
`__init__.py`, and the project's folder is importable, so that one file of handlers can import another. A process serves
one project: discovering a second one forgets the first one's modules.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

from flowlang.errors import DefinitionError
from flowlang.handler.files import FOLDER, HandlerFile, built_in_files, installed_files, project_files
from flowlang.handler.registry import Registry, module_definitions


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """Why a module of handlers cannot be used. `line` counts from 1; 0 when no line is to blame."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found: the handlers that can be called, and what kept others out."""

    registry: Registry
    problems: tuple[ImportProblem, ...]


def discover(folder: Path, *, entry_points: bool | Sequence[EntryPoint] = True) -> Discovery:
    """Import all modules of handlers and collect what they declare.

    A module that cannot be imported does not hide the others. The contract of each handler is built, so a type hint
    that is none is found here and not at the first call. FlowLang's own handlers give way to others of their name.

    Args:
        folder: The project's folder, which holds `handlers/`.
        entry_points: Whether to take installed packages and FlowLang's own in; or the entry points to take.

    Returns:
        The handlers and the problems, in the order of the files.
    """
    registry = Registry()
    problems: list[ImportProblem] = []
    folder = folder.resolve()
    files = project_files(folder)
    if files:
        _open_project(folder)
    if entry_points is not False:
        installed, missing = installed_files(None if entry_points is True else entry_points)
        files += installed
        problems += [ImportProblem(point.module, 0, point.message) for point in missing]
    for file in files:
        problems += _collect(file, registry)
    if entry_points is not False:
        for file in built_in_files():
            for definition in module_definitions(importlib.import_module(file.module)):
                if definition.name not in registry:
                    registry.add(definition)
    return Discovery(registry, tuple(problems))


def _open_project(folder: Path) -> None:
    """Make `handlers` the package of this folder, and no other of that name that may be installed."""
    home = str(folder / FOLDER)
    present = sys.modules.get(FOLDER)
    if present is None or home not in list(getattr(present, "__path__", ())):
        for name in [name for name in sys.modules if name == FOLDER or name.startswith(f"{FOLDER}.")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        if not (folder / FOLDER / "__init__.py").exists():
            package = ModuleType(FOLDER, "Handlers of the project.")
            package.__path__ = [home]
            sys.modules[FOLDER] = package
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))


def _collect(file: HandlerFile, registry: Registry) -> list[ImportProblem]:
    wrong = [part for part in file.module.split(".") if not part.isidentifier()]
    if wrong:
        right = wrong[0].replace("-", "_")
        return [ImportProblem(str(file.path), 0, f"{wrong[0]!r} is no module name; rename it, such as to {right!r}")]
    try:
        module = importlib.import_module(file.module)
        definitions = module_definitions(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code at import time may raise anything
        return [_import_problem(file, error)]
    problems = []
    for definition in definitions:
        try:
            registry.add(definition)
            definition.contract  # noqa: B018 - built now
        except DefinitionError as error:
            problems.append(ImportProblem(str(file.path), definition.line, _without_place(str(error))))
    return problems


def _import_problem(file: HandlerFile, error: BaseException) -> ImportProblem:
    if isinstance(error, SyntaxError) and error.filename:
        return ImportProblem(error.filename, error.lineno or 0, f"it is no Python: {error.msg}")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file.path]
    line = frames[-1].lineno if frames else 0
    if isinstance(error, DefinitionError):
        return ImportProblem(str(file.path), line or 0, _without_place(str(error)))
    return ImportProblem(str(file.path), line or 0, f"importing it raised {type(error).__name__}: {error}")


def _without_place(message: str) -> str:
    """Drop a leading `path:line: `, which the problem says itself."""
    place, found, rest = message.partition(": ")
    return rest if found and place.rpartition(":")[2].isdigit() else message
