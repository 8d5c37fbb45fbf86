"""Row 0 for the scripts of queues and hints: a reply that is lost costs a hint at most, and doubles no message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.actors.queues import QueueScripts, Token, script
from flowlang.worker.embedded import EmbeddedServer
from tests.e2e.waiting import until
from tests.faults.proxy import FaultProxy, Odds

#: So soon a consumer counts as dead here, milliseconds.
DEAD_AFTER_MS = 200


@pytest.fixture
def proxy(valkey_server: EmbeddedServer, broker_url: str) -> Iterator[FaultProxy]:
    port = int(broker_url.rpartition(":")[2].partition("/")[0])
    with FaultProxy(port, odds=Odds(only=lambda request: b"EVALSHA" in request[:40])) as between:
        yield between


@pytest.fixture
def scripts(proxy: FaultProxy, broker_url: str) -> Iterator[QueueScripts]:
    url = proxy.in_front_of(broker_url)
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        ours = QueueScripts(client, "faults", dead_after_ms=DEAD_AFTER_MS)
        for name in ("enqueue", "hint", "fetch", "ack", "nack", "requeue"):
            client.script_load(script(name).source)  # else the first of each is answered that it is not there
        yield ours


class Lost:
    """`with Lost(proxy):` around a call whose reply is thrown away."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy

    def __enter__(self) -> None:
        self._proxy.next("swallow")
        self._raises = pytest.raises(redis.exceptions.ConnectionError)
        self._raises.__enter__()

    def __exit__(self, *how: object) -> bool:
        return self._raises.__exit__(*how)  # type: ignore[arg-type]


def test_what_a_consumer_took_and_never_saw_comes_back_when_it_counts_as_dead(
    scripts: QueueScripts, proxy: FaultProxy
) -> None:
    scripts.enqueue("q", "m1", b"body")
    with Lost(proxy):
        scripts.fetch("q", "gone", 1)
    assert scripts.fetch("q", "c", 1) == []
    assert until(lambda: scripts.fetch("q", "c", 1), "the message") == [("m1", b"body")]
    scripts.ack("q", "c", "m1")
    assert scripts.size("q") == 0


def test_a_message_whose_answer_is_lost_is_sent_again_at_once(scripts: QueueScripts, proxy: FaultProxy) -> None:
    proxy.next("swallow")
    scripts.enqueue("q", "m1", b"body")
    assert scripts.fetch("q", "c", 5) == [("m1", b"body")]


def test_a_hint_whose_answer_is_lost_rings_once_for_each_time_it_is_sent(
    scripts: QueueScripts, proxy: FaultProxy
) -> None:
    with Lost(proxy):
        scripts.hint("q", "work")
    scripts.hint("q", "work")
    assert [scripts.wait("q", 1), scripts.wait("q", 1)] == [Token("work"), Token("work")]
    assert scripts.wait("q", 0.01) is None


@pytest.mark.parametrize("way", ["ack", "nack"])
def test_a_message_that_is_settled_again_is_settled_once(scripts: QueueScripts, proxy: FaultProxy, way: str) -> None:
    scripts.enqueue("q", "m1", b"body")
    scripts.fetch("q", "c", 1)
    settle = scripts.ack if way == "ack" else scripts.nack
    with Lost(proxy):
        settle("q", "c", "m1")
    settle("q", "c", "m1")
    assert (scripts.size("q"), scripts.fetch("q", "c", 1)) == (0, [])
    assert scripts._client.zcard(scripts.keys("q").dead) == (1 if way == "nack" else 0)


def test_messages_that_are_handed_back_again_lie_there_once(scripts: QueueScripts, proxy: FaultProxy) -> None:
    for name in ("m1", "m2"):
        scripts.enqueue("q", name, b"body")
    scripts.fetch("q", "c", 2)
    with Lost(proxy):
        scripts.requeue("q", "c", ["m1", "m2"], leave=True)
    scripts.requeue("q", "c", ["m1", "m2"], leave=True)
    assert scripts.fetch("q", "d", 5) == [("m1", b"body"), ("m2", b"body")]
