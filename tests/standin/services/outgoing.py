"""The services that only take something: transcripts, search, mail, Slack. They keep what they took."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tests.standin import keys
from tests.standin.services import bearer
from tests.standin.web import Reply, Request, Route, ServiceError

MEDIA = frozenset({".mp4", ".mov", ".m4v", ".webm", ".mp3"})  #: what the transcript service can read
CHANNELS = frozenset({"monitoring", "sales", "ops"})  #: of the Slack workspace


class _Taking:
    """A service with one route that keeps what it is sent."""

    def __init__(self, name: str, token: str, route: str, path: str, take: Callable[[Request, int], Reply]) -> None:
        self.name = name
        self.routes = (Route(f"{name}.{route}", "POST", f"/{name}{path}", self._answer),)
        self._token = token
        self._take = take
        self._taken: list[Any] = []

    def authorised(self, request: Request) -> bool:
        return bearer(request, self._token)

    def clear(self) -> None:
        self._taken.clear()

    def seed(self, data: Mapping[str, Any]) -> None:
        self._taken += data.get("taken", ())

    def state(self) -> dict[str, Any]:
        return {"taken": copy.deepcopy(self._taken)}

    def _answer(self, request: Request) -> Reply:
        reply = self._take(request, len(self._taken) + 1)
        if reply.body.get("ok", True):
            self._taken.append(request.body)
        return reply


def transcripts() -> _Taking:
    """Orders of transcripts."""
    return _Taking("transcripts", keys.TRANSCRIPTS_API_KEY, "order", "/v1/orders", _order)


def search() -> _Taking:
    """Addresses that a search engine should read again."""
    return _Taking("search", keys.SEARCH_API_KEY, "notify", "/v1/notifications", _notify)


def mail() -> _Taking:
    """Mails to send."""
    return _Taking("mail", keys.MAIL_API_KEY, "send", "/v1/messages", _send)


def slack() -> _Taking:
    """Messages to channels; like Slack it answers 200 to what it refuses."""
    return _Taking("slack", keys.SLACK_BOT_TOKEN, "post", "/api/chat.postMessage", _post)


def _order(request: Request, number: int) -> Reply:
    fields = request.fields(media_url=str, reference=str)
    if PurePosixPath(urlsplit(fields["media_url"]).path).suffix.lower() not in MEDIA:
        raise ServiceError(422, {"error": "unsupported_media", "supported": sorted(MEDIA)})
    return Reply(201, {"id": f"order_{number}", "status": "ordered", "reference": fields["reference"]})


def _notify(request: Request, number: int) -> Reply:
    url = request.fields(url=str)["url"]
    if not url.startswith("https://"):
        raise ServiceError(400, {"error": "url must start with https://"})
    return Reply(202, {"id": f"notification_{number}"})


def _send(request: Request, number: int) -> Reply:
    fields = request.fields(to=str, subject=str, text=str)
    if "@" not in fields["to"]:
        raise ServiceError(422, {"error": "to must be an address"})
    return Reply(202, {"id": f"mail_{number}"})


def _post(request: Request, number: int) -> Reply:
    fields = request.fields(channel=str, text=str)
    if fields["channel"] not in CHANNELS:
        return Reply(200, {"ok": False, "error": "channel_not_found"})
    return Reply(200, {"ok": True, "channel": fields["channel"], "ts": f"1700000000.{number:06}"})
