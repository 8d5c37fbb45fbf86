"""Which findings are shown: what `lint` of `flowlang.yaml` leaves out. Errors are never left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from flowlang.diagnostics import CODES, Diagnostic, Severity
from flowlang.diagnostics.ignores import unknown_code
from flowlang.model import Path, YamlDocument
from flowlang.model.project_file import Lint


def reported(diagnostics: Iterable[Diagnostic], lint: Lint) -> list[Diagnostic]:
    """The findings that are to be shown.

    Args:
        diagnostics: All.
        lint: `select` and `ignore` name codes or their beginnings (`FL3`), or `ALL`; `per_file` more to ignore, by
            patterns of paths.
    """
    return [item for item in diagnostics if item.severity is Severity.ERROR or _wanted(item, lint)]


def unknown_codes(lint: Lint, document: YamlDocument | None) -> list[Diagnostic]:
    """What `lint` names that is no code, no beginning of one, and not `ALL`.

    Args:
        lint: As written.
        document: Where it is written; None when nothing is.
    """
    if document is None:
        return []
    lists: list[tuple[Path, Sequence[str]]] = [(("lint", "select"), lint.select), (("lint", "ignore"), lint.ignore)]
    lists += [(("lint", "per_file", pattern), codes) for pattern, codes in lint.per_file.items()]
    found = []
    for path, names in lists:
        for number, name in enumerate(names):
            if name != "ALL" and not (name and any(code.startswith(name) for code in CODES)):
                found.append(unknown_code(name, document.span_at((*path, number))))
    return found


def _wanted(item: Diagnostic, lint: Lint) -> bool:
    here = [codes for pattern, codes in lint.per_file.items() if fnmatchcase(item.span.path, pattern)]
    ignored = [*lint.ignore, *(code for codes in here for code in codes)]
    return _named(item.code, lint.select) and not _named(item.code, ignored)


def _named(code: str, names: Iterable[str]) -> bool:
    return any(name == "ALL" or (name != "" and code.startswith(name)) for name in names)
