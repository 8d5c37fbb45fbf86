"""`flowlang keys`: list, generate and rotate the keys that stored payloads are encrypted with."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.progress import progress
from flowlang.cli.session import OK, REFUSED, Group, Session
from flowlang.cli.shapes import plural
from flowlang.cli.wiring import key_use, located, rotate_keys
from flowlang.clock import random_bytes
from flowlang.keyring import KEY_BYTES, MAX_ID, Keyring, fingerprint

if TYPE_CHECKING:
    from flowlang.engine.ports import KeyUse

PLAIN = 0  #: stands for no key


@click.group("keys", cls=Group)
def command() -> None:
    """List, generate and rotate the keys of stored payloads."""


@command.command("list")
@click.pass_obj
def list_keys(session: Session) -> int:
    """List keys, and how many stored payloads need each. Exit 1 when one is needed that is not configured.

    All that is stored is looked through, in pages, while everything goes on.
    """
    settings = located(session.settings())
    with progress(session.console, "looking") as show:
        show("at stored payloads")
        use = key_use(settings)
    _show(session, settings.encryption_keys, use)
    return REFUSED if _missing(settings.encryption_keys, use) else OK


@command.command("generate")
@click.option("--id", "ident", type=click.IntRange(1, MAX_ID), help="Its id; by default one more than the highest.")
@click.pass_obj
def generate(session: Session, ident: int | None) -> None:
    """Write a new key, as FLOWLANG_ENCRYPTION_KEYS takes it.

    It is stored nowhere: keep it where the other secrets are, and a copy where no fire reaches both. Without it, what
    is encrypted with it is lost.
    """
    known = session.settings().encryption_keys
    number = max(known.keys, default=0) + 1 if ident is None else ident
    if number in known.keys:
        raise click.UsageError(f"key {number} is there already: a new key needs a new id")
    if number > MAX_ID:
        raise click.UsageError(f"ids end at {MAX_ID}: name a free one with --id")
    key = random_bytes(KEY_BYTES)
    spelled = f"{number}:{base64.b64encode(key).decode()}"
    if session.as_json:
        session.console.document({"key": spelled, "id": number, "fingerprint": fingerprint(key)})
    else:
        session.console.out(spelled)


@command.command("rotate")
@click.pass_obj
def rotate(session: Session) -> int:
    """Close all stored data keys with the first key. Exit 1 when payloads of other keys are left.

    Workers and servers go on. Stopped half-way, it goes on when it is called again. docs/operations/encryption.md has
    the order in which keys are changed.
    """
    settings = located(session.settings())
    ring = settings.encryption_keys
    with progress(session.console, "rotating") as show:
        done = rotate_keys(settings, lambda count: show(plural(count, "payload")))
    left = {key: count for key, count in done.use.payloads.items() if key not in {PLAIN, ring.current}}
    if session.as_json:
        session.console.document({"rewrapped": done.rewrapped, "left": {str(key): n for key, n in left.items()}})
        return REFUSED if left else OK
    session.console.out(f"{plural(done.rewrapped, 'payload')} closed with key {ring.current}")
    for key, count in left.items():
        configured = key in ring.keys
        why = "a process still has it first" if configured else "it is not in FLOWLANG_ENCRYPTION_KEYS"
        session.console.fail(f"{plural(count, 'payload')} left under key {key}: {why}")
    if not left and len(ring.keys) > 1:
        others = ", ".join(str(key) for key in ring.keys if key != ring.current)
        session.console.say(f"nothing is left under key {others}: take it out of FLOWLANG_ENCRYPTION_KEYS")
    return REFUSED if left else OK


def _missing(ring: Keyring, use: KeyUse) -> list[int]:
    return [key for key in use.payloads if key != PLAIN and key not in ring.keys]


def _show(session: Session, ring: Keyring, use: KeyUse) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": ident,
            "fingerprint": fingerprint(key),
            "role": "closes" if ident == ring.current else "opens",
            "payloads": use.payloads.get(ident, 0),
        }
        for ident, key in ring.keys.items()
    ]
    rows += [{"id": ident, "role": "missing", "payloads": use.payloads[ident]} for ident in _missing(ring, use)]
    plain = use.payloads.get(PLAIN, 0)
    if session.as_json:
        session.console.document({"keys": rows, "plain": plain})
        return
    session.console.table(
        ["KEY", "FINGERPRINT", "", "PAYLOADS"],
        [[str(row["id"]), row.get("fingerprint", "-"), row["role"], str(row["payloads"])] for row in rows],
    )
    if plain or not rows:
        session.console.say(f"{plural(plain, 'payload')} not encrypted")
