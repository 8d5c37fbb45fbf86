"""Who signs webhooks, and what a project has to say of each. How each signs is `server.signatures`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: In a plan, the provider of a webhook that takes what nobody signed.
UNSIGNED: Final = "unsigned"


@dataclass(frozen=True, slots=True)
class Provider:
    """What a project says of a kind of sender.

    Attributes:
        needs: Options that it must write.
        takes: Those that it may.
        secret: Whether the sender signs with a secret that both know.
    """

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    secret: bool = True


#: By their names in `flowlang.yaml`.
PROVIDERS: Final[dict[str, Provider]] = {
    "stripe": Provider(),
    "github": Provider(),
    "slack": Provider(),
    "mux": Provider(),
    "standard-webhooks": Provider(),
    "svix": Provider(),
    "shopify": Provider(),
    "twilio": Provider(needs=("url",)),
    "transloadit": Provider(takes=("allow_sha1",)),
    "sanity": Provider(),
    "customer-io": Provider(),
    "postmark": Provider(),
    "paypal": Provider(needs=("webhook_id",), secret=False),
    "hmac": Provider(
        needs=("header",),
        takes=("algorithm", "encoding", "prefix", "timestamp", "signed", "tolerance", "delivery", "content"),
    ),
}
_OF_UNSIGNED: Final = Provider(takes=("delivery", "content"), secret=False)


def provider_of(name: str) -> Provider | None:
    """What there is to say of a provider, or of `unsigned`; None for one that there is not."""
    return _OF_UNSIGNED if name == UNSIGNED else PROVIDERS.get(name)
