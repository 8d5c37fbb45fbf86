"""What the compiler works on, all of it data: it reads no files, imports no handlers, and knows no environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowlang.compiler.expressions import Seen
from flowlang.compiler.graph import ProjectGraph
from flowlang.diagnostics import Diagnostic
from flowlang.handler.signature import HintSchemas, Signature
from flowlang.model import PipelineDocument, ProjectFile, YamlDocument
from flowlang.plan import Durability, EventSchema, Manifest, Plan
from flowlang.source import Span


@dataclass(frozen=True, slots=True)
class ProjectInput:
    """A project, read.

    Attributes:
        pipelines: All documents of all pipeline files, those with mistakes as well.
        project: `flowlang.yaml` with the overlay of the environment laid over it; None when it has errors.
        project_document: Where it is written; None when there is none.
        schemas: Event schemas by event name; each is a valid JSON Schema, its references to other files resolved.
        unreadable_schemas: Events whose schema file has mistakes, which have been reported.
        schema_files: Contents of `schemas/**/*.json` by path from the project's root: what `input: path` names.
        used_schemas: Paths of schema files that an `input` names or another schema refers to.
        signatures: Handlers by name.
        handler_types: What handlers take and give, as far as their hints say; by name.
        marks: Where the event schemas mark sensitive fields, by what these are called.
        unreadable_handlers: Whether some file of handlers could not be read, so that names may be missing.
        environ: Variables of the environment, for `env`; empty while only validating.
        deploying: Whether `env` values must be there.
        durable: What the environment says of it.
        complete: Whether all files of pipelines could be read as far as the names in them.
        watch: Is told what can be read at each value and expression; None: nobody asks.
    """

    pipelines: tuple[PipelineDocument, ...]
    project: ProjectFile | None
    project_document: YamlDocument | None = None
    schemas: Mapping[str, EventSchema] = field(default_factory=dict)
    unreadable_schemas: frozenset[str] = frozenset()
    schema_files: Mapping[str, Any] = field(default_factory=dict)
    used_schemas: frozenset[str] = frozenset()
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    handler_types: Mapping[str, HintSchemas] = field(default_factory=dict)
    marks: Mapping[str, Span] = field(default_factory=dict)
    unreadable_handlers: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    deploying: bool = False
    durable: Durability = "none"
    complete: bool = True
    watch: Callable[[Seen], None] | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of a project.

    Attributes:
        plans: By pipeline; those whose document has no errors.
        manifest: What is to be deployed; None when anything has errors.
        diagnostics: All findings of the compiler, sorted.
        graph: Who sends, takes and invokes what; without pipelines that have mistakes of shape.
    """

    plans: Mapping[str, Plan]
    manifest: Manifest | None
    diagnostics: tuple[Diagnostic, ...]
    graph: ProjectGraph
