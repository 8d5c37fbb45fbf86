"""Mux: video assets."""

from __future__ import annotations

import httpx
from pydantic import BaseModel

from flowlang import Context, handler
from handlers.client import call


class Asset(BaseModel):
    id: str
    status: str
    playback_id: str


@handler("mux.create_asset", effect="keyed", timeout="2m")
async def create_asset(url: str, ctx: Context, *, passthrough: str = "") -> Asset:
    """Let Mux fetch and encode a video; it can be played in public under the playback id."""
    auth = httpx.BasicAuth(ctx.secrets["MUX_TOKEN_ID"], ctx.secrets["MUX_TOKEN_SECRET"])
    order = {"input": [{"url": url}], "playback_policy": ["public"], "passthrough": passthrough}
    answer = await call(ctx, "POST", "MUX_BASE_URL", ("video", "v1", "assets"), auth=auth, json=order, keyed=True)
    data = answer["data"]
    return Asset(id=data["id"], status=data["status"], playback_id=data["playback_ids"][0]["id"])
