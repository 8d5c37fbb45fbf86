"""`flowlang fsck`: look whether everything that the store says twice agrees, and say what to do where it does not."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.shapes import plural
from flowlang.cli.wiring import fsck, located

if TYPE_CHECKING:
    from flowlang.engine.fsck import Report

#: Findings of one code that people are shown; programs get all.
_SHOWN: Final = 20


@click.command("fsck", cls=Command)
@click.pass_obj
def command(session: Session) -> int:
    """Check that the indexes of the store agree with the runs in it.

    Reads only, in pages, while workers go on; what looks wrong is read again, and shown when it stays so. Exit 1 when
    something is wrong. docs/reference/fsck.md says what each finding means.
    """
    report = fsck(located(session.settings()))
    if session.as_json:
        _document(session, report)
    else:
        _show(session, report)
    return REFUSED if report.findings else OK


def _document(session: Session, report: Report) -> None:
    from flowlang.engine.fsck import MEANINGS  # noqa: PLC0415 - brings msgspec

    session.console.document(
        {
            "runs": report.runs,
            "entries": report.entries,
            "unread": report.unread,
            "findings": [
                {
                    "code": each.code,
                    "where": each.where,
                    "what": each.what,
                    "means": MEANINGS[each.code].means,
                    "do": MEANINGS[each.code].do,
                }
                for each in report.findings
            ],
        }
    )


def _show(session: Session, report: Report) -> None:
    from flowlang.engine.fsck import MEANINGS  # noqa: PLC0415 - brings msgspec

    console = session.console
    for code, group in groupby(report.findings, lambda each: each.code):
        found = list(group)
        console.out(f"{console.tone('fail')}  {code}: {MEANINGS[code].means}")
        for each in found[:_SHOWN]:
            console.out(f"      {each.where}: {each.what}")
        if len(found) > _SHOWN:
            console.out(f"      and {len(found) - _SHOWN} more; --json shows all")
        console.out(f"      {console.paint.bold('->')} {MEANINGS[code].do}")
    read = f"{plural(report.runs, 'run')} and {report.entries} entries of indexes were read"
    if report.unread:
        read += f", {plural(report.unread, 'run')} changed too fast to be judged"
    if report.findings:
        console.out(f"{console.tone('fail')}  {read}: {plural(len(report.findings), 'finding')}")
    else:
        console.out(f"{console.tone('ok')}    {read}: all of it agrees")
