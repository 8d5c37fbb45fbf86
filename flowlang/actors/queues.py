"""The queues in Redis: key names and the scripts that move messages between them.

Owns what a queue looks like on the server. The names of lists and hashes are the ones of Dramatiq's own Redis broker,
so its dashboards read them; the wake lists and the lists of hints are ours. A hint is no message: nothing depends on
it, so it has no body, is settled when it is taken, and comes with the answer to the wait itself. What a message means
is left to the actors, when to block and when to give up is left to the consumer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, cast

import redis

from flowlang.connections import Connections

#: A queue that nobody touched for this long is forgotten, and so are its dead messages.
QUEUE_TTL_MS = 7 * 24 * 60 * 60 * 1000

#: Unused wake tokens are forgotten after this; a consumer looks at its queue more often than that anyway.
WAKE_TTL_MS = 5_000

#: A hint that nobody takes for so long is forgotten: the sweeps have found its work long since.
HINT_TTL_MS = 60_000

#: More hints than this on one queue say nothing new, so further ones are dropped.
HINT_BACKLOG = 1_000

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
    def hints(self) -> str:
        """List of hints, each the name of an actor; idle consumers block on it as well."""
        return f"{self.prefix}:__hints__.{self.queue}"

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


class Token(NamedTuple):
    """What has ended a wait.

    Attributes:
        actor: That a hint names; None where a message lies on the queue.
    """

    actor: str | None


class QueueScripts:
    """The moves of messages and hints, each one atomic script.

    Args:
        client: Connection pool to the broker's database; it must answer bytes.
        prefix: What all keys begin with.
        dead_after_ms: Time without a heartbeat after which a consumer is taken for dead.
    """

    def __init__(self, client: redis.Redis, prefix: str, *, dead_after_ms: int = DEAD_AFTER_MS) -> None:
        self._client = client
        self._prefix = prefix
        self._dead_after_ms = dead_after_ms
        self._connections = Connections(client.connection_pool)

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

    def enqueue(self, queue: str, message_id: str, body: bytes) -> None:
        """Put a message on a queue and ring for an idle consumer.

        Args:
            queue: Name of the queue.
            message_id: Unique in the queue; sending the same id again changes nothing.
            body: The encoded message.
        """
        keys = self.keys(queue)
        call = (keys.ids, keys.bodies, keys.wake), (message_id, body, QUEUE_TTL_MS, WAKE_TOKENS, WAKE_TTL_MS)
        try:
            self._run("enqueue", *call)
        except redis.ConnectionError:  # it may have been closed for long; the same id again changes nothing
            self._run("enqueue", *call)

    def hint(self, queue: str, actor: str) -> bool:
        """Ring for an idle consumer of a queue, or for the next one that is.

        Args:
            queue: Name of the queue.
            actor: The actor that the consumer's worker is to call.

        Returns:
            Whether it is kept: not when a thousand are there already.
        """
        return bool(self._run("hint", (self.keys(queue).hints,), (actor, HINT_BACKLOG, HINT_TTL_MS)))

    def fetch(self, queue: str, consumer_id: str, count: int) -> list[tuple[str, bytes]]:
        """Take up to `count` messages for a consumer; with 0 only show that it lives.

        Returns:
            Ids and encoded messages, oldest first.
        """
        keys = self.keys(queue)
        found = cast(
            "list[bytes]",
            self._run(
                "fetch",
                (keys.ids, keys.bodies, keys.wake, keys.held(consumer_id), keys.heartbeats, keys.reclaiming),
                (keys.member(consumer_id), count, self._dead_after_ms, QUEUE_TTL_MS, WAKE_TTL_MS, self._prefix),
            ),
        )
        return [(found[i].decode(), found[i + 1]) for i in range(0, len(found), 2)]

    def wait(self, queue: str, seconds: float) -> Token | None:
        """Block until a message or a hint comes.

        Args:
            queue: Name of the queue.
            seconds: Longest wait, more than 0.

        Returns:
            What came, messages first; a hint is taken by that. None when nothing came.
        """
        keys = self.keys(queue)
        found = cast("list[bytes] | None", self._connections.call("BLPOP", keys.wake, keys.hints, seconds))
        if found is None:
            return None
        return Token(found[1].decode() if found[0] == keys.hints.encode() else None)

    def ack(self, queue: str, consumer_id: str, message_id: str) -> None:
        """Forget a message that was processed."""
        keys = self.keys(queue)
        self._run("ack", (keys.held(consumer_id), keys.bodies), (message_id,))

    def nack(self, queue: str, consumer_id: str, message_id: str) -> None:
        """Keep a message that no actor could take among the dead ones."""
        keys = self.keys(queue)
        self._run(
            "nack", (keys.held(consumer_id), keys.bodies, keys.dead, keys.dead_bodies), (message_id, QUEUE_TTL_MS)
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
        self._run(
            "requeue",
            (keys.ids, keys.bodies, keys.wake, keys.held(consumer_id), keys.heartbeats),
            (keys.member(consumer_id), int(leave), QUEUE_TTL_MS, WAKE_TTL_MS, *message_ids),
        )

    def purge(self, queue: str) -> None:
        """Drop every message and hint of a queue, dead ones included."""
        keys = self.keys(queue)
        self._client.delete(keys.ids, keys.bodies, keys.wake, keys.hints, keys.dead, keys.dead_bodies)

    def size(self, queue: str) -> int:
        """Count the messages that wait or are being processed, and the hints that wait."""
        keys = self.keys(queue)
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hlen(keys.bodies)
            pipe.llen(keys.hints)
            return sum(pipe.execute())

    def close(self) -> None:
        """Give connections back."""
        self._connections.close()

    def _run(self, name: str, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> Any:
        source, digest = script(name)
        try:
            return self._connections.call("EVALSHA", digest, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return self._connections.call("EVAL", source, len(keys), *keys, *arguments)


class Script(NamedTuple):
    """A script of the server.

    Attributes:
        source: Its text.
        digest: By which the server knows it, once it has been there.
    """

    source: str
    digest: str


@cache
def script(name: str) -> Script:
    """One of the files in `lua`."""
    source = resources.files("flowlang.actors").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
