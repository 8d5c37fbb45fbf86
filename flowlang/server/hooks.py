"""`/hooks/{name}`: from raw bytes to a verified delivery, by nothing but ASGI.

The signature is over the body as it came, so nothing may touch it before; and what a stranger can reach without a key
is kept this short. A delivery is answered after the event is stored, so a sender that gets anything else repeats; and
it is answered before the sender stops listening, so that it does not repeat what is merely slow for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from flowlang import jsondata
from flowlang.crashpoints import crashpoint
from flowlang.engine.catalog import Catalog, Webhook
from flowlang.errors import ConfigError, StoreError
from flowlang.server.bodies import BODY_BYTES, Receive, body_kind, read_body
from flowlang.server.certificates import Certificates
from flowlang.server.forms import FormError, read_form
from flowlang.server.gathering import Gathering
from flowlang.server.problems import COMMON_HEADERS, HttpProblem, Reply, json_reply
from flowlang.server.signatures import Context, Refused, Scheme, SecretError, Verified
from flowlang.server.signatures.keys import Key, Secrets, load_keys, scheme_of, valid
from flowlang.service import Answer, NotFoundError, Service, WebhookChangedError, from_webhook

log = logging.getLogger(__name__)

_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})  #: templates would store them
_QUICK = 65_536  #: bytes of a body that is read at once; a longer one would hold up the others
_LOOK_S = 1.0  #: between two looks for another manifest that refusals lead to
_MARGIN = 0.9  #: of the time that a sender waits
_LATE: set[asyncio.Future[list[Answer]]] = set()  #: those that nobody waits for any more; they must not be forgotten


Spend = Callable[[int], Awaitable[None]]


class _Counting:
    """Counts a delivery once, however often it is verified."""

    def __init__(self, spend: Spend) -> None:
        self._spend = spend
        self._is_counted = False

    async def __call__(self) -> None:
        if not self._is_counted:
            self._is_counted = True
            await self._spend(1)


class Received(msgspec.Struct, frozen=True):
    """A delivery as it came.

    Attributes:
        name: Of the webhook that it came to.
        method: By which it came.
        headers: Names in lower case.
        query: As it was sent, without the `?`.
        body: Raw.
        kind: What the body is declared to be; `query` where there is none.
        began: When it began to come, by the loop's clock.
        count: Counts it once it is verified; raises when there were too many.
    """

    name: str
    method: str
    headers: Mapping[str, str]
    query: str
    body: bytes
    kind: str
    began: float
    count: Callable[[], Awaitable[None]]


class Hooks:
    """Takes deliveries.

    Args:
        service: Knows the webhooks.
        gathering: Where verified deliveries go.
        secrets: Name in `secrets.*` → its text.
        now_s: Seconds since the epoch, for the window of signatures.
        certificates: Of senders that sign by one; over the network unless a test says otherwise.
    """

    def __init__(
        self,
        service: Service,
        gathering: Gathering,
        secrets: Secrets,
        now_s: Callable[[], int],
        certificates: Certificates | None = None,
    ) -> None:
        self._service = service
        self._gathering = gathering
        self._secrets = secrets
        self._now_s = now_s
        self._certificates = certificates or Certificates(now_s)
        self._looked: float | None = None  # when a refusal last made us look for another manifest, by the loop's clock
        self._keys: tuple[int, dict[str, tuple[Key, ...]]] = (-1, {})

    async def __call__(
        self,
        name: str,
        headers: Mapping[str, str],
        receive: Receive,
        query: str,
        spend: Spend,
        *,
        method: str,
    ) -> Reply:
        """Answer one delivery to the webhook of a name.

        Args:
            name: Of the webhook.
            headers: Names in lower case.
            receive: Gives the body.
            query: As it was sent, without the `?`.
            spend: Counts deliveries. Those that are not verified are none: a stranger uses up nobody's rate.
            method: By which it came.

        Raises:
            HttpProblem, FlowError, ClientGoneError: for the caller to answer.
        """
        began = asyncio.get_running_loop().time()
        webhook, catalog = await self._found(name)
        scheme = scheme_of(webhook.source)
        if method not in scheme.methods:
            raise HttpProblem(405, "method", "", headers={"allow": ", ".join(scheme.methods)})
        limit = catalog.limit("webhook_body", BODY_BYTES)
        if method == "GET":
            kind, limit = "query", 0
        else:
            kind = body_kind(headers, webhook.source.options.content or scheme.content)
        body = await read_body(receive, headers, limit)
        received = Received(name, method, headers, query, body, kind, began, _Counting(spend))
        try:
            return await self._taken(webhook, catalog, received)
        except WebhookChangedError:  # its secrets may be others: who signed with an old one is nobody by now
            return await self._taken(*await self._found(name), received, again=True)

    async def _taken(self, webhook: Webhook, catalog: Catalog, received: Received, *, again: bool = False) -> Reply:
        """Verify a delivery, and store it.

        Raises:
            WebhookChangedError: when a deploy has come between, and it was not looked at again yet.
        """
        verdict = await self._verify(webhook, catalog, received)
        if isinstance(verdict, Refused):
            if not again and self._may_look() and await run_in_threadpool(self._refreshed):
                raise WebhookChangedError(f"the webhook {received.name!r} may be another one")
            await run_in_threadpool(self._service.webhook_refused, received.name, verdict.reason)
            raise HttpProblem(401, "signature.refused", "")  # the reason is for the audit record alone
        crashpoint("webhook.verified")
        await received.count()
        scheme = scheme_of(webhook.source)
        quick = len(received.body) <= _QUICK
        tree = _read(received, scheme) if quick else await run_in_threadpool(_read, received, scheme)
        asked = scheme.challenge(tree) if scheme.challenge is not None else None
        if asked is not None:
            return Reply(200, asked.encode(), {"content-type": "text/plain", **COMMON_HEADERS})
        delivery = verdict.delivery or scheme.delivery_of(received.headers, tree)
        shown = {name: text for name, text in received.headers.items() if name not in _CREDENTIALS}
        parcel = from_webhook(webhook.source, shown, tree, delivery)
        left_s = received.began + scheme.deadline_s * _MARGIN - asyncio.get_running_loop().time()
        (answer,) = await _within(left_s, self._gathering.take(parcel))
        crashpoint("webhook.answering")
        return _answered(scheme, answer)

    def check(self, catalog: Catalog) -> list[str]:
        """What is wrong with the secrets and roots of the project's webhooks: a sentence each, without any secret."""
        found = []
        for source in catalog.manifest.webhooks:
            try:
                load_keys(source, self._secrets, self._now_s())
                if scheme_of(source).certificate_url is not None:
                    self._certificates.roots()
            except ConfigError as error:
                found.append(f"webhook {source.name}: {error}")
        return found

    async def _found(self, name: str) -> tuple[Webhook, Catalog]:
        """A webhook by its whole name; what was read last is read again where it has none. Raises: NotFoundError."""
        catalog = self._service.catalogs.known
        webhook = None if catalog is None else catalog.webhook(name)
        if catalog is not None and webhook is not None:
            return webhook, catalog
        return await run_in_threadpool(self._find, name)

    def _may_look(self) -> bool:
        """Whether enough time has passed to look for another manifest: strangers must not make us read all the time."""
        now = asyncio.get_running_loop().time()
        if self._looked is not None and now - self._looked < _LOOK_S:
            return False
        self._looked = now
        return True

    def _refreshed(self) -> bool:
        """Whether another manifest is active than was known; whoever was refused stays so when nobody can tell."""
        try:
            return self._service.refresh()
        except StoreError:
            return False

    def _find(self, name: str) -> tuple[Webhook, Catalog]:
        catalog = self._service.catalog
        webhook = catalog.webhook(name)
        if webhook is None and self._service.refresh():
            catalog = self._service.catalog
            webhook = catalog.webhook(name)
        if webhook is None:
            raise NotFoundError("no such webhook")
        return webhook, catalog

    async def _verify(self, webhook: Webhook, catalog: Catalog, received: Received) -> Verified | Refused:
        scheme = scheme_of(webhook.source)
        now_s = self._now_s()
        keys = valid(self._keys_of(webhook, catalog), now_s)
        if scheme.secret and not keys:
            return Refused("every secret has ended")
        url = certificate = roots = None
        if scheme.certificate_url is not None:
            roots = self._certificates.roots()
            url = scheme.certificate_url(received.headers)
            if url is None:
                return Refused("the certificate is not where the sender's are")
            certificate = await self._certificates.get(url)
        context = Context(webhook.source.options, received.query, certificate, roots, received.method)
        verdict = scheme.verify(received.headers, received.body, keys, now_s, context)
        if isinstance(verdict, Verified) and url is not None and certificate is not None:
            self._certificates.keep(url, certificate)
        return verdict

    def _keys_of(self, webhook: Webhook, catalog: Catalog) -> tuple[Key, ...]:
        epoch, known = self._keys
        if epoch != catalog.epoch:
            known = {}
            self._keys = (catalog.epoch, known)
        name = webhook.source.name
        if name not in known:
            try:
                known[name] = load_keys(webhook.source, self._secrets, self._now_s())
            except SecretError as error:
                log.error("webhook %s cannot verify anything: %s", name, error)  # noqa: TRY400 - a setting, no fault
                raise
        return known[name]


