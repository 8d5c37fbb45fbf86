"""API keys for tests: the token of those who develop, and keys that grant what a test says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flowlang.engine.ports import Grants, Store
from flowlang.service import ApiKeys, KeyRing

#: A token that may do everything, of servers that tests start with `FLOWLANG_DEV_TOKEN`.
DEV_TOKEN = "flk_dev_" + "0123456789abcdef" * 4


def bearer(key: str = DEV_TOKEN) -> dict[str, str]:
    """The header that a key is sent in."""
    return {"authorization": f"Bearer {key}"}


def developing(store: Store) -> KeyRing:
    """Lets `DEV_TOKEN` in, beside the keys of a store."""
    return KeyRing(store, dev_token=DEV_TOKEN)


def made(
    store: Store, name: str = "shop", *, groups: tuple[str, ...] = (), rate: str | None = None, **grants: Any
) -> str:
    """The text of a new key; `grants`: fields of `Grants`."""
    return ApiKeys(store).create(name, Grants(**grants), groups=groups, rate=rate).text


@contextmanager
def audited() -> Iterator[list[dict[str, str]]]:
    """What is recorded in the audit trail meanwhile, as it comes."""
    found: list[dict[str, str]] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            names = ("audit", "key", "key_id", "run", "event", "dead_letter")
            found.append({name: getattr(record, name) for name in names if hasattr(record, name)})

    keeper, trail = Keeper(), logging.getLogger("flowlang.audit")
    trail.addHandler(keeper)
    try:
        yield found
    finally:
        trail.removeHandler(keeper)
