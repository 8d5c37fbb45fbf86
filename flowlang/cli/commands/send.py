"""`flowlang send`: one event, or a file of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from flowlang import jsondata
from flowlang.cli.arguments import Given, json_value
from flowlang.cli.progress import progress
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.shapes import plain, plural
from flowlang.cli.wiring import service_of

if TYPE_CHECKING:
    from flowlang.service import Answer, IncomingEvent, Service

#: Events that go to the store together.
_BATCH: Final = 64

_FIELDS: Final = {"name", "data", "id", "user"}


@click.command("send", cls=Command)
@click.argument("event", required=False)
@click.argument("data", metavar="[JSON]", type=json_value, required=False)
@click.option(
    "-d",
    "--data",
    "data_option",
    metavar="JSON",
    type=json_value,
    help="Its data: JSON, @FILE, or - for stdin.  [default: {}]",
)
@click.option("--id", "ident", help="Your own id of the event; sent again, it is the same event.")
@click.option(
    "-f",
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Send every line: data of EVENT, or without EVENT whole events {name, data, id}.",
)
@click.pass_obj
def command(session: Session, /, event: str | None, ident: str | None, file: Path | None, **given: Given | None) -> int:
    """Send events.

    Such as: flowlang send member/joined '{"name": "Ada"}'
    """
    data = [each for each in given.values() if each is not None]
    if len(data) > 1:
        raise click.UsageError("the data is given twice")
    if file is not None:
        if data or ident is not None:
            raise click.UsageError("with --file, data and ids stand in its lines")
        return _send_file(session, event, file)
    if event is None:
        raise click.UsageError('which event? Such as: flowlang send member/joined \'{"name": "Ada"}\'')
    from flowlang.service import IncomingEvent  # noqa: PLC0415 - loaded when there is something to send

    with service_of(session) as service:
        answer = service.ingest([IncomingEvent(event, data[0].value if data else {}, ident)], source="cli")[0]
        unheard = answer.status == "accepted" and not answer.runs and not answer.offered
        ignored = _ignored(service, answer) if unheard else []
    return _answered(session, event, answer, ignored)


def _ignored(service: Service, answer: Answer) -> list[str]:
    """Why an event started nothing, a line for each trigger that looked at it."""
    kept = service.event(answer.event)
    lines = [kept.note] if kept.note else []
    for reason in kept.ignored:
        seen = ", ".join(f"{name} is {json.dumps(value)}" for name, value in reason.values.items())
        lines.append(f"{reason.pipeline}: {reason.why}" + (f": `{reason.expression}`" if reason.expression else ""))
        lines[-1] += f", where {seen}" if seen else ""
    return lines


def _answered(session: Session, event: str, answer: Answer, ignored: list[str]) -> int:
    console = session.console
    if session.as_json:
        console.document({"answer": plain(answer)})
    elif not answer.stored:
        console.fail(f"{event} was not taken: {_why(answer)}")
    elif answer.status == "dead_letter":
        console.fail(f"{event} was kept as a dead letter: `flowlang dead-letters show {answer.event}` says why")
    else:
        console.out(answer.event)
        for run in answer.runs:
            console.out(f"  {run.id}{'' if run.new else '  (holds the idempotency key)'}")
        started = f"started {plural(sum(run.new for run in answer.runs), 'run')}"
        if answer.offered:
            started += f", and {plural(answer.offered, 'wait')} found it"
        console.say(f"{event} {'was sent before' if answer.status == 'duplicate' else started}")
        for line in ignored:
            console.say(f"  {line}")
    return OK if answer.status in {"accepted", "duplicate"} else REFUSED


def _why(answer: Answer) -> str:
    return answer.message or "; ".join(f"{failure.path}: {failure.message}" for failure in answer.failures)


def _send_file(session: Session, event: str | None, file: Path) -> int:
    counts: Counter[str] = Counter()
    problems: list[dict[str, Any]] = []
    with (
        click.open_file(str(file), "rb") as lines,
        service_of(session) as service,
        progress(session.console, f"sending {file.name}") as show,
    ):
        for batch in _batches(_read(lines, event)):
            _send_batch(service, batch, counts, problems)
            show(plural(counts.total(), "line"))
    if session.as_json:
        session.console.document({"counts": dict(counts), "problems": problems})
    else:
        for problem in problems:
            session.console.fail(f"{file.name}:{problem['line']}: {problem['status']}: {problem['message']}")
        session.console.out(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no lines")
    return REFUSED if problems else OK


def _read(lines: IO[bytes], event: str | None) -> Iterator[tuple[int, IncomingEvent | str]]:
    """Each line with its number: an event, or what is wrong with it."""
    from flowlang.service import IncomingEvent  # noqa: PLC0415 - loaded when there is something to send

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = jsondata.loads_strict(line)
        except jsondata.JsonError as error:
            yield number, str(error)
            continue
        if event is not None:
            yield number, IncomingEvent(event, value)
        else:
            problem = _misshapen(value)
            yield number, problem or IncomingEvent(**value)


def _misshapen(value: Any) -> str | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return 'a line is an event such as {"name": "member/joined", "data": {}}; or name the EVENT of all lines'
    if value.get("id") is not None and not isinstance(value["id"], str):
        return "`id` is a text"
    unknown = sorted(set(value) - _FIELDS)
    return f"unknown key `{unknown[0]}`; an event has {', '.join(sorted(_FIELDS))}" if unknown else None


def _batches(
    events: Iterator[tuple[int, IncomingEvent | str]],
) -> Iterator[list[tuple[int, IncomingEvent | str]]]:
    batch: list[tuple[int, IncomingEvent | str]] = []
    for each in events:
        batch.append(each)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _send_batch(
    service: Service,
    batch: list[tuple[int, IncomingEvent | str]],
    counts: Counter[str],
    problems: list[dict[str, Any]],
) -> None:
    sound = [(number, event) for number, event in batch if not isinstance(event, str)]
    answers = service.ingest([event for _, event in sound], source="cli") if sound else []
    found = {
        number: (answer.status, _why(answer) or answer.event)
        for (number, _), answer in zip(sound, answers, strict=True)
    }
    for number, event in batch:
        status, message = ("invalid", event) if isinstance(event, str) else found[number]
        counts[status] += 1
        if status not in {"accepted", "duplicate"}:
            problems.append({"line": number, "status": status, "message": message})
