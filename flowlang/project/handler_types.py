"""What handlers take and give, as JSON Schemas by their type hints.

Hints that say it by themselves are read from the source. For others (models, data classes, types of libraries) the
handlers are imported once, in a process of its own with a time limit, without the environment's variables; the answer
is kept by the content of all files that were imported, so it is asked for again when one of them changes. FlowLang's
own handlers are imported here: they are our code, and importing them asks for nothing.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flowlang import __version__
from flowlang.handler.files import built_in_files, project_files
from flowlang.handler.signature import HintSchemas, Signature
from flowlang.project.caches import cache_folder, keep
from flowlang.project.plain_hints import Module, NotPlainError

#: Seconds for importing all handlers of a project.
TIME_LIMIT: Final = 20.0
#: Variables that the process keeps: where things are, never what the project is told.
_KEPT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class HandlerTypes:
    """What is known of handlers.

    Attributes:
        schemas: By handler; one that is not there takes and gives anything.
        problems: Why hints could not be read, by handler.
    """

    schemas: Mapping[str, HintSchemas] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def read_handler_types(folder: Path, signatures: Mapping[str, Signature], called: Iterable[str]) -> HandlerTypes:
    """Read the hints of handlers.

    Args:
        folder: The project's folder.
        signatures: All handlers, by name.
        called: Those that pipelines call; what others take and give matters to nobody.
    """
    wanted = {name: signatures[name] for name in called if name in signatures}
    own = _built_in(folder, wanted)
    found, others = _plain(folder, {name: signature for name, signature in wanted.items() if name not in own})
    found |= own
    if not others:
        return HandlerTypes(found)
    answer = _live(folder, installed=any(Path(wanted[name].path).is_absolute() for name in others))
    problems = {}
    for name in sorted(others):
        if name in answer.get("handlers", {}):
            found[name] = HintSchemas.from_json(answer["handlers"][name])
        else:
            reason = answer.get("problems", {}).get(wanted[name].path) or answer.get("problem") or "it was not found"
            problems[name] = reason
    return HandlerTypes(found, problems)


def _built_in(folder: Path, wanted: Mapping[str, Signature]) -> dict[str, HintSchemas]:
    """Read the hints of FlowLang's own handlers, of those modules alone that are called."""
    modules = {file.path: file.module for file in built_in_files()}
    called = {folder.resolve() / signature.path for signature in wanted.values()} & modules.keys()
    found: dict[str, HintSchemas] = {}
    if not called:
        return found
    from flowlang.handler.hint_schemas import hint_schemas  # noqa: PLC0415 - brings asyncio, which most checks need not
    from flowlang.handler.registry import module_definitions  # noqa: PLC0415 - the same

    for path in called:
        for definition in module_definitions(importlib.import_module(modules[path])):
            if definition.name in wanted:
                found[definition.name] = hint_schemas(definition)
    return found


def _plain(folder: Path, wanted: Mapping[str, Signature]) -> tuple[dict[str, HintSchemas], list[str]]:
    """Read what the source says by itself. Returns it, and the names of the others."""
    modules: dict[str, Module | None] = {}
    found: dict[str, HintSchemas] = {}
    others = []
    for name, signature in wanted.items():
        if signature.path not in modules:
            modules[signature.path] = _module(folder / signature.path)
        module = modules[signature.path]
        if module is None:
            others.append(name)
            continue
        try:
            arguments = {
                param.name: module.schema(param.annotation_text) for param in signature.params if param.annotation_text
            }
            found[name] = HintSchemas(
                arguments, True if signature.returns is None else module.schema(signature.returns)
            )
        except NotPlainError:
            others.append(name)
    return found, others


def _module(file: Path) -> Module | None:
    try:
        return Module.of(ast.parse(file.read_bytes()))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _live(folder: Path, *, installed: bool) -> dict[str, Any]:
    """The answer of a process that imports the handlers, from the cache if nothing has changed."""
    folder = folder.resolve()
    kept = cache_folder() / "handler-types" / f"{_key(folder, installed=installed)}.json"
    with contextlib.suppress(OSError, ValueError):
        answer: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if all(_digest(folder / path) == digest for path, digest in answer["modules"].items()):
            return answer
    answer = _ask({"folder": str(folder), "installed": installed})
    if "handlers" in answer and not answer["problems"]:
        keep(kept, json.dumps(answer).encode())
    return answer


def _ask(request: Mapping[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "flowlang.handler.live_hints"]
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with tempfile.TemporaryDirectory() as nowhere:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=nowhere,
            env=environment,
            start_new_session=True,
        )
        try:
            out, _ = process.communicate(json.dumps(request).encode(), timeout=TIME_LIMIT)
            answer: dict[str, Any] = json.loads(out)
        except subprocess.TimeoutExpired:
            return {"problem": f"importing the handlers took longer than {TIME_LIMIT:g} s"}
        except ValueError:
            return {"problem": f"the process that imported the handlers ended with status {process.wait()}"}
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever an import has started
            process.communicate()
    return answer


def _key(folder: Path, *, installed: bool) -> str:
    """What the answer depends on, beyond other modules of the project: files of handlers, Python, what is installed."""
    found = hashlib.sha256(f"{__version__} {sys.version} {sys.prefix} {installed}".encode())
    for file in project_files(folder):
        found.update(f"\0{file.module}\0{_digest(file.path)}".encode())
    for place in sys.path:
        with contextlib.suppress(OSError):
            names = sorted(each.name for each in Path(place).iterdir() if each.suffix in {".dist-info", ".egg-info"})
            found.update("\0".join(names).encode())
    return found.hexdigest()


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
