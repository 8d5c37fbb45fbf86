"""Handlers that give away all they know, in every way that handlers have."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from flowlang import Context, Permanent, Sensitive, Transient, handler

library = logging.getLogger("acme.cards")


class Receipt(BaseModel):
    """What a charge gives."""

    id: str
    token: Sensitive[str]


def _told(*values: Any) -> str:
    texts = [str(value) for value in values]
    return " ".join(
        [
            *texts,
            *map(quote, texts),
            *(base64.b64encode(f"u:{text}".encode()).decode() for text in texts),
            json.dumps(texts),
        ]
    )


@handler("cards.charge", effect="idempotent", retry={"attempts": 2, "initial": "1ms"})
def charge(card: Sensitive[dict[str, Any]], email: str, key: str, mode: str, ctx: Context) -> Receipt:
    """Charge a card, or fail as `mode` says."""
    told = _told(card["number"], card["pin"], email, key, ctx.secrets["OTHER_KEY"])
    library.warning("charging %s", told)
    ctx.logger.info("charging", extra={"card": card, "told": told})
    try:
        json.loads(told)
    except ValueError:
        library.exception("nothing of %s", told)
    match mode:
        case "bug":
            raise RuntimeError(f"cannot charge {told}") from ValueError(card)
        case "permanent":
            raise Permanent(f"refused: {told}", code=f"cards.{card['number']}")
        case "transient" if ctx.attempt == 1:
            raise Transient(f"busy with {told}")
        case "invalid":
            return Receipt.model_construct(id=card, token=email)  # type: ignore[arg-type]
        case _:
            pass
    return Receipt(id="r-1", token=ctx.env["TOKEN"])


@handler("cards.tell", effect="pure")
async def tell(person: Sensitive[str], text: str, ctx: Context) -> dict[str, str]:
    """Write somebody something."""
    ctx.logger.warning("telling %s: %s", person, text)
    return {"told": person}


@handler("cards.refund", effect="idempotent")
def refund(card: Sensitive[dict[str, Any]], key: str) -> None:
    """Give money back, and say so."""
    library.warning("refunding %s", _told(card["number"], card["pin"], key))
