"""`flowlang types`: Python types of the project's events, for the hints of handlers."""

from __future__ import annotations

from pathlib import Path

import click

from flowlang.cli.session import Command, Session
from flowlang.cli.wiring import load_project


@click.command("types", cls=Command)
@click.option("--write", type=click.Path(path_type=Path), metavar="FILE", help="Write them to FILE.")
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only say whether FILE is as it would be now.",
)
@click.pass_obj
def command(session: Session, write: Path | None, check: Path | None) -> int:
    """Write Python types of the project's events.

    A `TypedDict` for each event that has a schema: `VideoUploaded` for `video/uploaded`. FILE is relative to the
    current folder. A handler then says what it takes: `def load(video: VideoUploaded)`.
    """
    if write is not None and check is not None:
        raise click.UsageError("`--write` writes a file and `--check` does not: take one of them")
    from flowlang.cli.generated import check_files, write_files  # noqa: PLC0415 - only to write
    from flowlang.editing.event_types import event_types  # noqa: PLC0415 - only here

    inputs = load_project(session.settings()).inputs
    text = event_types({name: event.schema for name, event in inputs.schemas.items()})
    if check is not None:
        return check_files(session, check.parent, {check.name: text}, f"flowlang types --write {check}")
    if write is not None:
        return write_files(session, write.parent, {write.name: text})
    session.console.out(text.rstrip("\n"))
    return 0
