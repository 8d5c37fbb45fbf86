"""The hint queues in Redis: key names and the scripts that move messages between them.

Owns what a queue looks like on the server. The names of lists and hashes are the ones of Dramatiq's own Redis broker,
so its dashboards read them; the wake lists are ours. What a message means is left to the actors, when to block and
when to give up is left to the consumer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, cast

import redis

#: A queue that nobody touched for this long is forgotten, and so are its dead messages.
QUEUE_TTL_MS = 7 * 24 * 60 * 60 * 1000

#: Unused wake tokens are forgotten after this; a consumer looks at its queue more often than that anyway.
WAKE_TTL_MS = 5_000

#: Most tokens on a wake list: enough to wake a few processes at once, few enough to be drained in one look.
WAKE_TOKENS = 16

#: A consumer without a proof of life for this long is taken for dead (server time) and what it held goes back.
DEAD_AFTER_MS = 60_000


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The Redis keys of one queue.

    Args:
        prefix: What all keys of the broker begin with.
        queue: Name of the queue.
    """

    prefix: str
    queue: str

    @property
    def ids(self) -> str:
        """List of the ids that wait."""
        return f"{self.prefix}:{self.queue}"

    @property
    def bodies(self) -> str:
        """Hash of id to encoded message, for ids that wait or are held."""
        return f"{self.prefix}:{self.queue}.msgs"

    @property
    def dead(self) -> str:
        """Sorted set of the ids that no actor could take."""
        return f"{self.prefix}:{self.queue}.XQ"

    @property
    def dead_bodies(self) -> str:
        """Hash of id to encoded message of the dead."""
        return f"{self.prefix}:{self.queue}.XQ.msgs"

    @property
    def wake(self) -> str:
        """List of tokens on which idle consumers block."""
        return f"{self.prefix}:__wake__.{self.queue}"

    @property
    def heartbeats(self) -> str:
        """Sorted set of consumers by last proof of life, shared by all queues."""
        return f"{self.prefix}:__heartbeats__"

    @property
    def reclaiming(self) -> str:
        """Lock that keeps the search for dead consumers rare, shared by all queues."""
        return f"{self.prefix}:__reclaiming__"

    def member(self, consumer_id: str) -> str:
        """Name a consumer in the heartbeats; it says which queue, so that nobody has to search."""
        return f"{consumer_id}.{self.queue}"

    def held(self, consumer_id: str) -> str:
        """Set of the ids that a consumer has taken and not yet settled."""
        return f"{self.prefix}:__acks__.{self.member(consumer_id)}"


class QueueScripts:
    """The five moves of a message, each one atomic script.

    Args:
        client: Connection pool to the broker's database; it must answer bytes.
        prefix: What all keys begin with.
        dead_after_ms: Time without a heartbeat after which a consumer is taken for dead.
    """

    def __init__(self, client: redis.Redis, prefix: str, *, dead_after_ms: int = DEAD_AFTER_MS) -> None:
        self._client = client
        self._prefix = prefix
        self._dead_after_ms = dead_after_ms
        self._enqueue = client.register_script(_source("enqueue"))
        self._fetch = client.register_script(_source("fetch"))
        self._ack = client.register_script(_source("ack"))
        self._nack = client.register_script(_source("nack"))
        self._requeue = client.register_script(_source("requeue"))

    @property
    def heartbeat_every_s(self) -> float:
        """How often a consumer that fetches nothing must show that it lives, in seconds."""
        return self._dead_after_ms / 6000

    @property
    def longest_block_s(self) -> float:
        """Longest wait that the connection's own time-out allows, in seconds."""
        timeout = self._client.connection_pool.connection_kwargs.get("socket_timeout")
        return float(timeout) / 2 if timeout else float("inf")

    def keys(self, queue: str) -> QueueKeys:
        """Name the keys of a queue."""
        return QueueKeys(self._prefix, queue)

    def enqueue(self, queue: str, message_id: str, body: bytes, *, backlog: int = 0) -> bool:
        """Put a message on a queue and ring for an idle consumer.

        Args:
            queue: Name of the queue.
            message_id: Unique in the queue; sending the same id again changes nothing.
            body: The encoded message.
            backlog: Refuse the message when so many wait already; 0 means never.

        Returns:
            Whether the message lies on the queue.
        """
        keys = self.keys(queue)
        args = (message_id, body, backlog, QUEUE_TTL_MS, WAKE_TOKENS, WAKE_TTL_MS)
        return bool(self._enqueue(keys=(keys.ids, keys.bodies, keys.wake), args=args))

    def fetch(self, queue: str, consumer_id: str, count: int) -> list[tuple[str, bytes]]:
        """Take up to `count` messages for a consumer; with 0 only show that it lives.

        Returns:
            Ids and encoded messages, oldest first.
        """
        keys = self.keys(queue)
        found = cast(
            "list[bytes]",
            self._fetch(
                keys=(keys.ids, keys.bodies, keys.wake, keys.held(consumer_id), keys.heartbeats, keys.reclaiming),
                args=(keys.member(consumer_id), count, self._dead_after_ms, QUEUE_TTL_MS, WAKE_TTL_MS, self._prefix),
            ),
        )
        return [(found[i].decode(), found[i + 1]) for i in range(0, len(found), 2)]

    def wait_for_token(self, queue: str, seconds: float) -> bool:
        """Block on the queue's wake list.

        Args:
            queue: Name of the queue.
            seconds: Longest wait, more than 0.

        Returns:
            Whether a token came, which means: look at the queue again.
        """
        return self._client.blpop([self.keys(queue).wake], timeout=seconds) is not None

    def ack(self, queue: str, consumer_id: str, message_id: str) -> None:
        """Forget a message that was processed."""
        keys = self.keys(queue)
        self._ack(keys=(keys.held(consumer_id), keys.bodies), args=(message_id,))

    def nack(self, queue: str, consumer_id: str, message_id: str) -> None:
        """Keep a message that no actor could take among the dead ones."""
        keys = self.keys(queue)
        self._nack(
            keys=(keys.held(consumer_id), keys.bodies, keys.dead, keys.dead_bodies), args=(message_id, QUEUE_TTL_MS)
        )

    def requeue(self, queue: str, consumer_id: str, message_ids: Sequence[str], *, leave: bool = False) -> None:
        """Hand back messages that were taken and not begun.

        Args:
            queue: Name of the queue.
            consumer_id: The consumer that took them.
            message_ids: Oldest first.
            leave: Forget the consumer too, unless it still holds messages that are being processed.
        """
        keys = self.keys(queue)
        self._requeue(
            keys=(keys.ids, keys.bodies, keys.wake, keys.held(consumer_id), keys.heartbeats),
            args=(keys.member(consumer_id), int(leave), QUEUE_TTL_MS, WAKE_TTL_MS, *message_ids),
        )

    def purge(self, queue: str) -> None:
        """Drop every message of a queue, dead ones included."""
        keys = self.keys(queue)
        self._client.delete(keys.ids, keys.bodies, keys.wake, keys.dead, keys.dead_bodies)

    def size(self, queue: str) -> int:
        """Count the messages that wait or are being processed."""
        return cast("Any", self._client).hlen(self.keys(queue).bodies)  # type: ignore[no-any-return]


def _source(name: str) -> str:
    return resources.files("flowlang.actors").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