async def _within(seconds: float, task: asyncio.Future[list[Answer]]) -> list[Answer]:
    """Wait for what is being stored, and no longer; it goes on, and is known when the delivery is repeated.

    Raises:
        HttpProblem: 503 when it takes longer.
    """
    await _done_or_over(task, max(seconds, 0))
    if not task.done():
        _LATE.add(task)
        task.add_done_callback(_came_late)
        detail = "it takes longer than the sender waits; send the same delivery again"
        raise HttpProblem(503, "deadline", detail, headers={"retry-after": "1"})
    return task.result()


async def _done_or_over(task: asyncio.Future[list[Answer]], seconds: float) -> None:
    """Wait, as `asyncio.wait` does for any number of tasks: for one, that takes three times as long."""
    if task.done():
        return
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(seconds, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)


def _came_late(task: asyncio.Future[list[Answer]]) -> None:
    _LATE.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("a delivery that was not answered in time was not stored either: %s", error)


def _read(received: Received, scheme: Scheme) -> Any:
    if received.kind == "json":
        return jsondata.loads_strict(received.body)
    try:
        if received.kind == "query":
            return read_form(received.query.encode("latin-1"))
        return read_form(received.body, received.headers.get("content-type", ""), scheme.json_field)
    except FormError as error:
        raise HttpProblem(400, "body.not-form", str(error)) from error


def _answered(scheme: Scheme, answer: Answer) -> Reply:
    wanted = scheme.answer
    if wanted.body is None:
        return json_reply(wanted.status, {"status": answer.status, "event": answer.event})
    return Reply(wanted.status, wanted.body, {"content-type": wanted.content_type, **COMMON_HEADERS})
