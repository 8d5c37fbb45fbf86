"""`POST /hooks/{name}`: from raw bytes to a verified delivery, by nothing but ASGI.

The signature is over the body as it came, so nothing may touch it before; and what a stranger can reach without a key
is kept this short. A delivery is answered 202 after the event is stored, so a sender that gets anything else repeats.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.concurrency import run_in_threadpool

from flowlang.crashpoints import crashpoint
from flowlang.engine.catalog import Catalog, Webhook
from flowlang.errors import FlowError
from flowlang.server.bodies import BODY_BYTES, Receive, check_type, read_body
from flowlang.server.problems import HttpProblem, Reply, json_reply
from flowlang.server.signatures import SCHEMES, Refused, SecretError, Verified
from flowlang.service import NotFoundError, Service

log = logging.getLogger(__name__)

UNSIGNED = "unsigned"  #: a provider that has to be written to accept what nobody signed
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


class Secrets(Protocol):
    """Where the texts of `secrets.*` come from; a plain mapping will do."""

    def get(self, name: str, /) -> str | None:
        """The text of a secret, or None."""


class Hooks:
    """Takes deliveries.

    Args:
        service: Where verified ones go.
        secrets: Name in `secrets.*` → its text.
        now_s: Seconds since the epoch, for the window of signatures.
    """

    def __init__(self, service: Service, secrets: Secrets, now_s: Callable[[], int]) -> None:
        self._service = service
        self._secrets = secrets
        self._now_s = now_s
        self._keys: tuple[int, dict[str, tuple[bytes, ...]]] = (-1, {})

    async def __call__(self, name: str, headers: Mapping[str, str], receive: Receive) -> Reply:
        """Answer one delivery to the webhook of a name.

        Raises:
            HttpProblem, FlowError, ClientGoneError: for the caller to answer.
        """
        webhook, catalog = await run_in_threadpool(self._find, name)
        check_type(headers)
        body = await read_body(receive, headers, catalog.limit("webhook_body", BODY_BYTES))
        verdict = self._verify(webhook, catalog, headers, body)
        if isinstance(verdict, Refused):
            self._service.webhook_refused(name, verdict.reason)
            raise HttpProblem(401, "signature.refused", "")  # the reason is for the audit record alone
        crashpoint("webhook.verified")
        answer = await run_in_threadpool(self._service.ingest_webhook, name, headers, body, verdict.delivery)
        crashpoint("webhook.answering")
        return json_reply(202, {"status": answer.status, "event": answer.event})

    def check(self, catalog: Catalog) -> list[str]:
        """What is wrong with the secrets of the project's webhooks: one sentence each, without any secret."""
        found = []
        for source in catalog.manifest.webhooks:
            webhook = catalog.webhook(source.name)
            assert webhook is not None
            try:
                self._load(webhook)
            except SecretError as error:
                found.append(f"webhook {source.name}: {error}")
        return found

    def _find(self, name: str) -> tuple[Webhook, Catalog]:
        if _NAME.fullmatch(name) is None:
            raise NotFoundError("no such webhook")
        catalog = self._service.catalog
        webhook = catalog.webhook(name)
        if webhook is None and self._service.refresh():
            catalog = self._service.catalog
            webhook = catalog.webhook(name)
        if webhook is None:
            raise NotFoundError("no such webhook")
        return webhook, catalog

    def _verify(
        self, webhook: Webhook, catalog: Catalog, headers: Mapping[str, str], body: bytes
    ) -> Verified | Refused:
        if webhook.source.provider == UNSIGNED:
            return Verified()
        keys = self._keys_of(webhook, catalog)
        return SCHEMES[webhook.source.provider].verify(headers, body, keys, self._now_s())

    def _keys_of(self, webhook: Webhook, catalog: Catalog) -> tuple[bytes, ...]:
        epoch, known = self._keys
        if epoch != catalog.epoch:
            known = {}
            self._keys = (catalog.epoch, known)
        name = webhook.source.name
        if name not in known:
            try:
                known[name] = self._load(webhook)
            except SecretError as error:
                log.error("webhook %s cannot verify anything: %s", name, error)  # noqa: TRY400 - a setting, no fault
                raise
        return known[name]

    def _load(self, webhook: Webhook) -> tuple[bytes, ...]:
        source = webhook.source
        if source.provider == UNSIGNED:
            return ()
        scheme = SCHEMES.get(source.provider)
        if scheme is None:
            raise SecretError(f"the provider {source.provider!r} is not one of {', '.join(sorted(SCHEMES))}")
        if not source.secrets:
            raise SecretError("it has no secret; write `secret:`, or `unsigned: true` to accept what nobody signed")
        keys = []
        for name in source.secrets:
            try:
                text = self._secrets.get(name)
            except FlowError as error:
                raise SecretError(str(error)) from error
            if text is None:
                raise SecretError(f"the secret {name} is not set; set {name} or {name}_FILE")
            keys.append(scheme.load_secret(text))
        return tuple(keys)
