"""`flowlang dead-letters`: list, show, correct, retry and discard what failed for good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli import bulk
from flowlang.cli.arguments import Given, json_value, reveal_option
from flowlang.cli.session import Group, Session
from flowlang.cli.shapes import error_text, json_line, moment, plain, plural
from flowlang.cli.wiring import service_of
from flowlang.diagnostics.paint import printable

if TYPE_CHECKING:
    from flowlang.service import Service
    from flowlang.service.views import DeadDetail, DeadSummary


@click.group("dead-letters", cls=Group)
def command() -> None:
    """List, show, correct, retry and discard what failed for good."""


@command.command("list")
@click.option("--name", help="Only of this pipeline or event.")
@click.option("--code", help="Only of this error code, `PREFIX.*`, or class.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--before", metavar="ID", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_letters(session: Session, name: str | None, code: str | None, limit: int, before: str | None) -> None:
    """List dead letters, newest first."""
    from flowlang.service import DeadFilter  # noqa: PLC0415 - brings msgspec

    with service_of(session) as service:
        found = list(service.find_dead_letters(DeadFilter(name=name, code=code, limit=limit, before=before)))
    if session.as_json:
        last = found[-1].id if len(found) == limit else None
        session.console.document({"dead_letters": plain(found), "next": last})
        return
    session.console.table(
        ["DEAD LETTER", "KIND", "NAME", "AT", "CODE"],
        [[letter.id, letter.kind, letter.name, moment(letter.at), letter.code] for letter in found],
    )
    if not found:
        session.console.say("no dead letters")
    elif len(found) == limit:
        session.console.say(f"there may be more: --before {found[-1].id}")


@command.command("show")
@click.argument("ident", metavar="ID")
@reveal_option
@click.pass_obj
def show(session: Session, ident: str, *, reveal: bool) -> None:
    """Show a dead letter: why, and with what data."""
    with service_of(session) as service:
        detail = service.dead_letter(ident, reveal=reveal)
    if session.as_json:
        session.console.document({"dead_letter": plain(detail)})
        return
    for label, text in _lines(detail):
        session.console.out(f"{session.console.paint.bold(f'{label:<12}')}{printable(text)}")
    again = f"flowlang dead-letters retry {ident}"
    more = "; --data corrects it" if detail.event else f"; `flowlang runs show {ident}` has its steps"
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


_filters = (
    click.option("--all", "everything", is_flag=True, help="All that the filters leave, instead of ids."),
    click.option("--kind", type=click.Choice(["run", "event"]), help="With --all: only of this kind."),
    click.option("--name", help="With --all: only of this pipeline or event."),
    click.option("--code", help="With --all: only of this error code, `PREFIX.*`, or class."),
    bulk.since,
    bulk.limit,
    bulk.dry_run,
    bulk.yes,
)


def _filtered(function: Any) -> Any:
    """Add the options that choose letters by filter."""
    for option in reversed(_filters):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which letters are meant."""

    idents: tuple[str, ...]
    everything: bool
    filters: dict[str, Any]
    since: float | None

    @classmethod
    def of(cls, idents: tuple[str, ...], options: dict[str, Any]) -> _Choice:
        """Read the options. Raises: UsageError."""
        everything = options.pop("everything")
        if everything == bool(idents):
            raise click.UsageError("name the dead letters by id, or give --all")
        since = options.pop("since")
        if not everything and (since is not None or any(value is not None for value in options.values())):
            raise click.UsageError("--kind, --name, --code, --since and --limit go with --all")
        return cls(idents, everything, options, since)

    def letters(self, service: Service) -> list[DeadSummary]:
        """Find them. Raises: NotFoundError."""
        from flowlang.service import DeadFilter  # noqa: PLC0415 - brings msgspec

        if not self.everything:
            return [service.dead_letter(ident).letter for ident in dict.fromkeys(self.idents)]
        wanted = DeadFilter(**self.filters, since_ms=bulk.since_ms(service, self.since))
        return list(service.find_dead_letters(wanted))


