"""Doing one thing to many: what is chosen by a filter is asked for once, and each is told as it is done.

What cannot be done does not hold up the rest; the exit status says whether all went well. Whoever interrupts it and
calls the same command again goes on: what was done is not chosen any more, or answers that it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flowlang.cli.arguments import seconds
from flowlang.cli.progress import progress
from flowlang.cli.session import OK, REFUSED, Session
from flowlang.errors import FlowError, StoreFullError, StoreUnavailableError

if TYPE_CHECKING:
    from flowlang.service import Service

T = TypeVar("T")

since = click.option(
    "--since", metavar="DURATION", type=seconds, help="With a filter: only of the last such time, as 2d."
)
limit = click.option("--limit", type=click.IntRange(min=1), help="With a filter: at most so many, the newest.")
dry_run = click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
yes = click.option("-y", "--yes", is_flag=True, help="With a filter: do not ask.")


def since_ms(service: Service, age_s: float | None) -> int | None:
    """The moment from which on things are recent enough; None: always."""
    return None if age_s is None else service.store.now_ms() - int(age_s * 1000)


def confirm(question: str, count: int, *, sure: bool) -> None:
    """Ask whether to go on. Raises: Abort."""
    if count and not sure:
        click.confirm(question, abort=True, err=True)


def each(
    session: Session,
    title: str,
    chosen: Sequence[T],
    do: Callable[[T], dict[str, Any]],
    say: Callable[[dict[str, Any]], None],
    *,
    key: str,
) -> int:
    """Do something to each, one after the other.

    Args:
        session: How to tell.
        title: What goes on, such as `replaying`.
        chosen: What it is done to.
        do: Does it and gives what is told of it, with `id` and `ok`; an error of ours is told instead.
        say: Tells it to people, as soon as it is done.
        key: Name of the list in JSON.

    Returns:
        The exit status.
    """
    told: list[dict[str, Any]] = []
    with progress(session.console, title) as show:
        for number, one in enumerate(chosen, start=1):
            if len(chosen) > 1 and session.console.interactive:
                show(f"{number} of {len(chosen)}")
            try:
                answer = do(one)
            except (StoreFullError, StoreUnavailableError):
                raise
            except FlowError as error:
                answer = {"id": getattr(one, "id", one), "ok": False, "message": str(error)}
            told.append(answer)
            if session.as_json:
                continue
            if "message" in answer and not answer["ok"]:
                session.console.fail(f"{answer['id']}: {answer['message']}")
            else:
                say(answer)
    if session.as_json:
        session.console.document({key: told})
    failed = sum(not answer["ok"] for answer in told)
    if failed and len(told) > 1:
        session.console.say(f"{failed} of {len(told)} could not be done")
    return REFUSED if failed else OK
