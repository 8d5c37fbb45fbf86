"""`flowlang validate`: all findings of all files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.wiring import Project, load_project
from flowlang.diagnostics import Diagnostic, Format, has_errors, render
from flowlang.settings import Settings


@click.command("validate", cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format",
    "output_format",
    type=click.Choice([each.value for each in Format]),
    help="With excerpts, one line each, or JSON.  [default: text]",
)
@click.pass_obj
def command(session: Session, paths: tuple[Path, ...], output_format: str | None) -> int:
    """Check all files of the project and show all findings.

    The project is always checked as a whole; PATHS (files or folders) choose which findings are shown. A single folder
    with a flowlang.yaml is another project.
    """
    settings = session.settings()
    if len(paths) == 1 and (paths[0] / "flowlang.yaml").is_file():
        settings, paths = replace(settings, project=paths[0]), ()
    project = load_project(settings)
    shown = _chosen(project, settings, paths)
    chosen = Format(output_format or (Format.JSON if session.as_json else Format.TEXT))
    console = session.console
    text = render(
        shown, project.sources, output_format=chosen, color=console.paint.on, files=_files(project, settings, paths)
    )
    console.out(text.rstrip("\n"))
    return REFUSED if has_errors(shown) else OK


def _chosen(project: Project, settings: Settings, paths: Sequence[Path]) -> list[Diagnostic]:
    return [item for item in project.diagnostics if _is_under(settings.project / item.span.path, paths)]


def _files(project: Project, settings: Settings, paths: Sequence[Path]) -> int:
    return sum(_is_under(settings.project / path, paths) for path in project.sources)


def _is_under(file: Path, paths: Sequence[Path]) -> bool:
    return not paths or any(file.resolve().is_relative_to(path.resolve()) for path in paths)
