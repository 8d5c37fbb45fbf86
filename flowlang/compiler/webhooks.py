"""Webhooks of `flowlang.yaml`: their providers, secrets and templates."""

from __future__ import annotations

import re
from collections.abc import Callable

from flowlang.compiler.expressions import Checker, Place, Seen
from flowlang.compiler.findings import Findings, near
from flowlang.compiler.webhook_options import lower_options
from flowlang.diagnostics import Severity
from flowlang.durations import milliseconds
from flowlang.model import Path, ProjectFile
from flowlang.model.project_file import DatedSecret, Webhook
from flowlang.model.providers import PROVIDERS, UNSIGNED, provider_of
from flowlang.plan import WebhookSource

_SECRET = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def lower_webhooks(
    project: ProjectFile, findings: Findings, watch: Callable[[Seen], None] | None = None
) -> tuple[WebhookSource, ...]:
    """Check and lower all webhooks; `watch` is told what can be read at each value."""
    checker = Checker(findings, frozenset(), watch=watch)
    return tuple(_lower(name, webhook, findings, checker) for name, webhook in project.webhooks.items())


def _lower(name: str, webhook: Webhook, findings: Findings, checker: Checker) -> WebhookSource:
    path: Path = ("webhooks", name)
    provider = _provider(webhook, path, findings)
    place = Place(frozenset({"body", "headers"}))
    for key in ("event", "id", "data"):
        if webhook.has(key):
            checker.value(getattr(webhook, key), (*path, key), place)
    _check_prefix(name, webhook, path, findings)
    return WebhookSource(
        name=name,
        provider=provider,
        secrets=_secrets(webhook, provider, path, findings),
        event=webhook.event,
        ident=webhook.id,
        data=webhook.data,
        dedupe_ms=milliseconds(webhook.dedupe),
        until=_until(webhook),
        options=lower_options(provider, webhook.options, path, findings),
    )


def _provider(webhook: Webhook, path: Path, findings: Findings) -> str:
    """Who signs: the provider's name, or `unsigned`."""
    provider = webhook.provider
    if webhook.unsigned:
        if provider is not None:
            message = "`unsigned` takes what nobody signed, so there is no provider"
            findings.at((*path, "provider"), "FL121", message, key=True, hint="leave one of the two out")
        return UNSIGNED
    if provider is None:
        hint = near("", PROVIDERS, listing="the providers are")
        findings.at(path, "FL102", "`provider` is missing: who signs?", key=True, hint=hint)
        return ""
    if provider not in PROVIDERS:
        hint = near(provider, PROVIDERS, listing="the providers are")
        findings.at((*path, "provider"), "FL303", f"there is no provider `{provider}`", hint=hint)
    return provider


def _check_prefix(name: str, webhook: Webhook, path: Path, findings: Findings) -> None:
    """A webhook owns the prefix of its name, and sends nothing else."""
    if not webhook.event.startswith(f"{name}/"):
        findings.at(
            (*path, "event"),
            "FL302",
            f"a webhook sends events under its own name, `{name}/`",
            hint=f"such as `{name}/${{{{ body.type }}}}`",
        )


def _secrets(webhook: Webhook, provider: str, path: Path, findings: Findings) -> tuple[str, ...]:
    written = webhook.secret or ()
    known = provider_of(provider)
    if known is not None and not known.secret:
        _check_no_secret(written, provider, path, findings)
    elif provider and not written:
        message = "without a secret anybody could send its events"
        findings.at(path, "FL601", message, key=True, hint="`secret: ${{ secrets.NAME }}`")
    return tuple(dict.fromkeys(name for name, _ in _named(webhook, path, findings)))


def _check_no_secret(written: tuple[DatedSecret, ...], provider: str, path: Path, findings: Findings) -> None:
    if written:
        what = "takes what nobody signed" if provider == UNSIGNED else "signs by its certificate"
        message = f"`{provider}` {what}, so there is no secret"
        findings.at((*path, "secret"), "FL121", message, key=True, hint="leave `secret` out")
    elif provider == UNSIGNED:
        message = "it takes what nobody signed: anybody could send its events"
        hint = "name a `provider` and its `secret`; where the sender cannot sign, ignore this with the reason"
        findings.at((*path, "unsigned"), "FL601", message, key=True, hint=hint, severity=Severity.WARNING)


def _named(webhook: Webhook, path: Path, findings: Findings | None = None) -> list[tuple[str, DatedSecret]]:
    """Each secret with its name; those that are none are left out, and reported where there is somebody to tell."""
    written = webhook.secret or ()
    found = []
    for number, each in enumerate(written):
        short = (*path, "secret", number) if len(written) > 1 else (*path, "secret")
        place = (*each.path, "value") if each.path else short
        name = secret_name(each.value, place, findings)
        if name is not None:
            found.append((name, each))
    return found


def _until(webhook: Webhook) -> dict[str, int]:
    """Until when each secret counts that has an end wherever it is written."""
    dates: dict[str, list[int | None]] = {}
    for name, each in _named(webhook, ()):
        moment = each.not_after
        dates.setdefault(name, []).append(None if moment is None else int(moment.timestamp() * 1000))
    return {name: max(map(int, ends)) for name, ends in dates.items() if None not in ends}  # type: ignore[arg-type]


def secret_name(text: str, path: Path, findings: Findings | None) -> str | None:
    """The name of the secret that stands where only one may stand; None, and a finding, when it is none.

    Args:
        text: As written.
        path: Where.
        findings: Where to report; None: nowhere, since it was reported before.
    """
    match = _SECRET.fullmatch(text.strip())
    if match is not None:
        return match[1]
    if findings is None:
        return None
    message = "a secret is named, not written: it would be in every copy of this file"
    findings.at(path, "FL602", message, hint="`${{ secrets.NAME }}`, read from NAME or the file NAME_FILE")
    return None
