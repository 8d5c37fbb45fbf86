"""What git says of a project's files, for commands that look at changes only."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click


def changed_files(folder: Path, ref: str) -> frozenset[str]:
    """The files that differ from a commit, and those that git does not know yet.

    Args:
        folder: The project's; other files are left out.
        ref: A commit, branch or tag.

    Returns:
        Paths from the folder, with `/`.

    Raises:
        click.UsageError: when git is not there, the folder is in no repository, or there is no such commit.
    """
    if ref.startswith("-"):
        raise click.UsageError(f"`{ref}` is no commit")
    differing = _git(folder, "diff", "--name-only", "--relative", "-z", ref, "--", ".")
    unknown = _git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    return frozenset(path for path in f"{differing}\0{unknown}".split("\0") if path)


def prefix_in_repository(folder: Path) -> str:
    """The way from the root of the repository to a folder, with a `/` at its end; empty at the root or outside."""
    here = folder.resolve()
    for root in (here, *here.parents):
        if (root / ".git").exists():
            way = here.relative_to(root).as_posix()
            return "" if way == "." else f"{way}/"
    return ""


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours, and a commit's name that is no option
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the git of whoever calls us
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise click.UsageError("--changed asks git, and there is none on this machine") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise click.UsageError(f"git says: {said[0] if said else done.returncode}")
    return done.stdout.decode(errors="surrogateescape")
