"""Which findings a call asks for: by path, by code, by what git says has changed, and how grave they must be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from flowlang.cli.wiring import Checked
from flowlang.diagnostics import CODES, Diagnostic, Severity, Suppressed, did_you_mean

#: What `--fail-on` takes, from the strictest on.
FAIL_ON: Final = ("info", "warning", "error", "never")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for.

    Args:
        project: The project's folder.
        paths: Files and folders; none: all.
        select: Codes or their beginnings; none: all.
        ignore: Codes or their beginnings that are not.
        changed: The files of which findings are wanted; None: all.
    """

    project: Path
    paths: Sequence[Path] = ()
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    changed: frozenset[str] | None = None

    def of(self, project: Checked) -> list[Diagnostic]:
        """The findings of a project that were asked for."""
        return [item for item in project.diagnostics if self._has(item)]

    def suppressed(self, project: Checked) -> list[Suppressed]:
        """Those that its comments leave out."""
        return [item for item in project.suppressed if self._has(item.diagnostic)]

    def files(self, project: Checked) -> int:
        """How many files they could be in."""
        return sum(self._under(path) for path in project.sources)

    def _has(self, item: Diagnostic) -> bool:
        selected = not self.select or _named(item.code, self.select)
        ignored = _named(item.code, self.ignore)
        return selected and not ignored and self._under(item.span.path) and self._is_changed(item)

    def _under(self, path: str) -> bool:
        file = (self.project / path).resolve()
        return not self.paths or any(file.is_relative_to(each.resolve()) for each in self.paths)

    def _is_changed(self, item: Diagnostic) -> bool:
        """Whether a finding is in a changed file, or explained by a place in one."""
        spans = (item.span, *(label.span for label in item.labels))
        return self.changed is None or any(span.path in self.changed for span in spans)


def codes_option(_: click.Context, __: click.Parameter, given: Sequence[str]) -> tuple[str, ...]:
    """Codes and their beginnings, with commas between or the option repeated."""
    words = tuple(word.strip() for text in given for word in text.split(",") if word.strip())
    for word in words:
        if word != "ALL" and not any(code.startswith(word) for code in CODES):
            near = did_you_mean(word.upper(), CODES)
            hint = f"; did you mean `{near}`?" if near else "; `flowlang explain` lists all codes"
            raise click.BadParameter(f"no finding has the code `{word}`{hint}")
    return words


def fails(diagnostics: Iterable[Diagnostic], fail_on: str) -> bool:
    """Whether any finding is as grave as `--fail-on` says, or graver."""
    if fail_on == "never":
        return False
    order = list(Severity)
    return any(order.index(item.severity) <= order.index(Severity(fail_on)) for item in diagnostics)


def _named(code: str, names: Iterable[str]) -> bool:
    return any(name == "ALL" or code.startswith(name) for name in names)
