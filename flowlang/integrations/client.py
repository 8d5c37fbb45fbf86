"""The shared client of the built-in handlers, made on its first use: what needs no HTTP loads none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from flowlang import Env, resource

if TYPE_CHECKING:
    from flowlang.integrations.outbound.client import Outbound


@resource
async def outbound(env: Env) -> AsyncIterator[Outbound]:
    """The client of this process: connects only where `FLOWLANG_EGRESS…` lets it."""
    from flowlang.integrations.outbound.client import opened  # noqa: PLC0415 - brings httpx

    async with opened(env) as client:
        yield client
