"""`flowlang dead-letters`: list, show and retry what failed for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.arguments import Given, json_value
from flowlang.cli.progress import progress
from flowlang.cli.session import OK, REFUSED, Group, Session
from flowlang.cli.shapes import error_text, json_line, moment, plain, plural
from flowlang.cli.wiring import service_of
from flowlang.diagnostics.paint import printable
from flowlang.errors import FlowError, StoreUnavailableError

if TYPE_CHECKING:
    from flowlang.service import Service
    from flowlang.service.views import DeadDetail, DeadSummary

_PAGE = 200


@click.group("dead-letters", cls=Group)
def command() -> None:
    """List, show and retry what failed for good."""


@command.command("list")
@click.option("--name", help="Only of this pipeline or event.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--before", metavar="ID", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_letters(session: Session, name: str | None, limit: int, before: str | None) -> None:
    """List dead letters, newest first."""
    with service_of(session) as service:
        found = service.dead_letters(name=name, before=before, limit=limit)
    if session.as_json:
        last = found[-1].id if len(found) == limit else None
        session.console.document({"dead_letters": plain(found), "next": last})
        return
    session.console.table(
        ["DEAD LETTER", "KIND", "NAME", "AT"],
        [[letter.id, letter.kind, letter.name, moment(letter.at)] for letter in found],
    )
    if not found:
        session.console.say("no dead letters")
    elif len(found) == limit:
        session.console.say(f"there may be more: --before {found[-1].id}")


@command.command("show")
@click.argument("ident", metavar="ID")
@click.pass_obj
def show(session: Session, ident: str) -> None:
    """Show a dead letter: why, and with what data."""
    with service_of(session) as service:
        detail = service.dead_letter(ident)
    if session.as_json:
        session.console.document({"dead_letter": plain(detail)})
        return
    for label, text in _lines(detail):
        session.console.out(f"{session.console.paint.bold(f'{label:<12}')}{printable(text)}")
    again = f"flowlang dead-letters retry {ident}"
    more = "; --data corrects an event" if detail.event else f"; `flowlang runs show {ident}` has its steps"
    session.console.say(f"send it again with `{again}`{more}")


def _lines(detail: DeadDetail) -> Iterator[tuple[str, str]]:
    letter = detail.letter
    yield "dead letter", letter.id
    yield letter.kind, letter.name
    yield "at", moment(letter.at)
    if detail.error is not None:
        yield "error", error_text(detail.error)
    if detail.event is None:
        return
    if detail.event.reason:
        yield "reason", detail.event.reason
    for failure in detail.event.failures:
        yield "schema", f"{failure.path}: {failure.message}"
    for problem in detail.event.problems:
        yield problem.pipeline, f"{problem.where}: {problem.message}"
        if problem.expression:
            yield "", f"in {problem.expression}"
        for failure in problem.failures:
            yield "", f"{failure.path}: {failure.message}"
    yield "source", detail.event.event.source
    yield "data", json_line(detail.event.event.data)


@command.command("retry")
@click.argument("idents", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that --name leaves, instead of ids.")
@click.option("--name", help="With --all: only of this pipeline or event.")
@click.option("--data", metavar="JSON", type=json_value, help="Corrected data of the one event: JSON, @FILE, or -.")
@click.option("--dry-run", is_flag=True, help="Only list what would be sent again.")
@click.option("-y", "--yes", is_flag=True, help="With --all: do not ask.")
@click.pass_obj
def retry(
    session: Session,
    idents: tuple[str, ...],
    name: str | None,
    data: Given | None,
    *,
    everything: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Send dead letters again, and take them off the list."""
    if everything == bool(idents):
        raise click.UsageError("name the dead letters by id, or give --all")
    if name is not None and not everything:
        raise click.UsageError("--name goes with --all")
    if data is not None and len(idents) != 1:
        raise click.UsageError("--data corrects one event: give its id alone")
    with service_of(session) as service:
        chosen = list(_listed(service, name)) if everything else [service.dead_letter(i).letter for i in idents]
        if dry_run:
            return _previewed(session, chosen)
        if everything and chosen and not yes:
            click.confirm(f"Send {plural(len(chosen), 'dead letter')} again?", abort=True, err=True)
        return _retried(session, service, chosen, {} if data is None else {"data": data.value})


def _listed(service: Service, name: str | None) -> Iterator[DeadSummary]:
    before: str | None = None
    while page := service.dead_letters(name=name, before=before, limit=_PAGE):
        yield from page
        before = page[-1].id


def _previewed(session: Session, chosen: list[DeadSummary]) -> int:
    if session.as_json:
        session.console.document({"would_retry": plain(chosen)})
    else:
        session.console.table(["DEAD LETTER", "KIND", "NAME"], [[each.id, each.kind, each.name] for each in chosen])
        session.console.say(f"{plural(len(chosen), 'dead letter')} would be sent again")
    return OK


def _retried(session: Session, service: Service, chosen: list[DeadSummary], correction: dict[str, Any]) -> int:
    """Send again one by one: what cannot be sent stays on the list, and does not hold up the rest."""
    answers: list[dict[str, Any]] = []
    with progress(session.console, "retrying") as show_state:
        for number, letter in enumerate(chosen, start=1):
            if len(chosen) > 1 and session.console.interactive:
                show_state(f"{number} of {len(chosen)}")
            try:
                answer = service.retry_dead_letter(letter.id, **correction)
            except StoreUnavailableError:
                raise
            except FlowError as error:
                answers.append({"id": letter.id, "retried": False, "message": str(error)})
            else:
                answers.append({"id": letter.id, "retried": True, "answer": plain(answer)})
    if session.as_json:
        session.console.document({"retried": answers})
    else:
        for each in answers:
            _say_answer(session, each)
    return OK if all(each["retried"] for each in answers) else REFUSED


def _say_answer(session: Session, answer: dict[str, Any]) -> None:
    if not answer["retried"]:
        session.console.fail(f"{answer['id']}: {answer['message']}")
        return
    runs = ", ".join(run["id"] for run in answer["answer"].get("runs", ()))
    session.console.out(f"{answer['id']}  ->  {runs or answer['answer']['event']}")
