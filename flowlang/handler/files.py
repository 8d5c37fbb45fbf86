"""Which files hold handlers: those of the project's `handlers/` folder, of installed packages, and FlowLang's own.

Owns the rule, so that reading handlers as data and importing them always look at the same files. Nothing here runs
code of a handler or of a package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

FOLDER = "handlers"  #: of a project
GROUP = "flowlang.handlers"  #: of entry points
BUILT_IN = "flowlang.integrations"  #: the package of FlowLang's own handlers


@dataclass(frozen=True, slots=True)
class HandlerFile:
    """One module that may declare handlers."""

    path: Path
    module: str


@dataclass(frozen=True, slots=True)
class MissingModule:
    """An entry point that names a module which is not installed."""

    entry_point: str
    module: str

    @property
    def message(self) -> str:
        """What is wrong and what would be right."""
        return (
            f"the entry point {self.entry_point!r} of the group {GROUP!r} names the module {self.module!r},"
            " which is not installed"
        )


def project_files(folder: Path) -> list[HandlerFile]:
    """Return the Python files below `folder/handlers`, in the order of their paths; hidden folders are left out.

    Args:
        folder: The project's folder.
    """
    return _below(folder / FOLDER, FOLDER)


def installed_files(found: Sequence[EntryPoint] | None = None) -> tuple[list[HandlerFile], list[MissingModule]]:
    """Return the modules that installed packages name as handlers; of a package, all its modules.

    Args:
        found: Entry points to use in place of those installed.
    """
    points = entry_points(group=GROUP) if found is None else found
    files: dict[str, HandlerFile] = {}
    missing = []
    for point in sorted(points, key=lambda point: (point.name, point.value)):
        spec = find_spec(point.module)
        if spec is None or (spec.origin is None and not spec.submodule_search_locations):
            missing.append(MissingModule(point.name, point.module))
            continue
        modules = [HandlerFile(Path(spec.origin), point.module)] if spec.origin else []
        for location in spec.submodule_search_locations or ():
            modules += _below(Path(location), point.module)
        files.update({file.module: file for file in modules if file.path.suffix == ".py"})
    return list(files.values()), missing


def built_in_files() -> list[HandlerFile]:
    """Return the modules of the handlers that every project has; what lies in folders below serves them."""
    folder = Path(__file__).parents[1] / BUILT_IN.rpartition(".")[2]
    return [
        HandlerFile(path, f"{BUILT_IN}.{path.stem}") for path in sorted(folder.glob("*.py")) if path.stem != "__init__"
    ]


def find_spec(module: str) -> ModuleSpec | None:
    """Find a module like `importlib.util.find_spec`, but without importing the packages that it lies in."""
    spec: ModuleSpec | None = None
    locations: Sequence[str] | None = None
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        spec = PathFinder.find_spec(".".join(names[:depth]), locations)
        if spec is None:
            return None
        locations = list(spec.submodule_search_locations or ())
    return spec


def _below(folder: Path, package: str) -> list[HandlerFile]:
    files = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if path.name == "__main__.py" or any(part.startswith(".") or part == "__pycache__" for part in parts):
            continue
        inner = parts[:-1] if parts[-1] == "__init__" else parts
        files.append(HandlerFile(path, ".".join((package, *inner))))
    return files
