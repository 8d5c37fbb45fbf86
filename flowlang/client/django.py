"""FlowLang in Django: one client by the settings, and events that are sent when the transaction is committed.

The settings are `FLOWLANG_URL` and, for a server that asks for one, `FLOWLANG_API_KEY`. Nothing has to be added to
`INSTALLED_APPS`.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import transaction

from flowlang import jsondata
from flowlang.client.sync import Client
from flowlang.clock import random_token

_URL: Final = "FLOWLANG_URL"
_KEY: Final = "FLOWLANG_API_KEY"

_lock = threading.Lock()
_made: list[Client] = []


def client() -> Client:
    """The client of this process; made when it is first asked for, which is after any fork of the server.

    Raises:
        ImproperlyConfigured: when `FLOWLANG_URL` is not set.
        ConfigError: when the settings cannot be used.
    """
    with _lock:
        if not _made:
            url = getattr(settings, _URL, None)
            if not url:
                raise ImproperlyConfigured(
                    f"set {_URL} to the URL of a `flowlang serve`, such as http://127.0.0.1:8787"
                )
            _made.append(Client(url, api_key=getattr(settings, _KEY, None)))
        return _made[0]


def send_on_commit(
    name: str,
    data: Any = None,
    *,
    id: str | None = None,  # noqa: A002 - the event's own word
    user: Any = None,
    using: str | None = None,
    robust: bool = False,
) -> str:
    """Send an event once the transaction has been committed; at once when there is none, and never when it is undone.

    Not for what may not be lost: a process that dies between the commit and the sending sends nothing.

    Args:
        name: Of the event.
        data: Its data, as it is now; None is `{}`.
        id: Your own id of it. Drawn when there is none.
        user: Whom it is about.
        using: The database whose transaction counts.
        robust: Log what goes wrong with the sending, and go on; as of `transaction.on_commit`.

    Returns:
        The event's id.

    Raises:
        JsonError: when the data cannot be carried as JSON; the transaction can still be undone.
    """
    ident = id or random_token()
    jsondata.check(user)
    kept = {} if data is None else data
    jsondata.check(kept)
    body = jsondata.dumps(kept)  # what is changed before the commit is not sent
    transaction.on_commit(
        lambda: client().send(name, jsondata.loads(body), id=ident, user=user), using=using, robust=robust
    )
    return ident


def _forget(*, setting: str, **_: object) -> None:
    """Make another client when a test has changed the settings."""
    if setting in {_URL, _KEY}:
        with _lock:
            for each in _made:
                each.close()
            _made.clear()


setting_changed.connect(_forget, dispatch_uid="flowlang.client.django")
