"""`flowlang run`: call a pipeline, and wait for its end when asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowlang.cli.arguments import Given, json_value, seconds
from flowlang.cli.commands.runs import show_run
from flowlang.cli.progress import progress
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.shapes import plain, plural
from flowlang.cli.waiting import await_end
from flowlang.cli.wiring import service_of

if TYPE_CHECKING:
    from flowlang.service import Service, StartedRun


@click.command("run", cls=Command)
@click.argument("pipeline")
@click.option(
    "-d",
    "--data",
    metavar="JSON",
    type=json_value,
    default="{}",
    help="Its input: JSON, @FILE, or - for stdin.  [default: {}]",
)
@click.option("--key", help="Idempotency key: for a day, the same key gives the same run.")
@click.option("-w", "--wait", is_flag=True, help="Wait for its end; exit 1 unless it succeeds.")
@click.option("--timeout", metavar="DURATION", type=seconds, help="Wait at most so long, such as 30s; the run goes on.")
@click.pass_obj
def command(session: Session, pipeline: str, data: Given, key: str | None, *, wait: bool, timeout: float | None) -> int:
    """Call a pipeline.

    Such as: flowlang run welcome --data '{"name": "Ada"}' --wait
    """
    with service_of(session) as service:
        started = service.call(pipeline, data.value, key=key, source="cli")
        if not wait and timeout is None:
            return _started(session, pipeline, started)
        return _awaited(session, service, started, timeout)


def _started(session: Session, pipeline: str, started: StartedRun) -> int:
    if session.as_json:
        session.console.document({"run": plain(started)})
    else:
        session.console.out(started.id)
        held = "" if started.new else f" (it holds the idempotency key; `{pipeline}` is not called again)"
        session.console.say(f"see it with `flowlang runs show {started.id}`{held}")
    return OK


def _awaited(session: Session, service: Service, started: StartedRun, timeout: float | None) -> int:
    with progress(session.console, started.id) as show:
        detail = await_end(service, started.id, timeout, show)
    show_run(session, detail)
    if detail.run.ended_at is None:
        session.console.say(f"it has not ended after {plural(round(timeout or 0), 'second')}, and goes on")
        return REFUSED
    return OK if detail.run.status == "succeeded" else REFUSED
