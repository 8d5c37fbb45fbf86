"""`log`: a line in the log of the worker."""

from __future__ import annotations

import json
import logging
from typing import Any, Final, Literal

from flowlang import Context, handler

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@handler("log", effect="idempotent", timeout="10s")
def log(
    message: str,
    ctx: Context,
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    fields: dict[str, Any] | None = None,
) -> None:
    """Write a line to the log; it names the run, the step and the attempt.

    Args:
        message: What to say. Signs that cannot be printed are escaped, so that nobody can forge a line.
        ctx: The attempt.
        level: How important it is.
        fields: More to say, as JSON.
    """
    logger = ctx.logger.logger
    extra: dict[str, Any] = dict(ctx.logger.extra or {})
    if fields:
        extra["fields"] = _printable(ctx.secrets.redact(json.dumps(fields, ensure_ascii=False)))
    logger.log(_LEVELS[level], "%s", _printable(ctx.secrets.redact(message)), extra=extra)


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
