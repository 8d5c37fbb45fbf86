"""The type hints of all handlers of a project, read by importing them: `python -m flowlang.handler.live_hints`.

A process of its own, since importing runs the project's code: what it prints, changes or breaks stays in it. It reads
a request from its standard input and writes one line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from flowlang.errors import DefinitionError
from flowlang.handler.discover import discover
from flowlang.handler.hint_schemas import hint_schemas


def read_live_hints(folder: Path, *, installed: bool) -> dict[str, Any]:
    """Import the handlers and read their hints.

    Args:
        folder: The project's folder.
        installed: Whether to take handlers of installed packages.

    Returns:
        `handlers`: schemas by name; `problems`: by file from the folder, why it could not be imported; `modules`: the
        project's files that were imported, with digests of their content.
    """
    folder = folder.resolve()
    discovery = discover(folder, entry_points=installed)
    handlers: dict[str, Any] = {}
    problems = {_relative(problem.path, folder): problem.message for problem in discovery.problems}
    for name in discovery.registry:
        definition = discovery.registry[name]
        try:
            handlers[name] = hint_schemas(definition).to_json()
        except DefinitionError as error:
            problems[_relative(definition.path, folder)] = str(error)
    return {"handlers": handlers, "problems": problems, "modules": _modules(folder)}


def digest_of(file: Path) -> str:
    """The digest of a file's content; empty when it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _modules(folder: Path) -> dict[str, str]:
    found = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and Path(file).is_relative_to(folder) and ".venv" not in Path(file).parts:
            found[Path(file).relative_to(folder).as_posix()] = digest_of(Path(file))
    return dict(sorted(found.items()))


def _relative(path: str, folder: Path) -> str:
    return Path(path).relative_to(folder).as_posix() if Path(path).is_relative_to(folder) else path


def main() -> None:
    """Answer the request on standard input; whatever the handlers print goes nowhere."""
    answer = os.dup(1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    request = json.load(sys.stdin)
    found = read_live_hints(Path(request["folder"]), installed=request["installed"])
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        json.dump(found, out)
    os._exit(0)  # threads that an import has started must not hold up the answer


if __name__ == "__main__":
    main()
