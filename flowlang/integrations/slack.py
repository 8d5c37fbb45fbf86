"""`slack.post`: a message to a channel, by a bot's token or by an incoming webhook.

Read from the environment, or from the files that `NAME_FILE` names: `SLACK_BOT_TOKEN`, or `SLACK_WEBHOOK_URL`, which
has one channel of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flowlang import Context, FlowError, Permanent, Resource, RetryAfter, Transient, handler
from flowlang.integrations.client import outbound

if TYPE_CHECKING:
    from flowlang.integrations.outbound.client import Reply

API: Final = "https://slack.com/api"
MAX_BYTES: Final = 256 * 1024

#: Refusals of Slack that pass; all others are for good.
_PASSING: Final = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org", "rollup_error"}
)
_LIMITED: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_AFTER_S: Final = 30.0  #: when Slack says that it is too much, and not for how long


@dataclass(frozen=True, slots=True)
class Posted:
    """The message: its channel's id and its own; an incoming webhook tells neither."""

    channel: str | None
    ts: str | None


# Slack takes no idempotency key. A message that comes twice does no harm, and one that never comes might.
@handler("slack.post", effect="idempotent", timeout="30s")
async def post(
    text: str,
    ctx: Context,
    *,
    channel: str | None = None,
    thread_ts: str | None = None,
    blocks: list[dict[str, Any]] | None = None,
) -> Posted:
    """Post a message.

    Args:
        text: In Slack's mark-up; with `blocks`, what notifications show.
        ctx: The attempt.
        channel: Name or id; needed with `SLACK_BOT_TOKEN`, and not taken by an incoming webhook.
        thread_ts: The message that this one answers.
        blocks: Slack's blocks.
    """
    message = {"channel": channel, "text": text, "thread_ts": thread_ts, "blocks": blocks}
    message = {name: value for name, value in message.items() if value is not None}
    token = ctx.secrets.get("SLACK_BOT_TOKEN")
    hook = ctx.secrets.get("SLACK_WEBHOOK_URL")
    if token is not None and (channel is not None or hook is None):
        if channel is None:
            raise Permanent("a bot posts to a `channel`: say which", code="slack.no_channel")
        url = f"{ctx.env.get('SLACK_API_URL', API).rstrip('/')}/chat.postMessage"
        return _posted(await _send(ctx, url, message, {"authorization": f"Bearer {token}"}))
    if hook is None:
        raise Permanent("set SLACK_BOT_TOKEN, or SLACK_WEBHOOK_URL", code="secret.missing")
    if channel is not None:
        raise Permanent(
            "an incoming webhook has a channel of its own: leave `channel` out, or set SLACK_BOT_TOKEN",
            code="slack.channel",
        )
    reply = await _send(ctx, hook, message, {})
    said = reply.body[:100].decode("utf-8", "replace").strip()
    if said != "ok" or reply.status != 200:
        raise _refused(said if said.replace("_", "").isalnum() else "http", reply)
    return Posted(None, None)


async def _send(ctx: Context, url: str, message: Any, headers: dict[str, str]) -> Reply:
    import httpx  # noqa: PLC0415 - only what makes requests loads it

    from flowlang.integrations.outbound.redirects import checked_url  # noqa: PLC0415 - the same

    client = await ctx.resource(outbound)
    body = json.dumps(message, ensure_ascii=False).encode("utf-8")
    about = {"content-type": "application/json; charset=utf-8", **headers}
    request = httpx.Request("POST", checked_url(url), content=body, headers=about)
    reply = await client.send(request, seconds=ctx.remaining(), max_bytes=MAX_BYTES)
    if reply.status == 429 or reply.status >= 500:
        raise reply.error()
    return reply


def _posted(reply: Reply) -> Posted:
    try:
        answer = json.loads(reply.body)
        accepted = answer["ok"]
    except (ValueError, KeyError, TypeError):
        raise (
            reply.error()
            if reply.status >= 300
            else Transient("Slack's answer is none that Slack gives", code="slack.answer")
        ) from None
    if accepted is True:
        return Posted(str(answer["channel"]) if "channel" in answer else None, str(answer.get("ts", "")) or None)
    raise _refused(str(answer.get("error", "unknown"))[:100], reply)


def _refused(code: str, reply: Reply) -> FlowError:
    """The error of a refusal, which Slack sends with status 200 as well."""
    name = f"slack.{code}"
    message = f"Slack refused the message: {code}"
    if code in _LIMITED:
        return RetryAfter(_after(reply), message, code=name)
    if code in _PASSING:
        return Resource(message, code=name)
    return Permanent(message, code=name)


def _after(reply: Reply) -> float:
    value = reply.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 9 else _AFTER_S
