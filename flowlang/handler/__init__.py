"""Handlers: the functions that pipelines call, their contracts, their context, and how their failures are read.

Owns declaration, checking, discovery and resources. It leaves running attempts to `flowlang.worker` and reading
handlers without importing them to `flowlang.project.signatures`.

This package and the decorator have one name: `from flowlang import handler` gives this module, and the module can be
called. A plain function of that name in `flowlang` would be replaced by the module as soon as any part of the package
is imported, so whether a user's import worked would depend on what ran before it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.handler.declare import Function
    from flowlang.handler.signature import Effect


class _CallableModule(ModuleType):
    """A module that is also the decorator, `flowlang.handler.declare.handler`."""

    def __call__(
        self, name: str, *, effect: Effect | None = None, timeout: str | None = None, retry: Any = None
    ) -> Callable[[Function], Function]:
        from flowlang.handler.declare import handler  # noqa: PLC0415 - the compiler needs `signature` alone

        return handler(name, effect=effect, timeout=timeout, retry=retry)


sys.modules[__name__].__class__ = _CallableModule
