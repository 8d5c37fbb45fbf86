"""Events and those who wait for them: the index of waits, the mailboxes, and who may take an event."""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.engine.ops import EventRow, Take, Wait
from flowlang.engine.reference.ranked import Ranked
from flowlang.engine.reference.tables import SEP, Run, Scope, Tables

#: Ended mail that each new mail takes away, so that mailboxes stay small whether or not anybody sweeps.
MAIL_DROPS = 2


def register(tables: Tables, run_id: str, scope_id: str, scope: Scope, wait: Wait) -> None:
    """Let a scope wait for events, and give it those that its wait looks back to."""
    tables.drop_wait(run_id, scope_id, scope, wait.id)
    scope.waits[wait.id] = wait
    for key in wait.keys:
        tables.waits.setdefault(key, set()).add(SEP.join((run_id, scope_id, wait.id)))
    if wait.since_ms is None:
        return
    found = {event: at_ms for key in wait.keys for at_ms, event in _mail(tables, key, wait.since_ms)}
    for event, at_ms in sorted(found.items(), key=lambda one: (one[1], one[0])):
        if event != wait.but:
            tables.deliver(run_id, scope_id, _fact(wait.id, event, at_ms, tables.events[event].body))


def announce(tables: Tables, event: EventRow) -> int:
    """Give an event to all who wait for one of its keys; tells to how many."""
    reached: set[str] = set()
    offered = 0
    for key in event.keys:
        for member in sorted(tables.waits.get(key, ())):
            if member in reached:
                continue
            reached.add(member)
            run_id, scope_id, wait_id = member.split(SEP)
            if tables.runs[run_id].scopes[scope_id].waits[wait_id].but != event.id:
                tables.deliver(run_id, scope_id, _fact(wait_id, event.id, tables.now_ms, event.body))
                offered += 1
    return offered


def post(tables: Tables, event: EventRow) -> None:
    """Put an event into the mailboxes of its keys."""
    collect(tables, MAIL_DROPS)
    for key in event.keys:
        tables.mailboxes.setdefault(key, Ranked()).put(event.id, tables.now_ms)
    tables.mails.put(SEP.join((event.id, *event.keys)), tables.now_ms + event.mail_ms)


def unpost(tables: Tables, event: str, keys: tuple[str, ...]) -> None:
    """Take an event out of the mailboxes of its keys."""
    tables.mails.drop(SEP.join((event, *keys)))
    for key in keys:
        if key in tables.mailboxes:
            tables.mailboxes[key].drop(event)
            if not len(tables.mailboxes[key]):
                del tables.mailboxes[key]


def collect(tables: Tables, limit: int) -> None:
    """Take events out of the mailboxes whose time there is over, at most so many."""
    for member in tables.mails.up_to(tables.now_ms, limit):
        event, *keys = member.split(SEP)
        unpost(tables, event, tuple(keys))


def take(tables: Tables, run_id: str, scope_id: str, run: Run, asked: Take) -> None:
    """Give an event to the first of a run's waits that asks for it."""
    given = (asked.share, asked.event)
    ok = given not in run.taken
    run.taken.add(given)
    tables.deliver(run_id, scope_id, {"kind": "taken", "wait": asked.wait, "event": asked.event, "ok": ok})


def _mail(tables: Tables, key: str, since_ms: int) -> Iterator[tuple[int, str]]:
    """What a mailbox has from a time on, oldest first."""
    for at_ms, event in tables.mailboxes.get(key, ()):
        row = tables.events.get(event)
        if at_ms >= since_ms and row is not None and row.mail_until_ms > tables.now_ms:
            yield at_ms, event


def _fact(wait: str, event: str, at_ms: int, body: bytes) -> dict[str, object]:
    return {"kind": "event", "wait": wait, "event": event, "at": at_ms, "body": body}