@command.command("retry")
@click.argument("idents", nargs=-1, metavar="[ID]...")
@_filtered
@click.option("--data", metavar="JSON", type=json_value, help="Corrected data of the one letter: JSON, @FILE, or -.")
@click.option("--edit", metavar="CEL", help="Corrected data of each, as an expression over its `event`.")
@reveal_option
@click.pass_obj
def retry(
    session: Session,
    /,
    idents: tuple[str, ...],
    data: Given | None,
    edit: str | None,
    *,
    dry_run: bool,
    yes: bool,
    reveal: bool,
    **options: Any,
) -> int:
    """Send dead letters again, and take them off the list.

    An event is sent as itself, a failed run is replayed whole; `flowlang replay --dead` has more ways for runs.

    Such as: flowlang dead-letters retry --all --name shop/order --edit '{"total": int(event.data.total)}'
    """
    choice = _Choice.of(idents, options)
    if data is not None and (len(idents) != 1 or edit is not None):
        raise click.UsageError("--data corrects one letter: give its id alone, and no --edit")
    correction = _correction(data, edit)
    with service_of(session) as service:
        chosen = choice.letters(service)
        if dry_run:
            shown = correction if reveal else _hidden(correction)
            return _previewed(session, service, chosen, shown, key="would_retry")
        question = f"Send {plural(len(chosen), 'dead letter')} again?"
        bulk.confirm(question, len(chosen), sure=yes or not choice.everything)

        def send(letter: DeadSummary) -> dict[str, Any]:
            answer = service.retry_dead_letter(letter.id, **correction(service, letter))
            return {"id": letter.id, "ok": True, "answer": plain(answer)}

        def say(told: dict[str, Any]) -> None:
            runs = ", ".join(run["id"] for run in told["answer"].get("runs", ()))
            session.console.out(f"{told['id']}  ->  {runs or told['answer']['event']}")

        return bulk.each(session, "retrying", chosen, send, say, key="retried")


@command.command("discard")
@click.argument("idents", nargs=-1, metavar="[ID]...")
@_filtered
@click.pass_obj
def discard(session: Session, /, idents: tuple[str, ...], *, dry_run: bool, yes: bool, **options: Any) -> int:
    """Take dead letters off the list for good; they are not sent again."""
    choice = _Choice.of(idents, options)
    with service_of(session) as service:
        chosen = choice.letters(service)
        if dry_run:
            return _previewed(session, service, chosen, _correction(None, None), key="would_discard")
        bulk.confirm(f"Discard {plural(len(chosen), 'dead letter')}?", len(chosen), sure=yes or not choice.everything)

        def drop(letter: DeadSummary) -> dict[str, Any]:
            service.discard_dead_letter(letter.id)
            return {"id": letter.id, "ok": True}

        return bulk.each(
            session,
            "discarding",
            chosen,
            drop,
            lambda told: session.console.say(f"{told['id']}: is discarded"),
            key="discarded",
        )


_Correction = Callable[["Service", "DeadSummary"], dict[str, Any]]


def _correction(data: Given | None, edit: str | None) -> _Correction:
    """What gives each letter its data; nothing where it stays as it was. Raises: UsageError."""
    if edit is None:
        return lambda _service, _letter: {} if data is None else {"data": data.value}
    from flowlang.expr import EvaluationError, ExpressionSyntaxError, compile_expression, to_json  # noqa: PLC0415
    from flowlang.service import DataError  # noqa: PLC0415 - both only for --edit

    try:
        compiled = compile_expression(edit)
    except ExpressionSyntaxError as error:
        raise click.UsageError(f"--edit: {error}") from None

    def correct(service: Service, letter: DeadSummary) -> dict[str, Any]:
        try:
            return {"data": to_json(compiled.evaluate({"event": service.dead_letter_event(letter.id).view()}))}
        except EvaluationError as error:
            raise DataError(service.shown_of(letter.id, f"--edit: {error}")) from error

    return correct


def _hidden(correct: _Correction) -> _Correction:
    """The data that letters are given, as they may be shown."""

    def shown(service: Service, letter: DeadSummary) -> dict[str, Any]:
        return {name: service.shown_of(letter.id, value) for name, value in correct(service, letter).items()}

    return shown


def _previewed(session: Session, service: Service, chosen: list[DeadSummary], correct: _Correction, *, key: str) -> int:
    """Tell what is meant, with the data that it would have."""

    def look(letter: DeadSummary) -> dict[str, Any]:
        return {**plain(letter), "ok": True, **correct(service, letter)}

    def say(told: dict[str, Any]) -> None:
        data = f"  {json_line(told['data'])}" if "data" in told else ""
        session.console.out(f"{told['id']}  {told['kind']}  {told['name']}{data}")

    status = bulk.each(session, "looking", chosen, look, say, key=key)
    done = "sent again" if key == "would_retry" else "discarded"
    session.console.say(f"{plural(len(chosen), 'dead letter')} would be {done}")
    return status
