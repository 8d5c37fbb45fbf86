"""Webhooks of `flowlang.yaml`: their providers, secrets and templates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from flowlang.compiler.expressions import Checker, Place, Seen
from flowlang.compiler.findings import Findings, near
from flowlang.durations import milliseconds
from flowlang.model import Path, ProjectFile
from flowlang.model.base import listed
from flowlang.model.project_file import Webhook
from flowlang.plan import WebhookSource

#: Signature schemes that this version verifies.
PROVIDERS: Final = ("stripe", "standard-webhooks", "svix")

#: Those that the language names and that are to come.
LATER: Final = (
    "github",
    "slack",
    "mux",
    "shopify",
    "twilio",
    "transloadit",
    "sanity",
    "customer-io",
    "postmark",
    "paypal",
    "hmac",
)

_SECRET = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def lower_webhooks(
    project: ProjectFile, findings: Findings, watch: Callable[[Seen], None] | None = None
) -> tuple[WebhookSource, ...]:
    """Check and lower all webhooks; `watch` is told what can be read at each value."""
    checker = Checker(findings, frozenset(), watch=watch)
    return tuple(_lower(name, webhook, findings, checker) for name, webhook in project.webhooks.items())


def _lower(name: str, webhook: Webhook, findings: Findings, checker: Checker) -> WebhookSource:
    path: Path = ("webhooks", name)
    _check_provider(webhook, path, findings)
    place = Place(frozenset({"body", "headers"}))
    for key in ("event", "id", "data"):
        if webhook.has(key):
            checker.value(getattr(webhook, key), (*path, key), place)
    _check_prefix(name, webhook, path, findings)
    return WebhookSource(
        name=name,
        provider=webhook.provider,
        secrets=_secrets(webhook, path, findings),
        event=webhook.event,
        ident=webhook.id,
        data=webhook.data,
        dedupe_ms=milliseconds(webhook.dedupe),
    )


def _check_provider(webhook: Webhook, path: Path, findings: Findings) -> None:
    provider = webhook.provider
    if provider in LATER:
        message = f"this version has no provider `{provider}`"
        later = f"it comes with a later one; the providers are {listed(PROVIDERS)}"
        findings.at((*path, "provider"), "FL303", message, hint=later)
    elif provider not in PROVIDERS:
        hint = near(provider, PROVIDERS, listing="the providers are")
        findings.at((*path, "provider"), "FL303", f"there is no provider `{provider}`", hint=hint)


def _check_prefix(name: str, webhook: Webhook, path: Path, findings: Findings) -> None:
    """A webhook owns the prefix of its name, and sends nothing else."""
    if not webhook.event.startswith(f"{name}/"):
        findings.at(
            (*path, "event"),
            "FL302",
            f"a webhook sends events under its own name, `{name}/`",
            hint=f"such as `{name}/${{{{ body.type }}}}`",
        )


def _secrets(webhook: Webhook, path: Path, findings: Findings) -> tuple[str, ...]:
    written = webhook.secret or ()
    if not written:
        message = "without a secret anybody could send its events"
        findings.at(path, "FL601", message, key=True, hint="`secret: ${{ secrets.NAME }}`")
    names = []
    for number, text in enumerate(written):
        name = secret_name(text, (*path, "secret", number) if len(written) > 1 else (*path, "secret"), findings)
        if name is not None:
            names.append(name)
    return tuple(names)


def secret_name(text: str, path: Path, findings: Findings) -> str | None:
    """The name of the secret that stands where only one may stand; None, and a finding, when it is none."""
    match = _SECRET.fullmatch(text.strip())
    if match is not None:
        return match[1]
    message = "a secret is named, not written: it would be in every copy of this file"
    findings.at(path, "FL602", message, hint="`${{ secrets.NAME }}`, read from NAME or the file NAME_FILE")
    return None
