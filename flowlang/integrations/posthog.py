"""`posthog.capture`: an event for PostHog, counted once however often it is sent.

Read from the environment, or from the file that `POSTHOG_KEY_FILE` names: `POSTHOG_KEY`, the project's key; and
`POSTHOG_HOST`, the service's address.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

from pydantic import AwareDatetime

from flowlang import Context, handler
from flowlang.integrations.client import outbound

HOST: Final = "https://us.i.posthog.com"
MAX_BYTES: Final = 64 * 1024

#: The name space of the ids that events get here.
_SPACE: Final = uuid.UUID("5a0f1ad1-6a38-5b0f-9d5c-2f1b7c1f2a55")


@dataclass(frozen=True, slots=True)
class Captured:
    """The id under which PostHog has the event."""

    uuid: str


@handler("posthog.capture", effect="keyed", timeout="30s")
async def capture(
    event: str,
    distinct_id: str,
    ctx: Context,
    *,
    properties: dict[str, Any] | None = None,
    timestamp: AwareDatetime | None = None,
) -> Captured:
    """Send an event.

    Its id follows from the step, so PostHog counts it once when an attempt is repeated. PostHog compares the day too:
    give `timestamp`, such as `${{ event.time }}`, where a repetition may come a day later.

    Args:
        event: Its name.
        distinct_id: Whose it is.
        ctx: The attempt.
        properties: Anything about it.
        timestamp: When it happened; when it arrives, by default.
    """
    import httpx  # noqa: PLC0415 - only what makes requests loads it

    from flowlang.integrations.outbound.redirects import checked_url  # noqa: PLC0415 - the same

    captured = Captured(str(uuid.uuid5(_SPACE, ctx.idempotency_key)))
    body: dict[str, Any] = {
        "api_key": ctx.secrets["POSTHOG_KEY"],
        "event": event,
        "distinct_id": distinct_id,
        "properties": {"$lib": "flowlang", **(properties or {})},
        "uuid": captured.uuid,
    }
    if timestamp is not None:
        body["timestamp"] = timestamp.isoformat()
    url = checked_url(f"{ctx.env.get('POSTHOG_HOST', HOST).rstrip('/')}/i/v0/e/")
    content = json.dumps(body, ensure_ascii=False).encode("utf-8")
    request = httpx.Request("POST", url, content=content, headers={"content-type": "application/json"})
    client = await ctx.resource(outbound)
    reply = await client.send(request, seconds=ctx.remaining(), max_bytes=MAX_BYTES)
    if not 200 <= reply.status <= 299:
        raise reply.error()
    return captured
