"""The course platform's own API: modules, videos, users with their lifetime grants, lessons."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from tests.standin import keys
from tests.standin.services import bearer
from tests.standin.web import Reply, Request, Route, ServiceError

LESSONS = 200  #: published lessons of a fresh start
STATES = frozenset({"processing", "preparing", "ready", "errored"})


class Academy:
    """The platform with two modules and `LESSONS` lessons."""

    name = "academy"

    def __init__(self) -> None:
        self.routes = (
            Route("academy.module", "GET", "/academy/api/modules/{slug}", self._module),
            Route("academy.create_video", "POST", "/academy/api/videos", self._create_video),
            Route("academy.video", "GET", "/academy/api/videos/{id}", self._video),
            Route("academy.attach", "PUT", "/academy/api/modules/{slug}/videos/{id}", self._attach),
            Route("academy.user", "POST", "/academy/api/users", self._user),
            Route("academy.grant_lifetime", "PUT", "/academy/api/lifetime-grants/{charge_id}", self._grant),
            Route("academy.lessons", "GET", "/academy/api/lessons", self._list_lessons),
        )
        self._modules: dict[str, dict[str, Any]] = {}
        self._videos: dict[str, dict[str, Any]] = {}
        self._users: dict[str, dict[str, Any]] = {}
        self._grants: dict[str, dict[str, Any]] = {}
        self._lessons: list[dict[str, Any]] = []
        self.clear()

    def authorised(self, request: Request) -> bool:
        """The platform takes its key as a bearer token."""
        return bearer(request, keys.ACADEMY_API_KEY)

    def clear(self) -> None:
        """Go back to two modules, the lessons, and nobody enrolled."""
        for everything in (self._modules, self._videos, self._users, self._grants):
            everything.clear()
        self._lessons = [_lesson(number) for number in range(1, LESSONS + 1)]
        self.seed({"modules": [{"slug": "async-python"}, {"slug": "data-modelling"}]})

    def seed(self, data: Mapping[str, Any]) -> None:
        """Add `modules` and `users`, or replace all `lessons` by so many."""
        for module in data.get("modules", ()):
            slug = module["slug"]
            self._modules[slug] = {"id": f"mod_{slug}", "title": slug.replace("-", " ").title(), "videos": [], **module}
        for user in data.get("users", ()):
            self._users[user["email"]] = {"id": f"user_{len(self._users) + 1}", "name": "", **user}
        if "lessons" in data:
            self._lessons = [_lesson(number) for number in range(1, data["lessons"] + 1)]

    def state(self) -> dict[str, Any]:
        """Return modules, videos, users and grants."""
        everything = {"modules": self._modules, "videos": self._videos, "users": self._users, "grants": self._grants}
        return copy.deepcopy({**everything, "lessons": len(self._lessons)})

    def _module(self, request: Request) -> Reply:
        return Reply(200, _known(self._modules, request.params["slug"], "module"))

    def _create_video(self, request: Request) -> Reply:
        fields = request.fields(title=str, asset_id=str, playback_id=str, state=str)
        if fields["state"] not in STATES:
            raise ServiceError(422, {"error": f"state must be one of {', '.join(sorted(STATES))}"})
        video_id = f"video_{len(self._videos) + 1}"
        self._videos[video_id] = {"id": video_id, **fields}
        return Reply(201, self._videos[video_id])

    def _video(self, request: Request) -> Reply:
        return Reply(200, _known(self._videos, request.params["id"], "video"))

    def _attach(self, request: Request) -> Reply:
        module = _known(self._modules, request.params["slug"], "module")
        video = _known(self._videos, request.params["id"], "video")
        if video["id"] not in module["videos"]:
            module["videos"].append(video["id"])
        return Reply(200, {"module": module["slug"], "position": module["videos"].index(video["id"]) + 1})

    def _user(self, request: Request) -> Reply:
        """Find the user with this e-mail address, or make one: 200 or 201."""
        fields = request.fields(email=str, name=str)
        email = fields["email"].strip().lower()
        if "@" not in email:
            raise ServiceError(422, {"error": "email must be an address"})
        found = email in self._users
        user = self._users.setdefault(
            email, {"id": f"user_{len(self._users) + 1}", "email": email, "name": fields["name"]}
        )
        return Reply(200 if found else 201, user)

    def _grant(self, request: Request) -> Reply:
        """Give a user lifetime access for a charge, once a charge: 201, then 200; 409 for another user."""
        user_id = request.fields(user_id=str)["user_id"]
        if user_id not in {user["id"] for user in self._users.values()}:
            raise ServiceError(404, {"error": f"no such user: {user_id}"})
        charge = request.params["charge_id"]
        grant = self._grants.get(charge)
        if grant is not None and grant["user_id"] != user_id:
            raise ServiceError(409, {"error": f"the charge {charge} was used for another user"})
        if grant is not None:
            return Reply(200, grant)
        self._grants[charge] = {"id": f"grant_{len(self._grants) + 1}", "charge_id": charge, "user_id": user_id}
        return Reply(201, self._grants[charge])

    def _list_lessons(self, request: Request) -> Reply:
        page = request.number("page", 1, low=1, high=1_000_000)
        size = request.number("size", 50, low=1, high=500)
        part = self._lessons[(page - 1) * size : page * size]
        more = page * size < len(self._lessons)
        return Reply(200, {"lessons": part, "total": len(self._lessons), "next_page": page + 1 if more else None})


def _lesson(number: int) -> dict[str, Any]:
    slug = f"lesson-{number:03}"
    return {
        "id": f"les_{number}",
        "slug": slug,
        "title": f"Lesson {number}",
        "url": f"https://academy.example.com/lessons/{slug}",
    }


def _known(items: Mapping[str, dict[str, Any]], wanted: str, kind: str) -> dict[str, Any]:
    if wanted not in items:
        raise ServiceError(404, {"error": f"no such {kind}: {wanted}"})
    return items[wanted]
