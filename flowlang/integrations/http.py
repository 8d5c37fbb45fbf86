"""`http.request`: one request to a service, within bounds, and only to where the workers may connect."""

from __future__ import annotations

import base64
import codecs
import json as json_text
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from flowlang import Context, Permanent, Sensitive, Transient, __version__, handler
from flowlang.integrations.client import outbound

if TYPE_CHECKING:
    import httpx

    from flowlang.integrations.outbound.client import Reply

MAX_BYTES: Final = 1024 * 1024  #: of an answer, unless the step says otherwise
MOST_BYTES: Final = 16 * 1024 * 1024  #: that a step may ask for
FOLLOWED: Final = 3  #: redirects that a step may ask to follow

#: Headers of an answer that later steps see, unless the step says otherwise.
KEPT: Final = ("content-type", "etag", "last-modified", "link", "location")

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_TEXT: Final = re.compile(r"text/.*|application/(.*[+.-])?(xml|json|javascript|yaml|x-www-form-urlencoded|x-ndjson)")
_JSON: Final = re.compile(r"(application|text)/(.*\+)?json")
_LONGEST_INTEGER: Final = 2**63

Scalar = str | int | float | bool | None


class Auth(BaseModel):
    """Who we are: a token, or a user with a password."""

    model_config = ConfigDict(extra="forbid")

    bearer: Sensitive[str] | None = None
    user: str | None = None
    password: Sensitive[str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered.

    Attributes:
        status: HTTP status.
        headers: The chosen ones that were there, names in lower case.
        json: The body, when it says that it is JSON.
        text: The body, when it is text of any kind.
        base64: The body, when it is not.
    """

    status: int
    headers: dict[str, str]
    json: Any
    text: str | None
    base64: str | None


@handler("http.request", effect="keyed", timeout="1m")
async def request(
    url: str,
    ctx: Context,
    *,
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET",
    path: list[str | int] | None = None,
    query: dict[str, Scalar | list[Scalar]] | None = None,
    headers: dict[str, str] | None = None,
    json: Any = None,
    form: dict[str, Scalar] | None = None,
    body: str | None = None,
    auth: Auth | None = None,
    expect: list[int] | None = None,
    keep: list[str] | None = None,
    follow: Annotated[int, Field(ge=0, le=FOLLOWED)] = 0,
    max_bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)] = MAX_BYTES,
    idempotency_header: str = "Idempotency-Key",
) -> Answer:
    """Send one HTTP request, and give the answer.

    Requests that change something carry the step's idempotency key, the same in every attempt.

    Args:
        url: Where to: `https://host/path`.
        ctx: The attempt; its deadline bounds the whole request.
        method: HTTP method.
        path: Segments that are put behind the path of `url`, each quoted; for parts that come from events.
        query: Parameters, quoted; one that is null is left out, a list gives one for each of its values.
        headers: To send.
        json: Body, sent as JSON.
        form: Body, sent as a form.
        body: Body, sent as it is.
        auth: `bearer`, or `user` and `password`.
        expect: Statuses that are no failure; all from 200 to 299 by default.
        keep: Headers of the answer to give.
        follow: Redirects to follow.
        max_bytes: Longest answer.
        idempotency_header: Header that carries the idempotency key; empty for none.
    """
    import httpx  # noqa: PLC0415 - only what makes requests loads it

    given = {"user-agent": f"flowlang/{__version__}", "accept": "*/*", "accept-encoding": "gzip, deflate"}
    if body is not None:
        given["content-type"] = "text/plain; charset=utf-8"
    if method not in _SAFE and idempotency_header:
        given[_checked_name(idempotency_header)] = ctx.idempotency_key
    chosen = _headers(headers or {}, auth)
    given |= chosen if "traceparent" in chosen else {**ctx.trace_headers, **chosen}
    prepared = httpx.Request(method, _target(url, path or [], query or {}), headers=given, **_content(json, form, body))
    client = await ctx.resource(outbound)
    reply = await client.send(prepared, seconds=ctx.remaining(), max_bytes=max_bytes, follow=follow)
    if reply.status not in expect if expect is not None else not 200 <= reply.status <= 299:
        raise reply.error()
    wanted = KEPT if keep is None else tuple(name.lower() for name in keep)
    return _answer(reply, wanted)


def _target(url: str, path: list[str | int], query: Mapping[str, Scalar | list[Scalar]]) -> httpx.URL:
    from flowlang.integrations.outbound.redirects import checked_url  # noqa: PLC0415 - only what makes requests loads it

    target = checked_url(url)
    if path:
        segments = "/".join(quote(_segment(part), safe="") for part in path)
        raw, mark, params = target.raw_path.decode("ascii").partition("?")
        target = target.copy_with(raw_path=f"{raw.rstrip('/')}/{segments}{mark}{params}".encode("ascii"))
    for name, value in query.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                target = target.copy_add_param(name, _plain(each))
    return target


def _content(json: Any, form: Mapping[str, Scalar] | None, body: str | None) -> dict[str, Any]:
    """The body, as httpx takes it."""
    if sum(part is not None for part in (json, form, body)) > 1:
        raise Permanent("a request has one body: `json`, `form` or `body`", code="http.body")
    if json is not None:
        return {"json": json}
    if form is not None:
        return {"data": {name: _plain(value) for name, value in form.items() if value is not None}}
    return {} if body is None else {"content": body.encode("utf-8")}


def _segment(part: str | int) -> str:
    """A segment of a path that cannot lead to another place."""
    text = str(part)
    if text in {"", ".", ".."}:
        raise Permanent(f"{text!r} is no segment of a path: it would lead to another place", code="http.url")
    return text


def _plain(value: str | float | bool) -> str:
    return json_text.dumps(value) if isinstance(value, bool | int | float) else value


def _headers(given: Mapping[str, str], auth: Auth | None) -> dict[str, str]:
    headers = {}
    for name, value in given.items():
        if not value.isprintable() or not value.isascii():
            raise Permanent(f"the value of the header {name!r} has signs that no header has", code="http.header")
        headers[_checked_name(name)] = value.strip()
    if auth is not None:
        headers["authorization"] = _authorization(auth)
    return headers


def _checked_name(name: str) -> str:
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        raise Permanent(f"{name[:100]!r} is no header that a step may set", code="http.header")
    return name.lower()


def _authorization(auth: Auth) -> str:
    if auth.bearer is not None and auth.user is None and auth.password is None:
        if not auth.bearer.isascii() or not auth.bearer.isprintable() or not auth.bearer:
            raise Permanent("`auth.bearer` is no token", code="http.header")
        return f"Bearer {auth.bearer}"
    if auth.bearer is None and auth.user is not None:
        if ":" in auth.user:
            raise Permanent("`auth.user` may have no `:`", code="http.header")
        return "Basic " + base64.b64encode(f"{auth.user}:{auth.password or ''}".encode()).decode("ascii")
    raise Permanent("`auth` has either `bearer`, or `user` and `password`", code="http.header")


def _answer(reply: Reply, keep: tuple[str, ...]) -> Answer:
    headers = {name: reply.headers[name] for name in keep if name in reply.headers}
    kind, _, options = reply.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    parsed = text = encoded = None
    if not reply.body:
        pass
    elif _JSON.fullmatch(kind):
        parsed = _parsed(reply.body)
    elif _TEXT.fullmatch(kind):
        text = _decoded(reply.body, options)
    else:
        encoded = base64.b64encode(reply.body).decode("ascii")
    return Answer(reply.status, headers, parsed, text, encoded)


def _decoded(body: bytes, options: str) -> str:
    found = re.search(r"charset=\"?([A-Za-z0-9_.:-]{1,40})", options)
    try:
        return body.decode(codecs.lookup(found[1]).name if found else "utf-8", "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def _parsed(body: bytes) -> Any:
    """Read JSON as JSON is: without NaN; integers that no other program takes become what those make of them."""
    try:
        return json_text.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_int=_integer)
    except (ValueError, RecursionError):
        raise Transient("the answer says that it is JSON, and is none", code="http.body") from None


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _integer(text: str) -> int | float:
    number = int(text)
    return number if -_LONGEST_INTEGER <= number < _LONGEST_INTEGER else float(number)
