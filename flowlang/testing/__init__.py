"""Helpers for the tests of handlers and pipelines: what a project's own tests import.

`attempt` and `call` call a handler as a worker does; `check_handler` looks at what it declares; `simulate` runs
pipelines of a project on virtual time. The pytest plugin that collects `*.test.yaml` is `flowlang.testing.plugin`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.simulate import Finished, Simulation
    from flowlang.testing.handlers import Attempted, attempt, call, check_handler
    from flowlang.testing.pipelines import simulate

__all__ = ["Attempted", "Finished", "Simulation", "attempt", "call", "check_handler", "simulate"]

_HOMES = {
    "Attempted": "flowlang.testing.handlers",
    "Finished": "flowlang.simulate",
    "Simulation": "flowlang.simulate",
    "attempt": "flowlang.testing.handlers",
    "call": "flowlang.testing.handlers",
    "check_handler": "flowlang.testing.handlers",
    "simulate": "flowlang.testing.pipelines",
}

if not TYPE_CHECKING:  # type checkers see the imports above, and no attribute that is not there

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'flowlang.testing' has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
