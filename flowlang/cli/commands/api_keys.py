"""`flowlang api-keys`: make, list, replace and revoke the keys of the HTTP API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flowlang.cli.arguments import seconds
from flowlang.cli.session import Group, Session
from flowlang.cli.shapes import moment, plain
from flowlang.cli.wiring import service_of
from flowlang.clock import rfc3339

if TYPE_CHECKING:
    from flowlang.engine.ports import Grants
    from flowlang.service.api_keys import ListedKey, NewKey

_ALL = "*"

Command = TypeVar("Command", bound=Callable[..., Any])


def _names(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for text in given for part in text.split(",") if part.strip()))


def _grant(flag: str, metavar: str, sentence: str, *, optional: bool = False) -> Callable[[Command], Command]:
    """A flag with a list of names, given once or several times; an optional list is all of them when left out."""
    more: dict[str, Any] = {"is_flag": False, "flag_value": _ALL} if optional else {}
    return click.option(flag, metavar=metavar, multiple=True, callback=_names, help=sentence, **more)


@click.group("api-keys", cls=Group)
def command() -> None:
    """Make, list, replace and revoke the keys of the HTTP API.

    A key may do what it was made for and nothing else. Its text is shown once, when it is made; what is stored is a
    hash of it.
    """


@command.command("create")
@click.argument("name")
@_grant("--send", "EVENTS", "Send these events: names, `shop/*` or `*`, with commas between.")
@_grant("--call", "PIPELINES", "Call these pipelines: names, or `*`.")
@_grant("--read", "[PIPELINES]", "Look at runs of these, with their events.  [all, without names]", optional=True)
@_grant("--control", "[PIPELINES]", "Cancel and replay runs of these.  [all, without names]", optional=True)
@_grant("--delete", "[PIPELINES]", "Delete ended runs of these for good.  [all, without names]", optional=True)
@click.option("--admin", is_flag=True, help="All of that, for all events and pipelines.")
@_grant("--reveal", "[PIPELINES]", "See sensitive data of these, beside --read.  [all, without names]", optional=True)
@click.option("--group", "groups", multiple=True, callback=_names, help="A group that `allow` may name, too.")
@click.option("--expires", metavar="DURATION", type=seconds, help="How long it may be used, such as `90d`.")
@click.option("--rate", metavar="RATE", help="Requests and events, such as `100/s`.  [default: FLOWLANG_RATE_KEY]")
@click.pass_obj
def create(
    session: Session,
    name: str,
    *,
    send: tuple[str, ...],
    call: tuple[str, ...],
    read: tuple[str, ...],
    control: tuple[str, ...],
    delete: tuple[str, ...],
    admin: bool,
    reveal: tuple[str, ...],
    groups: tuple[str, ...],
    expires: float | None,
    rate: str | None,
) -> None:
    """Make a key, and show it: this once, and never again.

    NAME is what `allow` of a pipeline names, and what lists and logs show.
    """
    from flowlang.engine.ports import Grants  # noqa: PLC0415 - brings msgspec
    from flowlang.service import ApiKeys  # noqa: PLC0415 - the same

    grants = Grants(send, call, read, control, delete, admin, reveal)
    with service_of(session) as service:
        expires_in_ms = None if expires is None else round(expires * 1000)
        made = ApiKeys(service.store).create(name, grants, groups=groups, expires_in_ms=expires_in_ms, rate=rate)
    _show(session, made)


@command.command("list")
@click.pass_obj
def list_keys(session: Session) -> None:
    """List keys, those that have expired too. The text of a key cannot be shown."""
    from flowlang.service import ApiKeys  # noqa: PLC0415 - brings msgspec

    with service_of(session) as service:
        found = ApiKeys(service.store).all()
    if session.as_json:
        session.console.document({"api_keys": [_as_json(each) for each in found]})
        return
    session.console.table(
        ["KEY", "NAME", "GROUPS", "GRANTS", "EXPIRES", "USED"],
        [
            [
                f"flk_{each.row.id}_…",
                each.row.name,
                ",".join(each.row.groups) or "-",
                _words(each.row.grants),
                moment(_time(each.row.expires_ms)) if each.usable else "expired",
                moment(_time(each.used_ms)),
            ]
            for each in found
        ],
    )
    if not found:
        session.console.say("no keys: make one with `flowlang api-keys create NAME --send '*'`")


@command.command("rotate")
@click.argument("name")
@click.option("--grace", metavar="DURATION", type=seconds, default="1d", show_default=True, help="The old one's rest.")
@click.option("--expires", metavar="DURATION", type=seconds, help="How long the new one may be used.")
@click.pass_obj
def rotate(session: Session, name: str, grace: float, expires: float | None) -> None:
    """Make a new key in the place of NAME, which goes on for a grace and no longer."""
    from flowlang.service import ApiKeys  # noqa: PLC0415 - brings msgspec

    with service_of(session) as service:
        expires_in_ms = None if expires is None else round(expires * 1000)
        made = ApiKeys(service.store).rotate(name, grace_ms=round(grace * 1000), expires_in_ms=expires_in_ms)
    _show(session, made)


@command.command("revoke")
@click.argument("key", metavar="NAME|ID")
@click.pass_obj
def revoke(session: Session, key: str) -> None:
    """Make a key useless: all of a name, or the one of an id. Servers go by it within 5 seconds."""
    from flowlang.service import ApiKeys  # noqa: PLC0415 - brings msgspec

    with service_of(session) as service:
        ApiKeys(service.store).revoke(key)
    if session.as_json:
        session.console.document({"revoked": key})
    else:
        session.console.say(f"revoked {key}: within 5 seconds, no server takes it")


def _show(session: Session, made: NewKey) -> None:
    row = made.row
    if session.as_json:
        session.console.document({"id": row.id, "name": row.name, "key": made.text, "expires": _time(row.expires_ms)})
        return
    session.console.out(made.text)
    until = "" if row.expires_ms is None else f" until {moment(_time(row.expires_ms))}"
    session.console.say(
        f"the key {row.name}{until}: {_words(row.grants)}. It is not stored and cannot be shown again; "
        "send it as `Authorization: Bearer KEY`"
    )


def _words(grants: Grants) -> str:
    acts = ("reveal",) if grants.admin else ("send", "call", "read", "control", "delete", "reveal")
    said = [f"{act}:{','.join(names)}" for act in acts if (names := getattr(grants, act))]
    return " ".join(["admin", *said] if grants.admin else said)


def _as_json(key: ListedKey) -> dict[str, Any]:
    row = key.row
    return {
        "id": row.id,
        "name": row.name,
        "groups": list(row.groups),
        "grants": plain(row.grants),
        "created": _time(row.created_ms),
        "expires": _time(row.expires_ms),
        "used": _time(key.used_ms),
        "usable": key.usable,
        "rate": row.rate,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
