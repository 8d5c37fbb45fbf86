"""FlowLang: declarative background jobs, checked before they run.

The public face: what handlers and their tests import, and programs that send events. Names are loaded when first used,
so that `import flowlang` loads neither Redis nor Dramatiq nor pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.client.asynchronous import AsyncClient
    from flowlang.client.sync import Client
    from flowlang.errors import FlowError, Permanent, Resource, RetryAfter, Snooze, Transient
    from flowlang.handler.context import Context
    from flowlang.handler.declare import handler
    from flowlang.handler.env import Env
    from flowlang.handler.resources import resource
    from flowlang.handler.sensitive import Sensitive

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "Client",
    "Context",
    "Env",
    "FlowError",
    "Permanent",
    "Resource",
    "RetryAfter",
    "Sensitive",
    "Snooze",
    "Transient",
    "handler",
    "resource",
]

_HOMES = {
    "AsyncClient": "flowlang.client.asynchronous",
    "Client": "flowlang.client.sync",
    "Context": "flowlang.handler.context",
    "Env": "flowlang.handler.env",
    "FlowError": "flowlang.errors",
    "Permanent": "flowlang.errors",
    "Resource": "flowlang.errors",
    "RetryAfter": "flowlang.errors",
    "Sensitive": "flowlang.handler.sensitive",
    "Snooze": "flowlang.errors",
    "Transient": "flowlang.errors",
    "resource": "flowlang.handler.resources",
}


if not TYPE_CHECKING:  # type checkers see the imports above, and no attribute that is not there

    def __getattr__(name: str) -> Any:
        if name == "handler":  # the package of that name is the decorator; see there
            return importlib.import_module("flowlang.handler")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'flowlang' has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
