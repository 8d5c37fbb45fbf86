"""The service that writes transcripts."""

from __future__ import annotations

import httpx
from pydantic import BaseModel

from flowlang import Context, Permanent, handler
from handlers.client import Bearer, call


class Order(BaseModel):
    id: str
    status: str


@handler("transcripts.order", effect="keyed", timeout="1m")
async def order(media_url: str, reference: str, ctx: Context) -> Order:
    """Order a transcript; the reference comes back with it."""
    auth = Bearer(ctx.secrets["TRANSCRIPTS_API_KEY"])
    fields = {"media_url": media_url, "reference": reference}
    try:
        data = await call(ctx, "POST", "TRANSCRIPTS_BASE_URL", ("v1", "orders"), auth=auth, json=fields, keyed=True)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            message = "the transcript service cannot read this kind of file"
            raise Permanent(message, code="transcripts.unsupported_media") from error
        raise
    return Order(**data)
