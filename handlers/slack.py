"""Slack messages."""

from __future__ import annotations

from flowlang import Context, Permanent, handler
from handlers.client import Bearer, call


# Slack takes no idempotency key. A message that comes twice does no harm, and one that never comes might.
@handler("slack.post", effect="idempotent", timeout="30s")
async def post(channel: str, text: str, ctx: Context) -> None:
    """Post a message to a channel."""
    auth = Bearer(ctx.secrets["SLACK_BOT_TOKEN"])
    fields = {"channel": channel, "text": text}
    answer = await call(ctx, "POST", "SLACK_BASE_URL", ("api", "chat.postMessage"), auth=auth, json=fields)
    if not answer["ok"]:  # Slack refuses with status 200
        raise Permanent(f"Slack refused the message to {channel!r}: {answer['error']}", code=f"slack.{answer['error']}")
