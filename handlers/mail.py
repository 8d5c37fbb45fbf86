"""E-mail, through the mail service's HTTP API."""

from __future__ import annotations

from pydantic import BaseModel

from flowlang import Context, handler
from handlers.client import Bearer, call


class Sent(BaseModel):
    id: str


@handler("mail.send", effect="keyed", timeout="1m")
async def send(to: str, subject: str, text: str, ctx: Context) -> Sent:
    """Send a mail of plain text."""
    auth = Bearer(ctx.secrets["MAIL_API_KEY"])
    message = {"to": to, "subject": subject, "text": text}
    return Sent(**await call(ctx, "POST", "MAIL_BASE_URL", ("v1", "messages"), auth=auth, json=message, keyed=True))
