"""Reports values that do not fit where they go: arguments, data of events, inputs of pipelines."""

from __future__ import annotations

from collections.abc import Sequence

from flowlang.compiler.expressions import Written
from flowlang.compiler.findings import Findings, near
from flowlang.expr.fit import Misfit, PartPath, Wrong, misfits
from flowlang.expr.types import Type
from flowlang.jsondata import render_path
from flowlang.model import Path


def report_misfits(
    findings: Findings,
    path: Path,
    given: Written,
    wanted: Type,
    *,
    code: str,
    owner: str,
    at: Path = (),
    converted: bool = False,
    names: bool = True,
) -> None:
    """Report what does not fit of a written value.

    Args:
        findings: Where to report.
        path: Where the value is written.
        given: The value, checked.
        wanted: The type that its place takes.
        code: Of the findings.
        owner: Whose data it is, in words.
        at: Where to report what the whole lacks; empty: at the value.
        converted: Whether texts that say a number or boolean are taken for one.
        names: Whether to say which fields the whole lacks, and which it has too many; else another rule does.
    """
    found = list(misfits(given.plain, given.parts, wanted, converted=converted))
    missing: dict[PartPath, list[str]] = {}
    for misfit in found:
        if not names and misfit.wrong is not Wrong.TYPE and misfit.path in {(), (misfit.name,)}:
            continue
        inner = (*path, *misfit.path)
        if misfit.wrong is Wrong.MISSING:
            missing.setdefault(misfit.path, []).append(misfit.name)
        elif misfit.wrong is Wrong.UNKNOWN:
            key = misfit.path[-1:] == (misfit.name,)
            whole = _subject(misfit.path[:-1] if key else misfit.path, owner)
            findings.at(inner, code, f"{whole} takes no `{misfit.name}`", key=key, hint=misfit.hint)
        else:
            findings.at(inner, code, f"{_subject(misfit.path, owner)} {misfit.message}", hint=misfit.hint)
    for where, lacked in missing.items():
        lacking = _not_misspelt(where, lacked, found)
        if lacking:
            listed = ", ".join(f"`{name}`" for name in sorted(lacking))
            place = (*path, *where) if where or not at else at
            findings.at(place, code, f"{_subject(where, owner)} needs {listed}")


def _not_misspelt(where: PartPath, names: Sequence[str], found: Sequence[Misfit]) -> list[str]:
    """Leave out what is missing because it is written under another name, which has been reported."""
    unknown = [each.name for each in found if each.wrong is Wrong.UNKNOWN and each.path == (*where, each.name)]
    return [name for name in names if not any(near(other, [name]) for other in unknown)]


def _subject(path: PartPath, owner: str) -> str:
    return f"`{render_path(path)}` of {owner}" if path else owner
