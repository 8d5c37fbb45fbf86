"""What `doctor` says of the keys that payloads are encrypted with: whether all can be opened, and by all processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from flowlang.cli.checks import Check
from flowlang.cli.shapes import plural
from flowlang.settings import Settings

if TYPE_CHECKING:
    from flowlang.bootstrap import Health
    from flowlang.engine.ports import KeyUse


def keys_checks(health: Health, settings: Settings) -> Iterator[Check]:
    """Say whether all that is stored can be opened, and by all."""
    ring, use = settings.encryption_keys, health.key_use
    mine = ring.marks()
    others = {process: marks for process, marks in health.keyrings.items() if marks != mine}
    if use is not None:
        yield _stored_keys(settings, use)
    if not others:
        if health.keyrings:
            yield Check("keyrings", "ok", f"{plural(len(health.keyrings), 'process')} with the same keys as here")
        return
    process, marks = min(others.items())
    more = f", and {plural(len(others) - 1, 'other process')}" if len(others) > 1 else ""
    found = f"{process} has {_named(marks)}{more}; here {'are' if len(mine) != 1 else 'is'} {_named(mine)}"
    known = {mark.partition("-")[0]: mark for mark in mine}
    alien = any(known.get(mark.partition("-")[0], mark) != mark for each in others.values() for mark in each)
    same = not alien and all(set(each) == set(mine) for each in others.values())
    status: Literal["warn", "fail"] = "warn" if same else "fail"
    advice = "give all processes the same FLOWLANG_ENCRYPTION_KEYS, in the same order, and restart them"
    yield Check("keyrings", status, found, advice)


def _named(marks: tuple[str, ...]) -> str:
    return f"key {', '.join(marks)}" if marks else "no key"


def _stored_keys(settings: Settings, use: KeyUse) -> Check:
    ring = settings.encryption_keys
    part = "" if use.complete else f" (of {use.keys} keys of the store that were looked at)"
    missing = {key: count for key, count in use.payloads.items() if key and key not in ring.keys}
    if missing:
        named = ", ".join(f"key {key} ({count})" for key, count in sorted(missing.items()))
        advice = "add the key to FLOWLANG_ENCRYPTION_KEYS; without it these payloads are lost"
        return Check("encryption", "fail", f"stored payloads need {named}, which is not configured{part}", advice)
    if not ring.current:
        return Check("encryption", "ok", "payloads are stored as they are: no key is configured")
    old = sum(count for key, count in use.payloads.items() if key not in {0, ring.current})
    if old:
        found = f"{plural(old, 'payload')} under older keys{part}; key {ring.current} closes"
        return Check(
            "encryption", "warn", found, "run `flowlang keys rotate` when all processes have the new key first"
        )
    plain = use.payloads.get(0, 0)
    if plain and settings.encryption_plain == "refuse":
        found = f"{plural(plain, 'payload')} not encrypted{part}, and FLOWLANG_ENCRYPTION_PLAIN is `refuse`"
        return Check("encryption", "fail", found, "set it to `accept` until their runs have expired")
    note = f"; {plural(plain, 'payload')} from before are not encrypted" if plain else ""
    return Check("encryption", "ok", f"key {ring.current} closes what is stored{part}{note}")
