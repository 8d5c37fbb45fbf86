"""`flowlang replay`: run what has ended again, by id or, of dead letters, by filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli import bulk
from flowlang.cli.arguments import Given, json_value
from flowlang.cli.session import Command, Session
from flowlang.cli.shapes import plain, plural
from flowlang.cli.wiring import service_of

if TYPE_CHECKING:
    from flowlang.service import Service

#: Kept checkpoints that are named; of more only the number is said.
_NAMED = 8


@click.command("replay", cls=Command)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--from", "start", metavar="STEP", help="From this step on, as `ship` or `pages[3].notify`.")
@click.option("--input", "data", metavar="JSON", type=json_value, help="Edited data: JSON, @FILE, or - for stdin.")
@click.option("--same-version", is_flag=True, help="On the version that the run had.  [default: the active one]")
@click.option("--new-keys", is_flag=True, help="With new idempotency keys: all effects happen anew.")
@click.option("--dead", is_flag=True, help="All runs among the dead letters that the filters leave, instead of ids.")
@click.option("--pipeline", help="With --dead: only of this one.")
@click.option("--code", help="With --dead: only of this error code, `PREFIX.*`, or class.")
@bulk.since
@bulk.limit
@bulk.dry_run
@bulk.yes
@click.pass_obj
def command(
    session: Session,
    runs: tuple[str, ...],
    *,
    start: str | None,
    data: Given | None,
    pipeline: str | None,
    code: str | None,
    since: float | None,
    limit: int | None,
    same_version: bool,
    new_keys: bool,
    dead: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Run an ended run again: whole, or from a step on.

    Such as: flowlang replay --dead --pipeline welcome --code 'smtp.*' --since 2d --dry-run
    """
    from flowlang.engine.replay import Wish  # noqa: PLC0415 - brings msgspec
    from flowlang.service import DeadFilter  # noqa: PLC0415 - the same

    if dead == bool(runs):
        raise click.UsageError("name the runs, or give --dead")
    if not dead and any(each is not None for each in (pipeline, code, since, limit)):
        raise click.UsageError("--pipeline, --code, --since and --limit go with --dead")
    if data is not None and (dead or len(runs) != 1):
        raise click.UsageError("--input is the data of one run: name it alone")
    edited = {} if data is None else {"data": data.value}
    wish = Wish(start=start, same_version=same_version, new_keys=new_keys, **edited)
    with service_of(session) as service:
        chosen = list(dict.fromkeys(runs))
        if dead:
            wanted = DeadFilter("run", pipeline, code, bulk.since_ms(service, since), limit)
            chosen = [letter.id for letter in service.find_dead_letters(wanted)]
        if dry_run:
            return bulk.each(
                session,
                "looking",
                chosen,
                lambda run: _looked_at(service, run, wish),
                lambda told: _say_preview(session, told),
                key="would_replay",
            )
        bulk.confirm(f"Replay {plural(len(chosen), 'dead letter')}?", len(chosen), sure=yes or not dead)
        return bulk.each(
            session,
            "replaying",
            chosen,
            lambda run: _replayed(service, run, wish),
            lambda told: _say_replay(session, told),
            key="replayed",
        )


def _replayed(service: Service, run: str, wish: Any) -> dict[str, Any]:
    return {"id": run, "ok": True, "replay": plain(service.replay(run, wish))}


def _looked_at(service: Service, run: str, wish: Any) -> dict[str, Any]:
    return {"id": run, "ok": True, "replay": plain(service.dry_run(run, wish))}


def _say_replay(session: Session, told: dict[str, Any]) -> None:
    replay = told["replay"]
    started = replay["run"]
    held = "" if started["new"] else "  (it had been replayed so before)"
    session.console.out(f"{told['id']}  ->  {started['id']}{held}")
    for line in _about(replay):
        session.console.say(f"  {line}")


def _say_preview(session: Session, told: dict[str, Any]) -> None:
    replay, console = told["replay"], session.console
    console.out(f"{told['id']}  {replay['pipeline']} {replay['version'][:12]}")
    for line in _about(replay):
        console.say(f"  {line}")
    forecast = replay.get("forecast", {})
    rows = [_row("", effect) for effect in forecast.get("effects", ())]
    rows += [_row("perhaps", effect) for effect in forecast.get("perhaps", ())]
    console.table(["", "EFFECT", "STEP", "WHAT", ""], rows)
    if not rows:
        console.say("  it has no effects")
    for step in forecast.get("unknown", ()):
        console.say(f"  how {step} will end is not known; what follows depends on it")


def _row(sure: str, effect: dict[str, Any]) -> list[str]:
    more = ", ".join(filter(None, (effect.get("effect"), "new key" if effect.get("new_key") else "")))
    return [sure, effect["kind"], effect["step"], effect["target"], more]


def _about(replay: dict[str, Any]) -> Iterator[str]:
    kept = replay.get("kept", ())
    if replay.get("from"):
        named = f": {', '.join(kept)}" if 0 < len(kept) <= _NAMED else ""
        yield f"from {replay['from']} on; {plural(len(kept), 'checkpoint')} kept{named}"
    for each in replay.get("again", ()):
        yield f"{each['step']} must run again: {each['why']}"
