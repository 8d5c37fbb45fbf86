"""Compiles pipelines that tests write as text, without files."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from flowlang.compiler import Compiled, ProjectInput, compile_project
from flowlang.diagnostics import Severity
from flowlang.handler.signature import Param, Signature
from flowlang.model import load_pipelines, load_project_file
from flowlang.model.yaml_source import read_yaml
from flowlang.plan import EventSchema
from flowlang.source import SourceText


def signature(name: str, *required: str, effect: str | None = "keyed", extra: bool = False) -> Signature:
    """A handler that needs these arguments."""
    params = tuple(Param(each, required=True, annotation_text="str", has_default=False) for each in required)
    return Signature(
        name=name,
        params=params,
        accepts_extra=extra,
        effect=effect,
        timeout=None,
        retry=None,
        is_async=False,
        returns=None,
        path="handlers/h.py",
        line=1,
        column=1,
    )


#: Handlers that tests may call: the first takes anything.
SIGNATURES = {
    each.name: each
    for each in (
        signature("any.thing", extra=True),
        signature("mail.send", "to", "text"),
        signature("pay.once", effect="once", extra=True),
        signature("old.style", effect=None, extra=True),
    )
}


def compile_text(
    text: str,
    *,
    project: str = "flowlang: 1\nproject: test\n",
    schemas: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    deploying: bool = False,
) -> Compiled:
    """Compile the pipelines of one file, which must be well formed."""
    documents, findings = load_pipelines(SourceText("pipelines/p.yaml", textwrap.dedent(text)))
    assert not findings, findings
    source = SourceText("flowlang.yaml", textwrap.dedent(project))
    model, more = load_project_file(source)
    assert not more, more
    return compile_project(
        ProjectInput(
            tuple(documents),
            model,
            read_yaml(source)[0][0],
            {name: EventSchema(name, schema) for name, schema in (schemas or {}).items()},
            signatures=SIGNATURES,
            environ=environ or {},
            deploying=deploying,
        )
    )


def findings(compiled: Compiled, *, least: Severity = Severity.WARNING) -> list[tuple[str, int, int]]:
    """Code, line and column of each finding; infos are left out unless asked for."""
    weights = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}
    return [
        (item.code, item.span.line, item.span.column)
        for item in compiled.diagnostics
        if weights[item.severity] >= weights[least]
    ]
