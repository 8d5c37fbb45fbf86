"""Tries the whole corpus with the handler itself, and counts the connections that it makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from flowlang import Context
from flowlang.handler.classify import classify
from flowlang.integrations import client, http
from flowlang.integrations.outbound.client import Outbound
from flowlang.integrations.outbound.egress import Egress
from flowlang.integrations.outbound.network import system_resolve
from tests.egress.corpus import Spelling, names, spellings
from tests.egress.services import Answering, Say, Seen, serving
from tests.egress.watch import connections

HOP = "hop.example"  #: a name that the trial may connect to, whose server sends everybody on

_NOW = Context.for_test().deadline


@dataclass(slots=True)
class Trial:
    """What came of it.

    Attributes:
        refused: How often each code refused a URL.
        passed: URLs that were not refused: there must be none.
        connected: Connections to anybody but the hop: there must be none.
        reached: Connections that a server of this machine got which nobody may reach.
        redirects: Answers of the hop that sent the handler on.
    """

    refused: dict[str, int] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    connected: list[tuple[Any, ...]] = field(default_factory=list)
    reached: int = 0
    redirects: int = 0

    @property
    def tried(self) -> int:
        """How many URLs."""
        return sum(self.refused.values()) + len(self.passed)


#: What a refusal may be: of an address; of a URL that is none; of a redirect that leads back to the hop, as some URLs
#: without a host do; and of a name that the system does not know, which differs for `a.localhost`.
REFUSALS = frozenset({"egress_refused", "http.url", "http.redirects", "os.dns"})


@contextmanager
def stage() -> Iterator[tuple[list[Answering], Answering]]:
    """Servers on this machine: those that nobody may reach, on one port of three addresses; and the hop."""
    with ExitStack() as stack:
        first = stack.enter_context(serving(lambda _: Say(body=b"secret"), "127.0.0.1"))
        forbidden = [first]
        for host in ("127.127.127.127", "::1"):
            try:
                forbidden.append(stack.enter_context(serving(lambda _: Say(body=b"secret"), host, first.port)))
            except OSError:  # a system with one address of its own, or without IPv6
                continue

        def send_on(seen: Seen) -> Say:
            return Say(302, {"location": bytes.fromhex(seen.path.rpartition("/")[2]).decode()})

        hop = stack.enter_context(serving(send_on))
        yield forbidden, hop


async def resolve(host: str, port: int) -> Sequence[str]:
    """DNS of the trial: the attacker's names, the hop's, and the system's for all others."""
    if host == HOP:
        return ["127.0.0.1"]
    return names().get(host) or await system_resolve(host, port)


def try_all(chosen: Callable[[list[Spelling]], list[Spelling]] = lambda all_: all_) -> Trial:
    """Ask for every URL of the corpus, by itself and by way of a redirect.

    Args:
        chosen: Takes some of the corpus.
    """
    trial = Trial()
    with stage() as (forbidden, hop), connections() as seen:
        port = forbidden[0].port
        urls = spellings(port) + [Spelling(f"name {name}", f"http://{name}:{port}/") for name in names()]
        egress = Egress.of({"FLOWLANG_EGRESS_ALLOW": f"{HOP}:{hop.port}"}.get)

        async def run() -> None:
            outbound = Outbound(egress, resolve=resolve)
            ctx = Context.for_test(resources={client.outbound: outbound})
            try:
                for spelling in chosen(urls):
                    for url, follow in (
                        (spelling.url, 0),
                        (f"http://{HOP}:{hop.port}/{spelling.url.encode('utf-8').hex()}", 3),
                    ):
                        code = await _asked(ctx, url, follow)
                        if code not in REFUSALS:
                            trial.passed.append(f"{spelling.what}: {spelling.url!r}, {follow} redirects: {code}")
                        else:
                            trial.refused[code] = trial.refused.get(code, 0) + 1
            finally:
                await outbound.close()

        asyncio.run(run())
        trial.connected = [address for address in seen if address[:2] != ("127.0.0.1", hop.port)]
        trial.redirects = len(hop.seen)
        trial.reached = sum(server.accepted for server in forbidden)
    return trial


async def _asked(ctx: Context, url: str, follow: int) -> str:
    try:
        await http.request(url, ctx, follow=follow)
    except Exception as error:  # noqa: BLE001 - whatever comes is what is asked for
        return classify(error, now=_NOW).code
    return "passed"
