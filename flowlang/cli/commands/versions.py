"""`flowlang versions`: which versions of pipelines are there, and who still needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowlang.cli.session import Command, Session
from flowlang.cli.shapes import moment, plain, plural
from flowlang.cli.wiring import service_of

if TYPE_CHECKING:
    from flowlang.service.views import VersionSummary

_SHOWN = 12  #: of a version, as in other lists


@click.command("versions", cls=Command)
@click.argument("pipeline", required=False)
@click.option("--prune", is_flag=True, help="Drop those that nothing needs; each deploy does so, too.")
@click.pass_obj
def command(session: Session, pipeline: str | None, *, prune: bool) -> None:
    """Show versions of pipelines, and how many runs each has.

    A run ends with the version that it began with. A version is kept while it is active, or a run of it is: live, a
    dead letter, or kept for its retention.
    """
    with service_of(session) as service:
        dropped = service.prune() if prune else ()
        found = service.versions(pipeline)
        unserved = service.stats().unserved
    if session.as_json:
        rows = [{**plain(each), "unserved": unserved.get(each.version, 0)} for each in found]
        session.console.document({"versions": rows, "dropped": list(dropped)})
        return
    session.console.table(
        ["PIPELINE", "VERSION", "SINCE", "PENDING", "AT WORK", "WAITING", "KEPT", ""],
        [
            [
                each.pipeline,
                each.version[:_SHOWN],
                moment(each.since),
                *(str(count or "-") for count in (each.pending, each.at_work, each.waiting, each.kept)),
                _remark(each, unserved.get(each.version, 0)),
            ]
            for each in found
        ],
    )
    if not found:
        session.console.say("no such pipeline" if pipeline else "nothing is deployed: run `flowlang deploy`")
    if prune:
        session.console.say(f"dropped {plural(len(dropped), 'version')}")


def _remark(version: VersionSummary, unserved: int) -> str:
    remarks = ["active"] if version.active else []
    if not version.needed:
        remarks.append("not needed")
    if unserved:
        remarks.append(f"no worker can run {unserved}")
    return ", ".join(remarks)
