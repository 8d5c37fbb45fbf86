"""No signature at all, for senders that cannot sign; a project has to write `unsigned: true` to take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowlang.server.signatures.verdict import NO_CONTEXT, Context, SecretError, Verdict, Verified, delivery_in


def load_secret(text: str) -> bytes:
    """Refuse: nothing is signed. Raises: SecretError."""
    del text
    raise SecretError("a webhook with `unsigned: true` has no secret")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Take whatever comes. See `Verify`."""
    del body, secrets, now_s
    named = context.options.delivery
    return Verified(delivery_in(headers, named) if named else None)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str, context: Context = NO_CONTEXT) -> dict[str, str]:
    """No headers but that of the delivery's id, where the project names one. See `Sign`."""
    del body, secret, now_s
    return {context.options.delivery: delivery} if context.options.delivery else {}
