"""The broker: carries hints to workers and wakes them, and nothing else.

One owner for each policy, and it is ours. Dramatiq's Retries, TimeLimit, AgeLimit, ShutdownNotifications, Results,
Pipelines, Callbacks and group callbacks are off, and so are its delayed messages: attempts, time-outs, stored results,
order and waits are rows in the store, where a crash between two operations cannot lose them. Dramatiq logs and drops
errors of those middlewares, then acknowledges the message.

A hint says "there is work in this queue". Losing, doubling or delaying one changes nothing, because every worker also
sweeps the store; so one that cannot be given is a log line (`hint`). On Redis it is less than a message: nothing has to
be fetched, kept or settled for it.

Left to others: what a hint makes a worker do (`factory`, `flowlang.worker`), and the store, which may be elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message
from dramatiq.middleware import Middleware
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.actors.consumer import HintConsumer
from flowlang.actors.lifecycle import Lifecycle, SmallPrefetch
from flowlang.actors.queues import DEAD_AFTER_MS, QueueScripts
from flowlang.crashpoints import crashpoint
from flowlang.errors import ConfigError

__all__ = ["FlowBroker", "Lifecycle", "hint", "make_broker"]

_REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
_RABBITMQ_SCHEMES = frozenset({"amqp", "amqps"})

_log = logging.getLogger(__name__)


class FlowBroker(RedisBroker):
    """Dramatiq broker on Redis or Valkey whose idle consumers are rung, not polling.

    Args:
        url: `redis://`, `rediss://` or `unix://` address with the database; better not the store's own database.
        client: Use this client instead of `url`; it is not closed by the broker.
        namespace: What the names of all keys begin with.
        middleware: Further middleware; none of Dramatiq's own is added.
        dead_after_ms: Time without a heartbeat (server time) after which what a consumer held goes back to its queue.

    Attributes:
        on_hint: Told the queue of each hint that a consumer has taken, before a thread has it; must not block or raise.
    """

    on_hint: Callable[[str], object]

    def __init__(
        self,
        *,
        url: str | None = None,
        client: redis.Redis | None = None,
        namespace: str = "flowlang",
        middleware: Sequence[Middleware] = (),
        dead_after_ms: int = DEAD_AFTER_MS,
    ) -> None:
        if (url is None) == (client is None):
            raise ConfigError("a broker needs either a url or a client")
        self.on_hint = lambda _: None
        self._owned = None if url is None else _connect(url)
        super().__init__(  # type: ignore[no-untyped-call]
            client=client or self._owned, namespace=namespace, middleware=_policy(middleware)
        )
        self._scripts = QueueScripts(self.client, namespace, dead_after_ms=dead_after_ms)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> HintConsumer:
        """Make a consumer of a queue.

        Args:
            queue_name: Name of the queue.
            prefetch: Most messages that are fetched and not yet settled.
            timeout: Longest wait of its `__next__`, in ms; a second is the most.
        """
        return HintConsumer(self._scripts, queue_name, prefetch, timeout, lambda queue: self.on_hint(queue))  # noqa: PLW0108 - it may be set later

    def declare_queue(self, queue_name: str) -> None:
        """Make a queue known, without the one for delayed messages that Dramatiq adds: waits are rows in the store."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Put a message on its queue and ring for an idle consumer.

        Args:
            message: What to send.
            delay: Refused; a delayed message would wait in the memory of a worker.

        Returns:
            The message as it was sent.

        Raises:
            ValueError: When a delay is given.
            dramatiq.errors.ConnectionClosed: When the server cannot be reached; the message may or may not be there.
        """
        if delay is not None:
            raise ValueError("messages are not delayed here; let a pipeline sleep, or give it a cron trigger")
        message = message.copy(options={"redis_message_id": str(uuid4())})
        self.emit_before("enqueue", message, delay)
        try:
            self._scripts.enqueue(message.queue_name, message.options["redis_message_id"], message.encode())
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        crashpoint("broker.enqueued")
        self.emit_after("enqueue", message, delay)
        return message

    def hint(self, queue_name: str, actor_name: str) -> None:
        """Ring for a consumer of a queue. A queue keeps at most a thousand hints.

        Args:
            queue_name: The queue that has work.
            actor_name: The actor that the consumer's worker calls, without arguments.

        Raises:
            redis.RedisError: When the server cannot be reached or refuses it.
        """
        self._scripts.hint(queue_name, actor_name)
        crashpoint("broker.hinted")

    def close(self) -> None:
        """Close the connections that this broker has made."""
        self._scripts.close()
        if self._owned is not None:
            self._owned.close()

    def flush(self, queue_name: str) -> None:
        """Drop all messages and hints of a queue, dead ones included."""
        self._scripts.purge(queue_name)

    def do_qsize(self, queue_name: str) -> int:
        """Count the messages of a queue that wait or are being processed, and its hints; `join` waits for none."""
        return self._scripts.size(queue_name)


def make_broker(url: str, *, namespace: str = "flowlang", middleware: Sequence[Middleware] = ()) -> dramatiq.Broker:
    """Make the broker for an address, with our policies on either kind of server.

    Args:
        url: `redis://`, `rediss://` or `unix://` for Redis and Valkey, `amqp://` or `amqps://` for RabbitMQ.
        namespace: What Redis keys begin with. RabbitMQ has virtual hosts for that; there it is not used.
        middleware: Further middleware, such as a `Lifecycle`.

    Returns:
        A broker that has not connected yet.

    Raises:
        ConfigError: When the address is of no known kind or RabbitMQ's client is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme in _REDIS_SCHEMES:
        return FlowBroker(url=url, namespace=namespace, middleware=middleware)
    if scheme in _RABBITMQ_SCHEMES:
        return _rabbitmq(url, middleware)
    # The address itself may hold a password, so only its beginning is shown.
    raise ConfigError(f"a broker url begins with redis://, rediss://, unix://, amqp:// or amqps://, not {scheme!r}")


