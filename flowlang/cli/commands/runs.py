"""`flowlang runs`: list, show, cancel and delete runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from flowlang.cli import bulk
from flowlang.cli.arguments import reveal_option
from flowlang.cli.commands.cancel import command as cancel
from flowlang.cli.session import Group, Session
from flowlang.cli.shapes import error_text, json_line, moment, plain, plural, took
from flowlang.cli.wiring import service_of
from flowlang.diagnostics.paint import printable

if TYPE_CHECKING:
    from flowlang.service.views import RunDetail, StepState

_STATUSES: Final = ("pending", "running", "succeeded", "failed", "cancelled", "skipped")


@click.group("runs", cls=Group)
def command() -> None:
    """List, show, cancel and delete runs."""


command.add_command(cancel, "cancel")


@command.command("list")
@click.option("--pipeline", help="Only runs of this one.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs in this one.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--before", metavar="ID", help="Go on after this run, the last of the page before.")
@click.pass_obj
def list_runs(session: Session, pipeline: str | None, status: str | None, limit: int, before: str | None) -> None:
    """List runs, newest first."""
    with service_of(session) as service:
        found = service.runs(pipeline=pipeline, status=status, before=before, limit=limit)
    if session.as_json:
        session.console.document({"runs": plain(found), "next": found[-1].id if len(found) == limit else None})
        return
    session.console.table(
        ["RUN", "PIPELINE", "STATUS", "CREATED", "TOOK"],
        [
            [run.id, run.pipeline, run.status, moment(run.created_at), took(run.started_at, run.ended_at)]
            for run in found
        ],
    )
    if not found:
        session.console.say("no such runs" if pipeline or status or before else "no runs yet")
    elif len(found) == limit:
        session.console.say(f"there may be more: --before {found[-1].id}")


@command.command("delete")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(session: Session, runs: tuple[str, ...], *, yes: bool) -> int:
    """Delete ended runs for good, before their retention is over.

    All runs that they invoked go with them, their dead letters, and the event of each where it made no other run.
    Outputs that were kept for other runs (`cache`) stay for their time. docs/operations/encryption.md says what of it
    backups still have.
    """
    chosen = list(dict.fromkeys(runs))
    bulk.confirm(f"Delete {plural(len(chosen), 'run')} for good?", len(chosen), sure=yes)
    with service_of(session) as service:

        def drop(run: str) -> dict[str, Any]:
            service.delete(run)
            return {"id": run, "ok": True}

        def say(told: dict[str, Any]) -> None:
            session.console.say(f"{told['id']}: is deleted")

        return bulk.each(session, "deleting", chosen, drop, say, key="deleted")


@command.command("show")
@click.argument("run")
@click.option("--journal", is_flag=True, help="Also what happened, in order.")
@reveal_option
@click.pass_obj
def show(session: Session, run: str, *, journal: bool, reveal: bool) -> None:
    """Show a run with its steps."""
    with service_of(session) as service:
        detail = service.run(run, reveal=reveal)
    show_run(session, detail, journal=journal)


def show_run(session: Session, detail: RunDetail, *, journal: bool = False) -> None:
    """Write all that is known of a run.

    Args:
        session: How.
        detail: The run.
        journal: Whether to add what happened, in order.
    """
    if session.as_json:
        content = plain(detail)
        if not journal:
            content.pop("journal", None)
        session.console.document(content)
        return
    _head(session, detail)
    retries = _due(detail, "retry:")
    session.console.table(
        ["STEP", "STATUS", "ATTEMPTS", "TOOK", ""],
        [
            [
                step.step,
                step.status,
                str(step.attempts or "-"),
                took(step.started_at, step.ended_at),
                _remark(step, retries),
            ]
            for step in detail.steps
        ],
    )
    if journal:
        _journal(session, detail)


def _head(session: Session, detail: RunDetail) -> None:
    console, run = session.console, detail.run
    lines = [
        ("run", run.id),
        ("pipeline", f"{run.pipeline} (version {run.version[:12]})"),
        ("status", console.tone(run.status)),
        ("event", f"{detail.event.name} {detail.event.id}"),
        ("created", moment(run.created_at)),
        ("took", took(run.started_at, run.ended_at)),
        ("replay of", run.replay_of),
        ("replaced by", run.replaced_by),
        ("merged into", run.merged_into),
        ("error", error_text(detail.error)),
        ("output", json_line(plain(detail)["output"]) if "output" in plain(detail) else None),
    ]
    lines += [("waits", f"{name} until {moment(due)}") for name, due in _due(detail, "").items()]
    for label, text in lines:
        if text:
            shown = text if label == "status" else printable(text)
            console.out(f"{console.paint.bold(f'{label:<12}')}{shown}")
    console.out("")


def _due(detail: RunDetail, kind: str) -> dict[str, str]:
    """Timers of a kind by what is behind it, the empty kind taking all: `retry:` gives step → when."""
    names = {name.partition("|")[2]: due for name, due in detail.timers.items()}
    return {name.removeprefix(kind): due for name, due in names.items() if name.startswith(kind)}


def _remark(step: StepState, retries: dict[str, str]) -> str:
    if step.error is not None:
        return error_text(step.error)
    due = retries.get(step.step)
    return f"next attempt {moment(due)}" if due else ""


def _journal(session: Session, detail: RunDetail) -> None:
    from flowlang.clock import rfc3339  # noqa: PLC0415 - only for the journal

    def row(entry: dict[str, Any]) -> list[str]:
        rest = {key: value for key, value in entry.items() if key not in {"at", "kind", "step", "error"}}
        about = " ".join(f"{key}={json_line(value)}" for key, value in rest.items())
        return [
            rfc3339(entry["at"]),
            entry["kind"],
            entry.get("step", ""),
            " ".join(filter(None, (about, error_text(entry.get("error"))))),
        ]

    session.console.out("")
    session.console.table(["AT", "WHAT", "STEP", ""], [row(entry) for entry in detail.journal])
