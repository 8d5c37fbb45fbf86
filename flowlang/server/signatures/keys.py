"""The keys of a project's webhooks: which scheme, from which secrets, and until when each counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from flowlang.errors import FlowError
from flowlang.plan import WebhookSource
from flowlang.server.signatures import SCHEMES, UNSIGNED, Scheme, SecretError

UNSIGNED_NAME = "unsigned"  #: in a plan, the provider of a webhook that takes what nobody signed


class Secrets(Protocol):
    """Where the texts of `secrets.*` come from; a plain mapping will do."""

    def get(self, name: str, /) -> str | None:
        """The text of a secret, or None."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that verifies, and the last second in which it does."""

    key: bytes
    until_s: int | None


def valid(keys: Iterable[Key], now_s: int) -> list[bytes]:
    """Those of some keys that count now."""
    return [each.key for each in keys if each.until_s is None or now_s <= each.until_s]


def scheme_of(source: WebhookSource) -> Scheme:
    """How a webhook's sender signs.

    Raises:
        SecretError: when nobody knows; a newer release has deployed it.
    """
    if source.provider == UNSIGNED_NAME:
        return UNSIGNED
    scheme = SCHEMES.get(source.provider)
    if scheme is None:
        raise SecretError(f"the provider {source.provider!r} is not one of {', '.join(sorted(SCHEMES))}")
    return scheme


def load_keys(source: WebhookSource, secrets: Secrets, now_s: int) -> tuple[Key, ...]:
    """The keys of a webhook that have not ended, in written order.

    Args:
        source: The webhook.
        secrets: Name in `secrets.*` → its text; of those that have ended nothing is asked.
        now_s: Seconds since the epoch.

    Raises:
        SecretError: when one is missing or cannot be used.
    """
    scheme = scheme_of(source)
    if not scheme.secret:
        return ()
    if not source.secrets:
        raise SecretError("it has no secret; write `secret:`, or `unsigned: true` to accept what nobody signed")
    keys = []
    for name in source.secrets:
        until_s = source.until[name] // 1000 if name in source.until else None
        if until_s is not None and until_s < now_s:
            continue
        try:
            text = secrets.get(name)
        except FlowError as error:
            raise SecretError(str(error)) from error
        if text is None:
            raise SecretError(f"the secret {name} is not set; set {name} or {name}_FILE")
        keys.append(Key(scheme.load_secret(text), until_s))
    return tuple(keys)
