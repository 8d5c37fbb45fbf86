"""Webhook signatures: one file a scheme, and the table of the schemes that a project may name.

Each scheme is three functions without state. `load_secret` runs when a project is loaded and may refuse; `verify` is
total: whatever a stranger sends, it answers and never raises; `sign` is what `flowlang send`, demos and tests use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flowlang.server.signatures import standard_webhooks, stripe
from flowlang.server.signatures.verdict import Refused, SecretError, Verdict, Verified

__all__ = ["SCHEMES", "Refused", "Scheme", "SecretError", "Verdict", "Verified"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of sender signs.

    Attributes:
        load_secret: From the configured text to key bytes; raises SecretError for one that cannot be used.
        verify: (headers with lower-case names, raw body, keys, now in seconds) to a verdict; never raises.
        sign: (raw body, key, now in seconds, delivery id) to the headers to send.
    """

    load_secret: Callable[[str], bytes]
    verify: Callable[[Mapping[str, str], bytes, Sequence[bytes], int], Verdict]
    sign: Callable[[bytes, bytes, int, str], dict[str, str]]


#: Provider name in `flowlang.yaml` → scheme.
SCHEMES: dict[str, Scheme] = {
    "stripe": Scheme(stripe.load_secret, stripe.verify, stripe.sign),
    "standard-webhooks": Scheme(standard_webhooks.load_secret, standard_webhooks.verify, standard_webhooks.sign),
    "svix": Scheme(standard_webhooks.load_secret, standard_webhooks.verify_svix, standard_webhooks.sign_svix),
}
