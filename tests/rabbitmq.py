"""A RabbitMQ to test on: where it is, whether it may be used, and how it is emptied."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final

#: Where a RabbitMQ is looked for. The queues of the tests in its virtual host are deleted for each test.
VARIABLE: Final = "FLOWLANG_TEST_RABBITMQ_URL"
DEFAULT: Final = "amqp://guest:guest@127.0.0.1:5672/%2F"

#: Queues that tests use, with those that Dramatiq makes beside each.
QUEUES: Final = tuple(f"{name}{suffix}" for name in ("default", "night", "q") for suffix in ("", ".DQ", ".XQ"))


def url() -> str:
    """The server's address."""
    return os.environ.get(VARIABLE, DEFAULT)


def unusable(*, ours: bool) -> str | None:
    """Say why the server cannot be used.

    Args:
        ours: Whether what is in its queues is known to be of tests; else they must not exist.
    """
    try:
        connection = _connect()
    except ImportError:
        return "its client is not installed: make install"
    except Exception as error:  # noqa: BLE001 - whatever keeps us from it
        return f"{url().rpartition('@')[2]} does not answer ({type(error).__name__})"
    with contextlib.closing(connection):
        for name in () if ours else QUEUES:
            if _exists(connection, name):
                return f"{url().rpartition('@')[2]} holds somebody's queue {name!r}"
    return None


def emptied() -> str:
    """Delete the queues of tests, and return the address."""
    with contextlib.closing(_connect()) as connection:
        channel = connection.channel()
        for name in QUEUES:
            channel.queue_delete(name)
    return url()


def _connect() -> Any:
    import pika  # noqa: PLC0415 - an extra

    parameters = pika.URLParameters(url())
    parameters.socket_timeout = parameters.blocked_connection_timeout = 5
    return pika.BlockingConnection(parameters)


def _exists(connection: Any, name: str) -> bool:
    import pika.exceptions  # noqa: PLC0415 - an extra

    try:
        connection.channel().queue_declare(name, passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    return True
