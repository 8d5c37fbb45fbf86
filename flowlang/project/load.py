"""From a folder to a checked project: reads everything, compiles it, and gathers what was found.

Owns the order of reading and what is passed on where a part has mistakes. Each kind of file has its own module; what
the contents mean together is the compiler's.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from flowlang.compiler import ProjectInput, compile_project
from flowlang.compiler.flow import every_step
from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.pipeline_tests import check_tests
from flowlang.diagnostics import Diagnostic, Severity, Suppressed, has_errors, sorted_diagnostics, with_fixes
from flowlang.diagnostics.ignores import suppress
from flowlang.errors import ConfigError
from flowlang.handler.files import project_files
from flowlang.model import (
    PipelineDocument,
    ProjectFile,
    TestDocument,
    YamlDocument,
    load_pipelines,
    load_project_file,
)
from flowlang.model.project_file import ErrorClass, Lint
from flowlang.model.shape import read_shape
from flowlang.model.yaml_source import read_yaml
from flowlang.plan import Durability, EventSchema, Manifest, Plan
from flowlang.project.comments import certain, project_ignores
from flowlang.project.events import read_event_schemas, sensitive_marks
from flowlang.project.files import PROJECT_FILE, ProjectFiles
from flowlang.project.handler_types import read_handler_types
from flowlang.project.handlers import handler_findings, hint_findings, unused_handlers, with_declarations
from flowlang.project.inputs import checked_inputs, named_inputs
from flowlang.project.lint import reported, unknown_codes
from flowlang.project.overlay import overlaid, process_settings
from flowlang.project.schema_files import SchemaFiles
from flowlang.project.signatures import read_signatures
from flowlang.project.tests import SUFFIXES, ReadTests, read_tests
from flowlang.source import SourceText

PIPELINES = "pipelines"


@dataclass(frozen=True, slots=True)
class Project:
    """A project, read and compiled.

    Attributes:
        folder: Where it lies.
        name: Its name; that of the folder when `flowlang.yaml` has mistakes.
        diagnostics: All findings of all files, sorted; paths are relative to `folder`.
        sources: The files that were read, by these paths.
        plans: By pipeline; those of the pipelines without errors.
        manifest: What is to be deployed; None when there are errors.
        settings: Texts of the settings of processes that the overlay writes, such as `lease`.
        pipelines: All documents of all pipeline files, those with mistakes as well.
        events: Event schemas without mistakes.
        errors: The project's `errors:`, from exception names to classes.
        tests: Pipeline tests, those with mistakes as well; none when deploying.
        suppressed: Findings that comments leave out.
        test_data: Contents of the data files that tests name, by path from the project's root.
        graph: Who sends, takes and invokes what; without pipelines that have mistakes of shape.
        inputs: What the compiler was given.
    """

    folder: Path
    name: str
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    plans: Mapping[str, Plan]
    manifest: Manifest | None
    settings: Mapping[str, str]
    pipelines: tuple[PipelineDocument, ...] = ()
    events: tuple[EventSchema, ...] = ()
    errors: Mapping[str, ErrorClass] = field(default_factory=dict)
    tests: tuple[TestDocument, ...] = ()
    test_data: Mapping[str, Any] = field(default_factory=dict)
    suppressed: tuple[Suppressed, ...] = ()
    graph: ProjectGraph = field(default_factory=lambda: ProjectGraph({}))
    inputs: ProjectInput = field(default_factory=lambda: ProjectInput((), None))

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
    entry_points: bool | Sequence[EntryPoint] = True,
    unsaved: Mapping[str, str] | None = None,
) -> Project:
    """Read and check a project. What is wrong with it becomes diagnostics, never an error.

    Args:
        folder: Where its `flowlang.yaml` is.
        environment: Which overlay of `flowlang.yaml` applies; one that it does not have changes nothing.
        environ: Variables for `env`; they are read only when deploying.
        deploying: Whether variables that pipelines read must be set, since their values become part of the plans; tests
            are then left out, since a mistake in one is no reason not to deploy.
        entry_points: Whether to take handlers of installed packages; or the entry points to take.
        unsaved: Texts that an editor holds, by path from the folder: YAML and JSON of them are read in place of files.

    Raises:
        ConfigError: when the folder holds no project.
    """
    if not (folder / PROJECT_FILE).is_file():
        raise ConfigError(
            f"there is no project in {folder.resolve()}: it has no {PROJECT_FILE}. "
            "Write one that begins with `flowlang: 1` and `project: name`, or name another folder"
        )
    with _without_collection():
        files = ProjectFiles(folder.resolve(), unsaved)
        return _load(files, environment, environ or {}, deploying=deploying, entry_points=entry_points)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Let nothing look for garbage meanwhile: nearly all that is made stays, and looking took a quarter of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _load(
    files: ProjectFiles,
    environment: str,
    environ: Mapping[str, str],
    *,
    deploying: bool,
    entry_points: bool | Sequence[EntryPoint],
) -> Project:
    folder = files.folder
    found: list[Diagnostic] = []
    file, document, settings, durable = _project_file(files, environment, found)
    documents, complete = _pipelines(files, found)
    schemas = SchemaFiles(files)
    events = read_event_schemas(schemas)
    documents = checked_inputs(documents, schemas, found)
    signatures, problems = read_signatures(folder, entry_points=entry_points)
    called = {step.uses for document in documents if document.model for step in every_step(document.model) if step.uses}
    types = read_handler_types(folder, signatures, sorted(called))
    for handler_file in project_files(files.folder):
        files.show(handler_file.path)
    named = named_inputs(documents, schemas)
    inputs = ProjectInput(
        pipelines=documents,
        project=file,
        project_document=document,
        schemas=events.schemas,
        unreadable_schemas=events.unreadable,
        schema_files=named,
        used_schemas=frozenset(schemas.referred) | {path for path, schema in named.items() if schema is not None},
        signatures=signatures,
        handler_types=types.schemas,
        marks=sensitive_marks(events, files.sources),
        unreadable_handlers=any(problem.first is None for problem in problems),
        environ=dict(environ) if deploying else {},
        deploying=deploying,
        durable=durable,
        complete=complete,
    )
    compiled = compile_project(inputs)
    for item in compiled.diagnostics:
        if item.code == "FL317":
            files.show(files.folder / item.span.path)  # nothing has made us read it
    found += [
        *schemas.found,
        *events.found,
        *handler_findings(problems, files),
        *hint_findings(types, signatures, files),
    ]
    compiled_found = with_declarations(compiled.diagnostics, files)
    found += _without_consequences(compiled_found, project=file is not None, pipelines=complete)
    if not has_errors(found) and complete and len(compiled.plans) == len(documents):
        found += unused_handlers(signatures, compiled.plans.values(), files)
    tests = ReadTests() if deploying else read_tests(files)
    names = {document.name for document in documents if document.name is not None}
    checked = check_tests(tests.tests, compiled.plans, names, signatures)
    found += [*tests.found, *_without_consequences(checked, project=True, pipelines=complete)]
    found += files.found
    lint = Lint() if file is None else file.lint
    ignores, unreadable = project_ignores(files.sources, [item.document for item in documents])
    kept, suppressed, about_ignores = suppress(found, ignores)
    whole = not deploying and not has_errors(found)
    kept += [*unreadable, *certain(about_ignores, document, whole=whole), *unknown_codes(lint, document)]
    diagnostics = tuple(sorted_diagnostics(with_fixes(reported(kept, lint), files.sources)))
    return Project(
        folder=folder,
        name=folder.resolve().name if file is None else file.project,
        diagnostics=diagnostics,
        sources=files.sources,
        plans=compiled.plans,
        manifest=None if has_errors(diagnostics) else compiled.manifest,
        settings=settings,
        pipelines=documents,
        events=tuple(schema for _, schema in sorted(events.schemas.items())),
        errors={} if file is None else file.errors,
        tests=tests.tests,
        test_data=tests.data,
        suppressed=tuple(suppressed),
        graph=compiled.graph,
        inputs=inputs,
    )


def _project_file(
    files: ProjectFiles, environment: str, found: list[Diagnostic]
) -> tuple[ProjectFile | None, YamlDocument | None, Mapping[str, str], Durability]:
    """Read `flowlang.yaml` with its overlay. Returns it, where it is written, settings of processes, and `durable`."""
    source = files.read(PROJECT_FILE)
    if source is None:
        return None, None, {}, "none"
    model, mistakes = load_project_file(source)
    found += mistakes
    if model is None:
        return None, None, {}, "none"
    overlay = model.environments.get(environment)
    durable = "none" if overlay is None or overlay.durable is None else overlay.durable
    (written, *_), _ = read_yaml(source)
    document = overlaid(written, environment)
    if document is not written:
        model, mistakes = read_shape(document, ProjectFile)
        found += mistakes
    return model, document, process_settings(written, environment), durable


def _pipelines(files: ProjectFiles, found: list[Diagnostic]) -> tuple[tuple[PipelineDocument, ...], bool]:
    """Read all pipelines. Returns them, and whether the name of each could be read."""
    paths = [path for path in files.below(PIPELINES, (".yaml", ".yml")) if not path.lower().endswith(SUFFIXES)]
    if not paths:
        span = SourceText(PROJECT_FILE, "").span(0, 0)
        message = "the project has no pipelines: it has nothing to do"
        hint = f"a pipeline is a file such as `{PIPELINES}/welcome.yaml`"
        found.append(Diagnostic("FL127", message, span, Severity.INFO, hint))
    documents: list[PipelineDocument] = []
    complete = True
    for path in paths:
        source = files.read(path)
        read, mistakes = ([], []) if source is None else load_pipelines(source)
        documents += read
        found += mistakes
        complete = complete and bool(read) and all(document.name is not None for document in read)
    return tuple(documents), complete


def _without_consequences(found: Sequence[Diagnostic], *, project: bool, pipelines: bool) -> list[Diagnostic]:
    """Leave out that a name is unknown where the file that may define it has mistakes."""
    unsure = (() if project else ("FL124", "FL205")) + (() if pipelines else ("FL301",))
    return [item for item in found if item.code not in unsure]
