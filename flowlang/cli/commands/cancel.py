"""`flowlang cancel`: cancel runs, by id or by filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from flowlang.cli import bulk
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.shapes import moment, plain, plural
from flowlang.cli.wiring import service_of

if TYPE_CHECKING:
    from flowlang.service.views import RunSummary

_STATUSES: Final = ("pending", "running")


@click.command("cancel", cls=Command)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--all", "everything", is_flag=True, help="All runs that the filters leave, instead of ids.")
@click.option("--pipeline", help="With --all: only runs of this one.")
@click.option("--status", type=click.Choice(_STATUSES), help="With --all: only in this one.  [default: both]")
@bulk.since
@bulk.limit
@click.option("--reason", default="cancelled on the command line", show_default=True, help="Why; the run keeps it.")
@bulk.dry_run
@bulk.yes
@click.pass_obj
def command(
    session: Session,
    runs: tuple[str, ...],
    *,
    pipeline: str | None,
    status: str | None,
    since: float | None,
    limit: int | None,
    reason: str,
    everything: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Cancel runs; their clean-up still runs.

    Such as: flowlang cancel --all --pipeline welcome --status pending
    """
    if everything == bool(runs):
        raise click.UsageError("name the runs, or give --all")
    if not everything and any(each is not None for each in (pipeline, status, since, limit)):
        raise click.UsageError("--pipeline, --status, --since and --limit go with --all")
    with service_of(session) as service:
        if not everything:
            chosen = list(dict.fromkeys(runs))
            rows = [service.run(run).run for run in chosen] if dry_run else []
        else:
            statuses = _STATUSES if status is None else (status,)
            found = service.find_runs(pipeline=pipeline, statuses=statuses, since_ms=bulk.since_ms(service, since))
            rows = list({run.id: run for run in found}.values())[:limit]
            chosen = [row.id for row in rows]
        if dry_run:
            return _previewed(session, rows)
        bulk.confirm(f"Cancel {plural(len(chosen), 'run')}?", len(chosen), sure=yes or not everything)

        def cancel(run: str) -> dict[str, Any]:
            changed = service.cancel(run, reason)
            return {"id": run, "ok": changed or everything, "changed": changed}

        return bulk.each(
            session,
            "cancelling",
            chosen,
            cancel,
            lambda told: session.console.say(
                f"{told['id']}: {'is being cancelled' if told['changed'] else 'had ended before'}"
            ),
            key="cancelled",
        )


def _previewed(session: Session, rows: list[RunSummary]) -> int:
    live = [row for row in rows if row.status in _STATUSES]
    if session.as_json:
        session.console.document({"would_cancel": plain(live)})
        return OK if len(live) == len(rows) else REFUSED
    session.console.table(
        ["RUN", "PIPELINE", "STATUS", "CREATED"],
        [[row.id, row.pipeline, row.status, moment(row.created_at)] for row in live],
    )
    session.console.say(f"{plural(len(live), 'run')} would be cancelled")
    return OK if len(live) == len(rows) else REFUSED
