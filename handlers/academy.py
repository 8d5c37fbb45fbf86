"""The course platform: modules, videos, users, lessons."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, Field

from flowlang import Context, handler
from handlers.client import Bearer, call


class Module(BaseModel):
    id: str
    slug: str
    title: str


class Video(BaseModel):
    id: str
    state: str


class Attachment(BaseModel):
    module: str
    position: int


class Grant(BaseModel):
    id: str
    user_id: str


class Lesson(BaseModel):
    id: str
    slug: str
    title: str
    url: str


class Lessons(BaseModel):
    lessons: list[Lesson]
    total: int


@handler("academy.module", effect="pure", timeout="30s")
async def module(slug: str, ctx: Context) -> Module | None:
    """Load a module; None, so no output, when there is none of that slug."""
    try:
        return Module(**await _academy(ctx, "GET", "modules", slug))
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return None


@handler("academy.create_video", effect="keyed", timeout="30s")
async def create_video(
    title: str, asset_id: str, playback_id: str, ctx: Context, *, state: Literal["processing", "ready"] = "processing"
) -> Video:
    """Create the platform's record of a video."""
    fields = {"title": title, "asset_id": asset_id, "playback_id": playback_id, "state": state}
    return Video(**await _academy(ctx, "POST", "videos", json=fields, keyed=True))


@handler("academy.attach_video", effect="idempotent", timeout="30s")
async def attach_video(module_slug: str, video_id: str, ctx: Context) -> Attachment:
    """Put a video at the end of a module; one that is there stays where it is."""
    return Attachment(**await _academy(ctx, "PUT", "modules", module_slug, "videos", video_id))


@handler("academy.grant_lifetime", effect="idempotent", timeout="1m")
async def grant_lifetime(email: str, name: str, charge_id: str, ctx: Context) -> Grant:
    """Find or create the user and grant lifetime access; the charge's id makes it once."""
    user = await _academy(ctx, "POST", "users", json={"email": email, "name": name})
    return Grant(**await _academy(ctx, "PUT", "lifetime-grants", charge_id, json={"user_id": user["id"]}))


@handler("academy.lessons", effect="pure", timeout="1m")
async def lessons(ctx: Context, *, page: int = 1, size: Annotated[int, Field(ge=1, le=500)] = 200) -> Lessons:
    """List one page of the published lessons."""
    return Lessons(**await _academy(ctx, "GET", "lessons", params={"page": page, "size": size}))


async def _academy(ctx: Context, method: str, *path: str, **content: Any) -> Any:
    auth = Bearer(ctx.secrets["ACADEMY_API_KEY"])
    return await call(ctx, method, "ACADEMY_BASE_URL", ("api", *path), auth=auth, **content)