def hint(broker: dramatiq.Broker, queue_name: str, actor_name: str) -> bool:
    """Say that a queue has work; never raises, because nothing depends on a hint.

    Args:
        broker: Where workers listen.
        queue_name: The queue that has work.
        actor_name: Any actor of that queue; which one is only for people who look at it.

    Returns:
        Whether the broker took it.
    """
    try:
        if isinstance(broker, FlowBroker):
            broker.hint(queue_name, actor_name)
        else:
            broker.enqueue(Message(queue_name=queue_name, actor_name=actor_name, args=(), kwargs={}, options={}))
    except Exception as error:  # noqa: BLE001 - each kind of broker has its own errors, and none may stop a commit
        _log.warning(
            "no hint for queue %s (%s: %s); the sweeper will find the work", queue_name, type(error).__name__, error
        )
        return False
    return True


def reachable(url: str) -> str | None:
    """Try to connect to a broker.

    Args:
        url: As for `make_broker`.

    Returns:
        Why it cannot be reached, without its password; None when it can.

    Raises:
        ConfigError: When the address is of no known kind.
    """
    broker = make_broker(url)
    try:
        if isinstance(broker, FlowBroker):
            broker.client.ping()
        else:
            _ = broker.connection  # type: ignore[attr-defined] # RabbitMQ's connects when it is first asked for
    except Exception as error:  # noqa: BLE001 - each kind of broker has its own errors
        return type(error).__name__ if "@" in str(error) else f"{type(error).__name__}: {error}"
    finally:
        broker.close()
    return None


def _policy(extra: Sequence[Middleware]) -> list[Middleware]:
    """List the middleware: ours only."""
    return [SmallPrefetch(), *extra]


def _connect(url: str) -> redis.Redis:
    # A resent fetch would strand what the lost reply held, so a consumer is replaced instead of retrying.
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5, socket_connect_timeout=2)


def _rabbitmq(url: str, middleware: Sequence[Middleware]) -> dramatiq.Broker:
    try:
        from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: PLC0415 - pika is an extra
    except ModuleNotFoundError as error:
        raise ConfigError("an amqp:// broker needs pika: pip install 'flowlang-pipelines[rabbitmq]'") from error
    return RabbitmqBroker(url=url, middleware=_policy(middleware))
