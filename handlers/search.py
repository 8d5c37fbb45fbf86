"""The search engine's index."""

from __future__ import annotations

from flowlang import Context, handler
from handlers.client import Bearer, call


@handler("search.notify", effect="idempotent", timeout="30s")
async def notify(url: str, ctx: Context) -> None:
    """Ask the search engine to read a page again."""
    auth = Bearer(ctx.secrets["SEARCH_API_KEY"])
    await call(ctx, "POST", "SEARCH_BASE_URL", ("v1", "notifications"), auth=auth, json={"url": url})
