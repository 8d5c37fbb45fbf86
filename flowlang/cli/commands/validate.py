"""`flowlang validate`: all findings of all files, in the form and the choice that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from flowlang import __version__
from flowlang.cli.choosing import FAIL_ON, Choice, codes_option, fails
from flowlang.cli.fixing import difference, settled_project, write_fixed
from flowlang.cli.git import changed_files, prefix_in_repository
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.wiring import Checked, check_project
from flowlang.diagnostics import Diagnostic, Format, Suppressed, has_errors, render
from flowlang.diagnostics.baseline import baseline_text, read_baseline, without_baseline
from flowlang.diagnostics.paint import printable
from flowlang.diagnostics.report import plural
from flowlang.errors import ConfigError

#: Stands for stdin.
_DASH: Final = Path("-")

#: Where stdin is taken to be when nobody says so.
_STDIN: Final = "pipelines/stdin.yaml"


@click.command("validate", cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option(
    "--format",
    "output_format",
    type=click.Choice([each.value for each in Format]),
    help="How findings are shown.  [default: github in a GitHub Action, else text]",
)
@click.option("--select", multiple=True, callback=codes_option, metavar="CODES", help="Show these codes only.")
@click.option("--ignore", multiple=True, callback=codes_option, metavar="CODES", help="Leave these codes out.")
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="error",
    show_default=True,
    help="From which weight on findings make the exit status 1.",
)
@click.option("--changed", metavar="REF", help="Show findings of files that differ from a commit, by git.")
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Leave out the findings that are written there.",
)
@click.option(
    "--write-baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write down the findings as they are, and exit with 0.",
)
@click.option("--fix", is_flag=True, help="Write certain fixes into the files; comments and layout stay.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and exit with 1 if that is anything.")
@click.option("--unsafe-fixes", is_flag=True, help="With --fix or --diff: also fixes that leave a choice.")
@click.option("--stdin-path", metavar="PATH", help="The file that - stands for.  [default: pipelines/stdin.yaml]")
@click.option("--no-cache", is_flag=True, help="Read every file anew, and keep nothing for the next time.")
@click.pass_obj
def command(
    session: Session,
    *,
    paths: tuple[Path, ...],
    output_format: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str,
    changed: str | None,
    baseline: Path | None,
    write_baseline: Path | None,
    fix: bool,
    diff: bool,
    unsafe_fixes: bool,
    stdin_path: str | None,
    no_cache: bool,
) -> int:
    """Check all files of the project and show all findings.

    The project is always checked as a whole; PATHS (files or folders, or - for stdin) choose which findings are shown.
    Pipelines in which nothing can have changed since the last time are not read again.
    A single folder with a flowlang.yaml is another project.
    """
    settings = session.settings()
    if len(paths) == 1 and (paths[0] / "flowlang.yaml").is_file():
        settings, paths = replace(settings, project=paths[0]), ()
    unsaved: dict[str, str] = {}
    if _DASH in paths:
        if len(paths) > 1 or fix:
            raise click.UsageError("`-` stands alone, and nothing can be written back to it: use --diff")
        unsaved, paths = _stdin(settings.project, stdin_path)
    elif stdin_path is not None:
        raise click.UsageError("--stdin-path says what `-` stands for: give `-` as well")
    differing = None if changed is None else changed_files(settings.project, changed)
    choice = Choice(settings.project, paths, select, ignore, differing)

    def load(texts: Mapping[str, str]) -> Checked:
        return check_project(settings, unsaved={**unsaved, **texts}, keep=not no_cache)

    if diff:
        lines = list(difference(settled_project(load, choice, unsafe=unsafe_fixes)))
        for line in lines:
            session.console.out(printable(line) if sys.stdout.isatty() else line)
        return REFUSED if lines else OK
    if fix:
        settled = settled_project(load, choice, unsafe=unsafe_fixes)
        write_fixed(settings.project, settled)
        count, files = plural(len(settled.applied), "finding"), plural(len(settled.after), "file")
        session.console.say(f"put right: {count} in {files}")
    project = load({})
    shown, suppressed = choice.of(project), choice.suppressed(project)
    if write_baseline is not None:
        write_baseline.write_text(baseline_text(shown, project.diagnostics, project.sources), encoding="utf-8")
        session.console.say(f"{plural(len(shown), 'finding')} written to {write_baseline}")
        return OK
    if baseline is not None:
        shown, suppressed = _without(session, baseline, shown, suppressed, project)
    console = session.console
    chosen = _format(session, output_format)

    def rendered(output_format: Format) -> str:
        return render(
            shown,
            project.sources,
            output_format=output_format,
            color=console.paint.on,
            files=choice.files(project),
            suppressed=suppressed,
            prefix=prefix_in_repository(settings.project),
            version=__version__,
        )

    console.out(rendered(chosen).rstrip("\n"))
    summary = session.environ.get("GITHUB_STEP_SUMMARY")
    if chosen is Format.GITHUB and summary and shown:
        with Path(summary).open("a", encoding="utf-8") as page:
            page.write(rendered(Format.MARKDOWN) + "\n")
    fixable = sum(item.fix is not None and item.fix.certain for item in shown)
    if fixable and chosen in {Format.TEXT, Format.CONCISE}:
        console.say(f"{fixable} can be put right by `flowlang validate --fix`; `--diff` shows how")
    return REFUSED if fails(shown, fail_on) else OK


def _stdin(project: Path, named: str | None) -> tuple[dict[str, str], tuple[Path, ...]]:
    """The text of stdin by the path that it stands for, and that path as the only one to be shown."""
    path = _STDIN if named is None else named
    root, inside = project.resolve(), Path.cwd() / path
    if named is not None and inside.resolve().is_relative_to(root):  # as seen from here, else from the project
        path = inside.resolve().relative_to(root).as_posix()
    if not (root / path).resolve().is_relative_to(root):
        raise click.UsageError(f"{named} does not lie in the project")
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"stdin is no UTF-8 text from byte {error.start} on") from None
    return {path: text}, (project / path,)


def _format(session: Session, named: str | None) -> Format:
    if named is not None:
        return Format(named)
    if session.as_json:
        return Format.JSON
    return Format.GITHUB if session.environ.get("GITHUB_ACTIONS") == "true" else Format.TEXT


def _without(
    session: Session, file: Path, shown: list[Diagnostic], suppressed: list[Suppressed], project: Checked
) -> tuple[list[Diagnostic], list[Suppressed]]:
    """Leave out what the baseline has; its marks count the findings of the whole project."""
    try:
        known = read_baseline(file.read_text(encoding="utf-8"))
    except (ConfigError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--baseline") from None
    _, old, gone = without_baseline(list(project.diagnostics), project.sources, known)
    if gone and not has_errors(project.diagnostics):  # with errors not all is looked for
        session.console.say(f"{gone} of the baseline are gone; `--write-baseline {file}` writes it anew")
    left_out = {item.diagnostic: item for item in old}
    return (
        [item for item in shown if item not in left_out],
        [*suppressed, *(left_out[item] for item in shown if item in left_out)],
    )
