"""From a folder to a checked project: reads everything, compiles it, and gathers what was found.

Owns the order of reading and what is passed on where a part has mistakes. Each kind of file has its own module; what
the contents mean together is the compiler's.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from flowlang import jsondata
from flowlang.compiler import ProjectInput
from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.pipeline_tests import check_tests
from flowlang.compiler.project import join_pipelines
from flowlang.diagnostics import Diagnostic, Suppressed, has_errors, sorted_diagnostics, with_fixes
from flowlang.diagnostics.ignores import suppress
from flowlang.errors import ConfigError
from flowlang.handler.files import project_files
from flowlang.handler.signature import Signature
from flowlang.model import (
    PipelineDocument,
    ProjectFile,
    TestDocument,
    YamlDocument,
    load_project_file,
)
from flowlang.model.project_file import ErrorClass, Lint
from flowlang.model.shape import read_shape
from flowlang.model.yaml_source import read_yaml
from flowlang.plan import Durability, EventSchema, Manifest, Plan
from flowlang.project.caches import cache_folder
from flowlang.project.comments import certain, project_ignores
from flowlang.project.events import read_event_schemas, sensitive_marks
from flowlang.project.files import PROJECT_FILE, ProjectFiles
from flowlang.project.handler_types import HandlerTypes, read_handler_types
from flowlang.project.handlers import handler_findings, hint_findings, unused_handlers, with_declarations
from flowlang.project.inputs import named_inputs
from flowlang.project.kept import Kept, digest_of, read_kept
from flowlang.project.lint import reported, unknown_codes
from flowlang.project.overlay import overlaid, process_settings
from flowlang.project.pipelines import PipelineFiles
from flowlang.project.schema_files import SchemaFiles
from flowlang.project.signatures import SignatureProblem, read_signatures
from flowlang.project.tests import ReadTests, read_tests
from flowlang.source import SourceText


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a project.

    Attributes:
        folder: Where it lies.
        name: Its name; that of the folder when `flowlang.yaml` has mistakes.
        diagnostics: All findings of all files, sorted; paths are relative to `folder`.
        sources: The files that were read, by these paths.
        suppressed: Findings that comments leave out.
        owners: Names of pipelines → the path of the file that each is in.
        plans: By pipeline; those of the pipelines without errors.
        inputs: What the compiler was given; of pipelines, only those that had to be read.
    """

    folder: Path
    name: str
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    suppressed: tuple[Suppressed, ...]
    owners: Mapping[str, str]
    plans: Mapping[str, Plan]
    inputs: ProjectInput

    @property
    def files(self) -> int:
        """How many files were read."""
        return len(self.sources)


@dataclass(frozen=True, slots=True)
class Project(Checked):
    """A project, read and compiled.

    Attributes:
        manifest: What is to be deployed; None when there are errors.
        settings: Texts of the settings of processes that the overlay writes, such as `lease`.
        pipelines: All documents of all pipeline files, those with mistakes as well.
        events: Event schemas without mistakes.
        errors: The project's `errors:`, from exception names to classes.
        tests: Pipeline tests, those with mistakes as well; none when deploying.
        test_data: Contents of the data files that tests name, by path from the project's root.
        graph: Who sends, takes and invokes what; without pipelines that have mistakes of shape.
    """

    manifest: Manifest | None
    settings: Mapping[str, str]
    pipelines: tuple[PipelineDocument, ...] = ()
    events: tuple[EventSchema, ...] = ()
    errors: Mapping[str, ErrorClass] = field(default_factory=dict)
    tests: tuple[TestDocument, ...] = ()
    test_data: Mapping[str, Any] = field(default_factory=dict)
    graph: ProjectGraph = field(default_factory=lambda: ProjectGraph({}))


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
    with _without_collection():
        files = _files(folder, unsaved)
        return _load(files, environment, environ or {}, deploying=deploying, entry_points=entry_points)


def check_project(
    folder: Path,
    *,
    environment: str = "development",
    entry_points: bool | Sequence[EntryPoint] = True,
    unsaved: Mapping[str, str] | None = None,
    keep: bool = True,
) -> Checked:
    """Check a project, as `load_project` does; pipelines in which nothing can have changed are not read again.

    Args:
        folder: Where its `flowlang.yaml` is.
        environment: Which overlay of `flowlang.yaml` applies; one that it does not have changes nothing.
        entry_points: Whether to take handlers of installed packages; or the entry points to take.
        unsaved: Texts that an editor holds, by path from the folder: YAML and JSON of them are read in place of files.
        keep: Whether to use what was found before, and keep what is found now.

    Raises:
        ConfigError: when the folder holds no project.
    """
    with _without_collection():
        files = _files(folder, unsaved)
        kept = read_kept(files.folder, cache_folder()) if keep else None
        found = _load(files, environment, {}, deploying=False, entry_points=entry_points, kept=kept)
    return Checked(
        found.folder,
        found.name,
        found.diagnostics,
        found.sources,
        found.suppressed,
        found.owners,
        found.plans,
        found.inputs,
    )


