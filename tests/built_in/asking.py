"""Calls built-in handlers as a worker calls them, with a client that lives as long as the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from flowlang import Context
from flowlang.handler.classify import Failure, classify
from flowlang.handler.definition import definition_of
from flowlang.integrations import client
from flowlang.integrations.outbound.client import Outbound
from flowlang.integrations.outbound.egress import Egress

LOCAL = {"FLOWLANG_EGRESS_ALLOW": "127.0.0.0/8, [::1]"}


def call(
    handler: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    key: str = "key-1",
    seconds: float = 30.0,
    trace_headers: Mapping[str, str] | None = None,
    **outbound: Any,
) -> Any:
    """Call a handler with JSON, and give what later steps see.

    Args:
        handler: One of the built-in ones.
        arguments: Its `with`.
        env: Settings, beside those that let it connect to this machine.
        secrets: Secrets by name.
        key: The idempotency key.
        seconds: Until the attempt times out.
        trace_headers: The place in a trace.
        outbound: For the client: `resolve`, `tls`.
    """
    definition = definition_of(handler)
    assert definition is not None
    settings = {**LOCAL, **(env or {})}

    async def run() -> Any:
        made = Outbound(Egress.of(settings.get), **outbound)
        ctx = Context.for_test(
            env=settings,
            secrets=secrets,
            idempotency_key=key,
            timeout=seconds,
            resources={client.outbound: made},
            trace_headers=trace_headers,
        )
        given = definition.contract.convert(dict(arguments))
        try:
            result = definition.function(**given, ctx=ctx)
            return definition.contract.result(await result if definition.is_async else result)
        finally:
            await made.close()

    return asyncio.run(run())


def failure(handler: Callable[..., Any], arguments: Mapping[str, Any], **how: Any) -> Failure:
    """Call a handler that fails, and say what a worker makes of it."""
    try:
        result = call(handler, arguments, **how)
    except Exception as error:  # noqa: BLE001 - what a worker would see
        return classify(error, now=Context.for_test(timeout=0).deadline)
    raise AssertionError(f"it did not fail: {result}")
