"""What becomes of a request that is sent on to another place. Pure."""

from __future__ import annotations

from typing import Final

import httpx

from flowlang import Permanent

REDIRECTS: Final = "http.redirects"
URL: Final = "http.url"

STATUSES: Final = frozenset({301, 302, 303, 307, 308})

#: Headers that another origin may see; whatever else a step sends may be a key.
_HARMLESS: Final = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})
_OF_BODY: Final = frozenset({"content-type", "content-encoding", "content-language", "content-length"})
_MAX_URL: Final = 8_192


def checked_url(text: str) -> httpx.URL:
    """Read a URL that may be asked for.

    Raises:
        Permanent: with code `http.url`: it is none, not http or https, or has a user in it.
    """
    if len(text) > _MAX_URL:
        raise Permanent(f"the URL is longer than {_MAX_URL} characters", code=URL)
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise Permanent(f"it is no URL: {error}", code=URL) from None
    if url.scheme not in {"http", "https"}:
        raise Permanent(f"a URL begins with https:// or http://, this one with {url.scheme[:20]!r}", code=URL)
    if not url.raw_host:
        raise Permanent("the URL has no host", code=URL)
    if url.userinfo or "\\" in text:
        raise Permanent("a URL has neither a user nor a `\\`: a password is given by `auth`", code=URL)
    return url.copy_with(fragment=None)


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Whom a URL speaks to: scheme, host and port."""
    return url.scheme, url.raw_host.decode("ascii").lower(), port_of(url)


def port_of(url: httpx.URL) -> int:
    """The port that is connected to."""
    return url.port or (443 if url.scheme == "https" else 80)


def redirected(request: httpx.Request, status: int, location: str) -> httpx.Request:
    """Return the request that follows a redirect.

    Across origins only harmless headers go along: keys are for whom the step gave them to, and so is a body.

    Args:
        request: That was answered.
        status: Of the answer: one of `STATUSES`.
        location: Where to, as the answer has it.

    Raises:
        Permanent: it leads to no URL that may be asked for, or would carry a body to somebody else.
    """
    try:
        target = checked_url(str(request.url.join(location)))
    except (httpx.InvalidURL, ValueError):
        raise Permanent("the redirect leads to no URL", code=URL) from None
    elsewhere = origin(target) != origin(request.url)
    safe = request.method in {"GET", "HEAD"}
    dropped = status == httpx.codes.SEE_OTHER or (status in {301, 302} and request.method == "POST")
    method = "GET" if dropped and request.method != "HEAD" else request.method
    content = b"" if dropped else request.content
    if elsewhere and not (safe or dropped):
        raise Permanent(
            f"{request.method} would be sent on from {request.url.host!r} to {target.host!r}: ask there at once,"
            " if that is meant",
            code=REDIRECTS,
        )
    headers = [
        (name, value)
        for name, value in request.headers.multi_items()
        if name != "host" and (not elsewhere or name in _HARMLESS) and (content or name not in _OF_BODY)
    ]
    return httpx.Request(method, target, headers=headers, content=content or None)
