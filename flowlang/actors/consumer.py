"""The consumer of a queue: sleeps on the server until it is rung, and gives up at the first broken connection.

Dramatiq's own consumer polls with a back-off of up to a second. This one blocks on the queue's wake list and its hints,
at most a second at a time so that stopping is prompt. It looks at the queue itself after each wait that no hint has
ended, and once a second beside hints: a lost token costs one wait. A hint is handed out as a message without arguments,
and is nobody's any more. A full consumer waits for room without touching the network. What a broken consumer held is
given back when its heartbeat ends, so one that lost a reply is never reused: Dramatiq makes a new one with a new id.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import redis
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.message import Message

from flowlang.crashpoints import crashpoint

if TYPE_CHECKING:
    from flowlang.actors.queues import QueueScripts

#: Longest wait on the server; Dramatiq looks whether it should stop after each one.
LONGEST_BLOCK_S = 1.0

#: Option under which a fetched message remembers who fetched it, because its consumer may have been replaced since.
_HOLDER = "held_by"
#: Option of a message that was made of a hint: the server knows nothing of it.
_HINT = "hint"

_log = logging.getLogger(__name__)


class HintConsumer(Consumer):
    """Hands out the messages of one queue; made by `FlowBroker.consume`.

    `__next__` belongs to the consumer's thread; `ack`, `nack` and `requeue` may be called from any.

    Args:
        scripts: The queue operations.
        queue: Name of the queue.
        prefetch: Most messages and hints that are taken and not yet settled.
        timeout_ms: Longest time that `__next__` waits; cut to a second.
        on_hint: Told the queue of each hint before it is handed out; must not block or raise.
    """

    def __init__(
        self,
        scripts: QueueScripts,
        queue: str,
        prefetch: int,
        timeout_ms: int,
        on_hint: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._scripts = scripts
        self._queue = queue
        self._prefetch = max(1, prefetch)
        self._on_hint = on_hint
        self._block_s = min(max(timeout_ms, 1) / 1000, LONGEST_BLOCK_S, scripts.longest_block_s)
        self._id = str(uuid.uuid4())
        self._fetched: deque[tuple[str, bytes]] = deque()
        self._changed = threading.Condition()
        self._unsettled: set[str] = set()
        self._broken: redis.RedisError | None = None
        self._last_look = float("-inf")  #: by which the server knows, too, that this consumer lives
        self._looks_first = True
        self._hints = 0

    def __next__(self) -> MessageProxy | None:
        hint = None
        if not self._fetched:
            try:
                hint = self._fill()
            except redis.RedisError as error:
                raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        return hint or self._hand_out()

    def ack(self, message: MessageProxy) -> None:
        """Forget a processed message; if the server cannot be told, it will come again."""
        self._settle(message, self._scripts.ack)

    def nack(self, message: MessageProxy) -> None:
        """Put a message that no actor could take among the dead ones."""
        self._settle(message, self._scripts.nack)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back fetched messages that were not begun.

        Raises:
            ConnectionClosed: When the server cannot be told; it will notice by the missing heartbeat.
        """
        holders: dict[str, list[str]] = {}
        hints: list[MessageProxy] = []
        for message in messages:
            if _HINT in message.options:
                hints.append(message)
                continue
            holders.setdefault(message.options.get(_HOLDER, self._id), []).append(message.options["redis_message_id"])
        try:
            crashpoint("consumer.requeue")
            for holder, ids in holders.items():
                self._scripts.requeue(self._queue, holder, ids)
            for message in hints:
                self._scripts.hint(self._queue, message.actor_name)
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        finally:
            self._release(*(message_id for ids in holders.values() for message_id in ids))
            self._release(*(message.options["redis_message_id"] for message in hints))

    def close(self) -> None:
        """Hand back what was fetched and not handed out, and leave."""
        ids = [message_id for message_id, _ in self._fetched]
        self._fetched.clear()
        try:
            crashpoint("consumer.leaving")
            self._scripts.requeue(self._queue, self._id, ids, leave=True)
            crashpoint("consumer.left")
        except redis.RedisError as error:
            _log.debug("Left queue %r without telling the server: %s", self._queue, error)

    def _fill(self) -> MessageProxy | None:
        """Fetch what is there, or wait for it; a hint that has come is returned."""
        room = self._wait_for_room()
        since_look = time.monotonic() - self._last_look
        if room == 0:
            if since_look >= self._scripts.heartbeat_every_s:
                self._fetch(0)
            return None
        if self._looks_first or since_look >= LONGEST_BLOCK_S:
            self._fetch(room)
            if self._fetched:
                return None
        token = self._scripts.wait(self._queue, self._block_s)
        self._looks_first = token is None or token.actor is None
        if token is None:
            return None
        if token.actor is None:
            self._fetch(room)
            return None
        crashpoint("consumer.rung")
        return self._rung(token.actor)

    def _wait_for_room(self) -> int:
        """Wait until a message may be fetched; no room after one block is told as 0."""
        with self._changed:
            self._changed.wait_for(lambda: self._broken or len(self._unsettled) < self._prefetch, self._block_s)
            if self._broken:
                raise self._broken
            return max(0, self._prefetch - len(self._unsettled))

    def _fetch(self, count: int) -> None:
        crashpoint("consumer.before_fetch")
        fetched = self._scripts.fetch(self._queue, self._id, count)
        if fetched:
            crashpoint("consumer.fetched")
        self._fetched.extend(fetched)
        self._last_look = time.monotonic()
        with self._changed:
            self._unsettled.update(message_id for message_id, _ in self._fetched)

    def _rung(self, actor: str) -> MessageProxy:
        """Make the message of a hint."""
        self._on_hint(self._queue)
        self._hints += 1
        ident = f"{self._id}.{self._hints}"
        with self._changed:
            self._unsettled.add(ident)
        return MessageProxy(
            Message(
                queue_name=self._queue,
                actor_name=actor,
                args=(),
                kwargs={},
                options={"redis_message_id": ident, _HINT: True},
                message_id=ident,
            )
        )

    def _hand_out(self) -> MessageProxy | None:
        while self._fetched:
            message_id, body = self._fetched.popleft()
            try:
                message: Message[Any] = Message.decode(body)
            except DecodeError:
                _log.exception(
                    "Message %r on queue %r cannot be read; it is kept with the dead ones.", message_id, self._queue
                )
                self._tell(self._scripts.nack, self._id, message_id)
                continue
            message.options["redis_message_id"] = message_id
            message.options[_HOLDER] = self._id
            return MessageProxy(message)
        return None

    def _settle(self, message: MessageProxy, tell: Any) -> None:
        if _HINT in message.options:
            self._release(message.options["redis_message_id"])
            return
        self._tell(tell, message.options.get(_HOLDER, self._id), message.options["redis_message_id"])

    def _tell(self, tell: Any, holder: str, message_id: str) -> None:
        # Raising would make Dramatiq hold the worker's thread for five seconds and try again; no message is worth it.
        try:
            crashpoint("consumer.before_ack")
            tell(self._queue, holder, message_id)
            crashpoint("consumer.acked")
        except redis.RedisError as error:
            _log.warning("Could not settle a message of queue %r: %s", self._queue, error)
            with self._changed:
                self._broken = error
        self._release(message_id)

    def _release(self, *message_ids: str) -> None:
        with self._changed:
            self._unsettled.difference_update(message_ids)
            self._changed.notify_all()
