"""What services and server have in common: a request, a reply, a route.

Owns matching a path to a route and reading bodies. It knows neither sockets nor any service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, parsed. `headers` have lower-case names; `body` is JSON data, or a form as a map of lists."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: Any = None
    params: Mapping[str, str] = field(default_factory=dict)  #: the named parts of the path

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a query parameter."""
        return self.query.get(name, [default])[-1]

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        """Return a query parameter as an integer within bounds.

        Raises:
            ServiceError: 400 when it is no such number.
        """
        text = self.one(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ServiceError(400, {"error": f"{name} must be a number from {low} to {high}, not {text!r}"})
        return int(text)

    def fields(self, **kinds: type) -> dict[str, Any]:
        """Return the required fields of a JSON body.

        Raises:
            ServiceError: 422 naming each field that is missing or of another type.
        """
        body = self.body if isinstance(self.body, dict) else {}
        wrong = [f"{name} must be {kind.__name__}" for name, kind in kinds.items() if type(body.get(name)) is not kind]
        if wrong:
            raise ServiceError(422, {"error": "; ".join(wrong)})
        return {name: body[name] for name in kinds}


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, a JSON body and further headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class ServiceError(Exception):
    """What a service answers in place of a result."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.reply = Reply(status, body, headers or {})


@dataclass(frozen=True, slots=True)
class Route:
    """A named place of a service. `pattern` is a path with parts such as `{id}`, which match one segment each."""

    name: str
    method: str
    pattern: str
    answer: Callable[[Request], Reply]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the named parts of the path, or None when this is another route's."""
        if method != self.method:
            return None
        parts, wanted = path.split("/"), self.pattern.split("/")
        if len(parts) != len(wanted):
            return None
        params = {}
        for part, want in zip(parts, wanted, strict=True):
            if want.startswith("{"):
                if not part:
                    return None
                params[want[1:-1]] = unquote(part)
            elif part != want:
                return None
        return params


def find(routes: Sequence[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the first route that takes the path, with the path's named parts."""
    for route in routes:
        params = route.match(method, path)
        if params is not None:
            return route, params
    return None


def parse(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Request:
    """Read a request's target and body.

    Raises:
        ServiceError: 400 for a body that is not what its type says, 415 for another type.
    """
    split = urlsplit(target)
    query = parse_qs(split.query, keep_blank_values=True)
    return Request(method, split.path, headers, query, _body(headers.get("content-type", ""), raw))


def _body(kind: str, raw: bytes) -> Any:
    if not raw:
        return None
    kind = kind.partition(";")[0].strip().lower()
    try:
        if kind == JSON_TYPE:
            return json.loads(raw)
        if kind == FORM_TYPE:
            return parse_qs(raw.decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise ServiceError(400, {"error": f"the body is no {kind}: {error}"}) from error
    raise ServiceError(415, {"error": f"send {JSON_TYPE} or {FORM_TYPE}, not {kind or 'a body without a type'}"})