def _files(folder: Path, unsaved: Mapping[str, str] | None) -> ProjectFiles:
    """The files of a folder that holds a project. Raises: ConfigError."""
    if not (folder / PROJECT_FILE).is_file():
        raise ConfigError(
            f"there is no project in {folder.resolve()}: it has no {PROJECT_FILE}. "
            "Write one that begins with `flowlang: 1` and `project: name`, or name another folder"
        )
    return ProjectFiles(folder.resolve(), unsaved)


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
    kept: Kept | None = None,
) -> Project:
    """Read and check a project; with `kept`, only pipelines of changed files and what they invoke are in the result."""
    folder = files.folder
    found: list[Diagnostic] = []
    file, document, settings, durable = _project_file(files, environment, found)
    schemas = SchemaFiles(files)
    pipelines = PipelineFiles(files, schemas, None if kept is None else kept.records)
    found += pipelines.nothing()
    events = read_event_schemas(schemas)
    signatures, problems = read_signatures(folder, entry_points=entry_points)
    types = read_handler_types(folder, signatures, sorted(pipelines.handlers))
    for handler_file in project_files(files.folder):
        files.show(handler_file.path)
    if kept is not None:
        handlers = (signatures, problems, types)
        pipelines.settle(_context(files, environment, schemas.paths, handlers, pipelines.names))
    named = named_inputs(pipelines.input_files, schemas)
    inputs = ProjectInput(
        pipelines=pipelines.documents,
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
        complete=pipelines.complete,
    )
    lowered = pipelines.lower(inputs)
    found += pipelines.mistakes()
    compiled = join_pipelines(inputs, lowered)
    if kept is not None:
        kept.write(pipelines.records())
    plans = pipelines.plans(compiled.plans)
    complete = pipelines.complete
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
    if not has_errors(found) and complete and all(each.sound for each in lowered):
        found += unused_handlers(signatures, pipelines.handlers, files)
    tests = ReadTests() if deploying else read_tests(files)
    checked = check_tests(tests.tests, plans, pipelines.names, {*signatures, *pipelines.handlers})
    found += [*tests.found, *_without_consequences(checked, project=True, pipelines=complete)]
    found += files.found
    lint = Lint() if file is None else file.lint
    ignores, unreadable = project_ignores(files.sources, [item.document for item in inputs.pipelines])
    shown, suppressed, about_ignores = suppress(found, ignores)
    whole = not deploying and not has_errors(found)
    shown += [*unreadable, *certain(about_ignores, document, whole=whole), *unknown_codes(lint, document)]
    diagnostics = tuple(sorted_diagnostics(with_fixes(reported(shown, lint), files.sources)))
    return Project(
        folder=folder,
        name=folder.resolve().name if file is None else file.project,
        diagnostics=diagnostics,
        sources=files.sources,
        plans=plans,
        manifest=None if has_errors(diagnostics) else compiled.manifest,
        settings=settings,
        pipelines=inputs.pipelines,
        events=tuple(schema for _, schema in sorted(events.schemas.items())),
        errors={} if file is None else file.errors,
        tests=tests.tests,
        test_data=tests.data,
        suppressed=tuple(suppressed),
        owners=pipelines.owners,
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


def _context(
    files: ProjectFiles,
    environment: str,
    schemas: Iterable[str],
    handlers: tuple[Mapping[str, Signature], Sequence[SignatureProblem], HandlerTypes],
    names: Iterable[str],
) -> str:
    """A digest of all that pipelines are checked against, beside those that they invoke."""
    texts = [environment]
    for path in (PROJECT_FILE, *schemas):
        texts += (path, files.peek(path))
    signatures, problems, types = handlers
    texts += (jsondata.dumps(signature.to_json()).decode() for _, signature in sorted(signatures.items()))
    texts += map(repr, problems)
    texts += (f"{name} {hints!r}" for name, hints in sorted(types.schemas.items()))
    texts += (f"{name} {problem}" for name, problem in sorted(types.problems.items()))
    return digest_of(*texts, *sorted(names))


def _without_consequences(found: Sequence[Diagnostic], *, project: bool, pipelines: bool) -> list[Diagnostic]:
    """Leave out that a name is unknown where the file that may define it has mistakes."""
    unsure = (() if project else ("FL124", "FL205")) + (() if pipelines else ("FL301",))
    return [item for item in found if item.code not in unsure]
