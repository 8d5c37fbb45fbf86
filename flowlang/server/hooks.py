"""`POST /hooks/{name}`: from raw bytes to a verified delivery, by nothing but ASGI.

The signature is over the body as it came, so nothing may touch it before; and what a stranger can reach without a key
is kept this short. A delivery is answered after the event is stored, so a sender that gets anything else repeats; and
it is answered before the sender stops listening, so that it does not repeat what is merely slow for ever.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from flowlang import jsondata
from flowlang.crashpoints import crashpoint
from flowlang.engine.catalog import Catalog, Webhook
from flowlang.server.bodies import BODY_BYTES, Receive, body_kind, read_body
from flowlang.server.certificates import Certificates
from flowlang.server.forms import FormError, read_form
from flowlang.server.problems import COMMON_HEADERS, HttpProblem, Reply, json_reply
from flowlang.server.signatures import Context, Refused, Scheme, SecretError, Verified
from flowlang.server.signatures.keys import Key, Secrets, load_keys, scheme_of, valid
from flowlang.service import Answer, NotFoundError, Service

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_MARGIN = 0.9  #: of the time that a sender waits
_LATE: set[asyncio.Task[Reply]] = set()  #: those that nobody waits for any more; the loop alone would forget them


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery as it came, to which webhook, and what its body is declared to be."""

    name: str
    headers: Mapping[str, str]
    body: bytes
    kind: str


class Hooks:
    """Takes deliveries.

    Args:
        service: Where verified ones go.
        secrets: Name in `secrets.*` → its text.
        now_s: Seconds since the epoch, for the window of signatures.
        fetch: Gets senders' certificates; over the network unless a test says otherwise.
    """

    def __init__(
        self,
        service: Service,
        secrets: Secrets,
        now_s: Callable[[], int],
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
    ) -> None:
        self._service = service
        self._secrets = secrets
        self._now_s = now_s
        self._certificates = Certificates(now_s, fetch)
        self._keys: tuple[int, dict[str, tuple[Key, ...]]] = (-1, {})

    async def __call__(self, name: str, headers: Mapping[str, str], receive: Receive, query: str = "") -> Reply:
        """Answer one delivery to the webhook of a name.

        Args:
            name: Of the webhook.
            headers: Names in lower case.
            receive: Gives the body.
            query: As it was sent, without the `?`.

        Raises:
            HttpProblem, FlowError, ClientGoneError: for the caller to answer.
        """
        began = asyncio.get_running_loop().time()
        webhook, catalog = await run_in_threadpool(self._find, name)
        source = webhook.source
        scheme = scheme_of(source)
        kind = body_kind(headers, source.options.content or scheme.content)
        body = await read_body(receive, headers, catalog.limit("webhook_body", BODY_BYTES))
        verdict = await self._verify(webhook, catalog, headers, body, query)
        if isinstance(verdict, Refused):
            await run_in_threadpool(self._service.webhook_refused, name, verdict.reason)
            raise HttpProblem(401, "signature.refused", "")  # the reason is for the audit record alone
        crashpoint("webhook.verified")
        received = Received(name, headers, body, kind)
        left_s = began + scheme.deadline_s * _MARGIN - asyncio.get_running_loop().time()
        taken = await _within(left_s, run_in_threadpool(self._take, scheme, received, verdict))
        crashpoint("webhook.answering")
        return taken

    def check(self, catalog: Catalog) -> list[str]:
        """What is wrong with the secrets of the project's webhooks: one sentence each, without any secret."""
        found = []
        for source in catalog.manifest.webhooks:
            try:
                load_keys(source, self._secrets)
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

    async def _verify(
        self, webhook: Webhook, catalog: Catalog, headers: Mapping[str, str], body: bytes, query: str
    ) -> Verified | Refused:
        scheme = scheme_of(webhook.source)
        now_s = self._now_s()
        keys = valid(self._keys_of(webhook, catalog), now_s)
        if scheme.secret and not keys:
            return Refused("every secret has ended")
        certificate = None
        if scheme.certificate_url is not None:
            url = scheme.certificate_url(headers)
            if url is None:
                return Refused("the certificate is not where the sender's are")
            certificate = await self._certificates.get(url)
        return scheme.verify(headers, body, keys, now_s, Context(webhook.source.options, query, certificate))

    def _take(self, scheme: Scheme, received: Received, verdict: Verified) -> Reply:
        """Store what was verified, and make the answer that its sender wants."""
        tree = _read(received.body, received.kind, scheme)
        asked = scheme.challenge(tree) if scheme.challenge is not None else None
        if asked is not None:
            return Reply(200, asked.encode(), {"content-type": "text/plain", **COMMON_HEADERS})
        delivery = verdict.delivery or scheme.delivery_of(received.headers, tree)
        return _answered(scheme, self._service.ingest_webhook(received.name, received.headers, tree, delivery))

    def _keys_of(self, webhook: Webhook, catalog: Catalog) -> tuple[Key, ...]:
        epoch, known = self._keys
        if epoch != catalog.epoch:
            known = {}
            self._keys = (catalog.epoch, known)
        name = webhook.source.name
        if name not in known:
            try:
                known[name] = load_keys(webhook.source, self._secrets)
            except SecretError as error:
                log.error("webhook %s cannot verify anything: %s", name, error)  # noqa: TRY400 - a setting, no fault
                raise
        return known[name]


async def _within(seconds: float, taking: Coroutine[Any, Any, Reply]) -> Reply:
    """Wait for what a thread does, and no longer; the thread goes on, and what it stores is known when it is repeated.

    Raises:
        HttpProblem: 503 when it takes longer.
    """
    task = asyncio.ensure_future(taking)
    done, _ = await asyncio.wait({task}, timeout=max(seconds, 0))
    if not done:
        _LATE.add(task)
        task.add_done_callback(_came_late)
        detail = "it takes longer than the sender waits; send the same delivery again"
        raise HttpProblem(503, "deadline", detail, headers={"retry-after": "1"})
    return task.result()


def _came_late(task: asyncio.Task[Reply]) -> None:
    _LATE.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("a delivery that was not answered in time was not stored either: %s", error)


def _read(body: bytes, kind: str, scheme: Scheme) -> Any:
    if kind == "json":
        return jsondata.loads_strict(body)
    try:
        return read_form(body, scheme.json_field)
    except FormError as error:
        raise HttpProblem(400, "body.not-form", str(error)) from error


def _answered(scheme: Scheme, answer: Answer) -> Reply:
    wanted = scheme.answer
    if wanted.body is None:
        return json_reply(wanted.status, {"status": answer.status, "event": answer.event})
    return Reply(wanted.status, wanted.body, {"content-type": wanted.content_type, **COMMON_HEADERS})
