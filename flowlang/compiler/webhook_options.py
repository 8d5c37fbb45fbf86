"""Options of webhooks: those that the provider has and needs, and what cannot be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from flowlang.compiler.findings import Findings, near
from flowlang.durations import milliseconds
from flowlang.model import Path
from flowlang.model.project_file import WebhookOptions as Written
from flowlang.model.providers import Provider, provider_of
from flowlang.plan import NO_OPTIONS, WebhookOptions

_NAMED = re.compile(r"\{([^{}]*)\}")
_NAMES: Final = ("timestamp", "delivery", "body")


def lower_options(name: str, written: Written, path: Path, findings: Findings) -> WebhookOptions:
    """Check and lower the options of a webhook.

    Args:
        name: Of the provider, or `unsigned`.
        written: The options.
        path: Of the webhook.
        findings: Where to report.
    """
    provider = provider_of(name)
    if provider is not None:
        _check_keys(name, provider, written, path, findings)
    for key, message, hint in _wrong(written):
        findings.at((*path, "options", key), "FL104", message, hint=hint)
    lowered = WebhookOptions(
        url=written.url or "",
        webhook_id=written.webhook_id or "",
        allow_sha1=written.allow_sha1,
        header=written.header or "",
        algorithm=written.algorithm,
        encoding=written.encoding,
        prefix=written.prefix,
        timestamp=written.timestamp or "",
        signed=written.signed or "",
        tolerance_ms=milliseconds(written.tolerance),
        delivery=written.delivery or "",
        content=written.content,
    )
    return NO_OPTIONS if lowered == NO_OPTIONS else lowered  # a default is left out of a plan when it is the very same


def _check_keys(name: str, provider: Provider, written: Written, path: Path, findings: Findings) -> None:
    known = (*provider.needs, *provider.takes)
    keys = Written.keys()
    for key in keys:
        if written.has(key) and key not in known:
            hint = near(key, known, listing="its options are") if known else "leave it out; it has no options"
            findings.at((*path, "options", key), "FL101", f"`{name}` has no option `{key}`", key=True, hint=hint)
    for key in provider.needs:
        if not written.has(key):
            message = f"`{name}` needs the option `{key}`"
            findings.at(path, "FL102", message, key=True, hint=f"`options: {{{key}: {_EXAMPLES[key]}}}`")


_EXAMPLES: Final = {
    "url": "https://example.com/hooks/NAME",
    "webhook_id": "1JE4291016473214C",
    "header": "X-Signature",
}


def _wrong(written: Written) -> Iterator[tuple[str, str, str]]:
    """Key, message and hint of what is of the right kind and cannot be meant."""
    if written.url is not None and not _is_address(written.url):
        yield "url", "`url` takes the address that the sender calls", "`https://example.com/hooks/NAME`"
    if written.signed is None:
        return
    named = _NAMED.findall(written.signed)
    strange = [name for name in named if name not in _NAMES]
    if strange:
        yield "signed", f"`signed` has no `{{{strange[0]}}}`", "there are `{timestamp}`, `{delivery}` and `{body}`"
    elif named.count("body") != 1:
        yield (
            "signed",
            "`signed` names `{body}` not once: who changes the body would not be noticed",
            "`{timestamp}.{body}`",
        )
    elif written.timestamp is not None and "timestamp" not in named:
        yield "signed", "`signed` leaves the time out: who changes it would not be noticed", "`{timestamp}.{body}`"
    elif written.timestamp is None and "timestamp" in named:
        yield "signed", "`signed` names a time, and no header holds it", "`timestamp: X-Timestamp`"
    elif written.delivery is None and "delivery" in named:
        yield "signed", "`signed` names an id of the delivery, and no header holds it", "`delivery: X-Delivery-Id`"


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
