"""`flowlang schema`: JSON Schemas for editors, with the names that the project has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from flowlang.cli.session import Command, Session
from flowlang.cli.wiring import Project, load_project

#: What can be printed → the file that `--write` makes of it.
FILES: Final = {
    "pipeline": "schemas/pipeline.schema.json",
    "project": "schemas/project.schema.json",
    "tests": "schemas/tests.schema.json",
    "event": "schemas/event.schema.json",
}


@click.command("schema", cls=Command)
@click.argument("what", type=click.Choice(list(FILES)), default="pipeline")
@click.option("--write", is_flag=True, help="Write all of them to schemas/*.schema.json.")
@click.option("--check", is_flag=True, help="Only say whether these files are up to date; exit 1 when not.")
@click.pass_obj
def command(session: Session, what: str, *, write: bool, check: bool) -> int:
    """Write JSON Schemas of pipelines, tests and events for editors.

    Prints the schema of WHAT: pipeline, project, tests or event. With the names of the project's handlers and their
    arguments, of events, pipelines and retry policies. An editor with a YAML server uses one where a file begins with
    `# yaml-language-server: $schema=../schemas/pipeline.schema.json`.
    """
    from flowlang.cli.generated import check_files, write_files  # noqa: PLC0415 - only to write

    settings = session.settings()
    contents = schema_files(load_project(settings), settings.project)
    if check:
        return check_files(session, settings.project, contents, "flowlang schema --write")
    if write:
        return write_files(session, settings.project, contents)
    session.console.out(contents[FILES[what]].rstrip("\n"))
    return 0


def schema_files(project: Project, folder: Path) -> dict[str, str]:
    """The files of a project: path → content.

    Args:
        project: As it was read.
        folder: Its folder.
    """
    from flowlang.editing import json_schema  # noqa: PLC0415 - brings pydantic
    from flowlang.project.docstrings import docstrings  # noqa: PLC0415 - the same

    inputs = project.inputs
    names = json_schema.Names(
        handlers=None if inputs.unreadable_handlers else inputs.signatures,
        docs=docstrings(folder, inputs.signatures),
        events=inputs.schemas,
        pipelines=tuple(sorted({document.name for document in inputs.pipelines if document.name is not None})),
        policies=() if inputs.project is None else tuple(sorted(inputs.project.retries)),
    )
    schemas = {
        "pipeline": json_schema.schema_of_pipelines(names),
        "project": json_schema.schema_of_project(names),
        "tests": json_schema.schema_of_tests(names),
        "event": json_schema.schema_of_events(names),
    }
    return {FILES[what]: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for what, schema in schemas.items()}
