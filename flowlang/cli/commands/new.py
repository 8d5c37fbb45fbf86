"""`flowlang new`: write a small project that validates and runs at once. It never overwrites anything."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import click

from flowlang.cli.commands.schema import FILES, schema_files
from flowlang.cli.session import OK, Command, Session
from flowlang.cli.shapes import plural
from flowlang.errors import ConfigError

_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")

#: Files of the starter end with this, so that no tool takes them for code of ours.
_SUFFIX: Final = ".txt"

#: A file of this name would have an effect on our own tree.
_RENAMED: Final = {"gitignore": ".gitignore"}


@click.command("new", cls=Command)
@click.argument("name")
@click.option("--into", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to.  [default: ./NAME]")
@click.pass_obj
def command(session: Session, name: str, into: Path | None) -> int:
    """Make a small project that runs at once.

    A folder NAME with one pipeline, one handler, schemas of its events and for editors, and a test. What is there
    already stays as it is: with a file in the way nothing is written.
    """
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f"`{name}` is no name of a project: small letters, digits and `-`, such as `{_near(name)}`"
        )
    folder = into or Path(name)
    contents = _contents(name)
    _refuse_to_overwrite(folder, [*contents, *FILES.values()])
    _write(folder, contents)
    from flowlang.project import load_project  # noqa: PLC0415 - a mistake in the name must not load pydantic

    schemas = schema_files(load_project(folder), folder)
    _write(folder, schemas)
    written = sorted([*contents, *schemas])
    if session.as_json:
        session.console.document({"project": name, "folder": str(folder), "files": written})
        return OK
    for path in written:
        session.console.out(str(folder / path))
    session.console.say(f"wrote {plural(len(written), 'file')}; go on with:\n  cd {folder}\n  flowlang dev")
    return OK


def _near(name: str) -> str:
    return re.sub(r"^[^a-z]+|-+$", "", re.sub(r"[^a-z0-9]+", "-", name.lower())) or "my-project"


def _contents(name: str) -> dict[str, str]:
    """The files of a new project: path → content."""
    found = dict(_walk(files("flowlang.cli") / "starter", ""))
    return {path: text.replace("{{name}}", name) for path, text in sorted(found.items())}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            name = entry.name.removesuffix(_SUFFIX)
            found.append((prefix + _RENAMED.get(name, name), entry.read_text(encoding="utf-8")))
    return found


def _refuse_to_overwrite(folder: Path, paths: list[str]) -> None:
    """Look whether a file is in the way.

    Raises:
        ConfigError: naming it.
    """
    present = [path for path in paths if (folder / path).exists() or (folder / path).is_symlink()]
    if present:
        raise ConfigError(f"{folder / present[0]} is there already; nothing was written. Choose another name or --into")


def _write(folder: Path, contents: dict[str, str]) -> None:
    """Write files.

    Raises:
        ConfigError: saying why one cannot be written.
    """
    try:
        for path, text in contents.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:  # whoever made it in the meantime keeps it
                file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename}: {error.strerror}") from error
