"""Published deliveries with what is published of them: valid or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from flowlang.plan import WebhookOptions
from flowlang.server.signatures import SCHEMES, Context, Verdict, Verified

VECTORS = Path("../shared/webhook-vectors.json")
_NOW = 1_700_000_000  #: where the scheme has no time


def vectors() -> list[dict[str, Any]]:
    """All of them; none where the file is not here."""
    return json.loads(VECTORS.read_text(encoding="utf-8")) if VECTORS.exists() else []


def verdict(case: dict[str, Any]) -> Verdict:
    """What we say of one."""
    scheme = SCHEMES[case["provider"]]
    keys = [scheme.load_secret(text) for text in case.get("secrets", [case["secret"]])]
    headers = {name.lower(): value for name, value in case["headers"].items()}
    url = urlsplit(case.get("url", ""))
    options = msgspec.convert(case.get("options", {}), WebhookOptions)
    options = msgspec.structs.replace(options, url=url._replace(query="").geturl())
    now_s = _NOW if case["now"] is None else case["now"]
    return scheme.verify(headers, case["body"].encode(), keys, now_s, Context(options, url.query))


def wrong(cases: list[dict[str, Any]]) -> list[str]:
    """The ids of those that are judged otherwise than published."""
    return [case["id"] for case in cases if isinstance(verdict(case), Verified) is not case["valid"]]
