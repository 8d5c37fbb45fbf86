"""Reads a project's files and compiles it: the door from a folder to plans, a manifest and findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowlang import jsondata
from flowlang.compiler import ProjectInput, compile_project
from flowlang.diagnostics import Diagnostic, Severity, sorted_diagnostics
from flowlang.durations import format_duration
from flowlang.engine.schemas import EventValidator, SchemaError
from flowlang.errors import ConfigError
from flowlang.model import PipelineDocument, ProjectFile, YamlDocument, load_pipelines, load_project_file
from flowlang.model.yaml_source import decode, read_yaml
from flowlang.plan import EventSchema, Manifest, Plan
from flowlang.project.signatures import read_signatures
from flowlang.source import SourceText

PROJECT_FILE = "flowlang.yaml"


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it is in its folder.

    Attributes:
        name: As `flowlang.yaml` says; empty when it has errors.
        plans: Compiled pipelines, by name.
        manifest: What can be deployed; None when anything has errors.
        diagnostics: All findings of all files, sorted; paths are relative to the folder.
        sources: Files by path, for rendering findings.
        settings: Settings that the environment's overlay gives, as texts.
    """

    name: str
    plans: Mapping[str, Plan]
    manifest: Manifest | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """How many files were read."""
        return len(self.sources)


def load_project(
    folder: Path,
    *,
    environment: str = "development",
    environ: Mapping[str, str] | None = None,
    deploying: bool = False,
) -> Project:
    """Read and compile a project.

    Args:
        folder: Where `flowlang.yaml` is.
        environment: Which overlay applies; one that is not written has none.
        environ: Variables, for `env`.
        deploying: Whether variables that pipelines read must be set.

    Raises:
        ConfigError: when the folder holds no project.
    """
    if not (folder / PROJECT_FILE).is_file():
        raise ConfigError(f"there is no {PROJECT_FILE} in {folder.resolve()}; `flowlang new NAME` makes a project")
    return _Loader(folder, environment).load(environ or {}, deploying=deploying)


class _Loader:
    """Reads the files of one project."""

    def __init__(self, folder: Path, environment: str) -> None:
        self._folder = folder
        self._environment = environment
        self._sources: dict[str, SourceText] = {}
        self._found: list[Diagnostic] = []

    def load(self, environ: Mapping[str, str], *, deploying: bool) -> Project:
        file, document = self._project_file()
        settings: dict[str, str] = {}
        if file is not None:
            file, settings = _with_overlay(file, self._environment)
        schemas, broken = self._event_schemas()
        signatures, problems = read_signatures(self._folder)
        for problem in problems:
            self._handler_problem(problem.path, problem.line, problem.message)
        compiled = compile_project(
            ProjectInput(
                pipelines=tuple(self._pipelines()),
                project=file,
                project_document=document,
                schemas=schemas,
                unreadable_schemas=broken,
                schema_files=self._schema_files(),
                signatures=signatures,
                unreadable_handlers=bool(problems),
                environ=environ,
                deploying=deploying,
            )
        )
        diagnostics = tuple(sorted_diagnostics([*self._found, *compiled.diagnostics]))
        clean = not any(item.severity is Severity.ERROR for item in diagnostics)
        return Project(
            name="" if file is None else file.project,
            plans=compiled.plans,
            manifest=compiled.manifest if clean else None,
            diagnostics=diagnostics,
            sources=self._sources,
            settings=settings,
        )

    def _read(self, path: Path) -> SourceText | None:
        name = path.relative_to(self._folder).as_posix()
        source, found = decode(name, path.read_bytes())
        self._sources[name] = source
        self._found += found
        return None if found else source

    def _project_file(self) -> tuple[ProjectFile | None, YamlDocument | None]:
        source = self._read(self._folder / PROJECT_FILE)
        if source is None:
            return None, None
        file, found = load_project_file(source)
        self._found += found
        documents, _ = read_yaml(source)
        return file, documents[0] if documents else None

    def _pipelines(self) -> list[PipelineDocument]:
        documents: list[PipelineDocument] = []
        for path in self._files("pipelines", ".yaml", ".yml"):
            if path.name.endswith((".test.yaml", ".test.yml")):
                continue
            source = self._read(path)
            if source is not None:
                loaded, found = load_pipelines(source)
                documents += loaded
                self._found += found
        return documents

    def _event_schemas(self) -> tuple[dict[str, EventSchema], frozenset[str]]:
        schemas: dict[str, EventSchema] = {}
        broken: set[str] = set()
        root = self._folder / "schemas" / "events"
        for path in self._files("schemas/events", ".json"):
            name = path.relative_to(root).as_posix().removesuffix(".json")
            schema = self._schema(path)
            if schema is None:
                broken.add(name)
            else:
                schemas[name] = EventSchema(name, schema[0], path.relative_to(self._folder).as_posix())
        return schemas, frozenset(broken)

    def _schema(self, path: Path) -> tuple[Any] | None:
        """A checked schema, in a tuple since `true` and `false` are schemas too; None when it has mistakes."""
        source = self._read(path)
        if source is None:
            return None
        try:
            value = json.loads(source.text)
            EventValidator(value)
        except json.JSONDecodeError as error:
            span = source.span(error.pos, min(error.pos + 1, len(source.text)))
            self._found.append(Diagnostic("FL117", f"not JSON: {error.msg}", span))
        except (SchemaError, jsondata.JsonError) as error:
            self._found.append(Diagnostic("FL117", f"no valid JSON Schema: {error}", source.span(0, 1)))
        else:
            return (value,)
        return None

    def _schema_files(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in self._files("schemas", ".json"):
            try:
                found[path.relative_to(self._folder).as_posix()] = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # reported as an event's schema, or when it is named
        return found

    def _handler_problem(self, path: str, line: int, message: str) -> None:
        file = self._folder / path
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        source = self._sources.setdefault(path, SourceText(path, text))
        start = source.line_start(min(max(line, 1), source.line_count))
        self._found.append(Diagnostic("FL407", message, source.span(start, start)))

    def _files(self, folder: str, *endings: str) -> list[Path]:
        root = self._folder / folder
        return sorted(path for path in root.rglob("*") if path.name.endswith(endings) and path.is_file())


def _with_overlay(file: ProjectFile, environment: str) -> tuple[ProjectFile, dict[str, str]]:
    """Lay an environment over the project: what it writes replaces, maps and groups key by key."""
    overlay = file.environments.get(environment)
    if overlay is None:
        return file, {}
    changes: dict[str, Any] = {}
    for name in ("webhooks", "queues", "retries", "errors", "vars", "observe"):
        if overlay.has(name):
            changes[name] = {**getattr(file, name), **getattr(overlay, name)}
    for name in ("defaults", "limits", "secrets"):
        if overlay.has(name):
            part = getattr(overlay, name)
            written = {key: getattr(part, key) for key in part.model_fields_set if key != "path"}
            changes[name] = getattr(file, name).model_copy(update=written)
    if overlay.retention is not None:
        defaults = changes.get("defaults", file.defaults)
        changes["defaults"] = defaults.model_copy(update={"retention": overlay.retention})
    settings = {} if overlay.lease is None else {"lease": format_duration(overlay.lease)}
    return file.model_copy(update=changes), settings
