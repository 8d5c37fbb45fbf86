"""API keys: making, replacing and revoking them, and telling whose a text is.

A key is `flk_<id>_<secret>`. The id may be shown. The secret has 256 bits of chance, so nobody finds one by trying, and
its SHA-256 is as hard to turn round as the key is to guess: a slow hash helps only against secrets that people make up,
and would cost its time at every request. What is stored is the hash of the whole text.

The decisions are functions of all keys and the store's time. `KeyRing` holds a copy of all of them in the process, at
most `STALE_MS` old: a request needs no call of the store, and a revoked key is of no use after that time. What
looks like a key and is not in the copy may be a new one: then the store is asked again, at most every `NEW_MS`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from flowlang.clock import monotonic_ms, random_token
from flowlang.engine.ports import ApiKeyRow, Grants, Store
from flowlang.errors import FlowError
from flowlang.rates import RateError, parse_rate
from flowlang.service.answers import NotFoundError
from flowlang.service.callers import Caller, covers

#: A copy of the keys is used for so long after it was asked for; below the 5 s in which revoking has to work.
STALE_MS: Final = 4_000
#: A key that is not in a copy of this age may have been made since, milliseconds.
NEW_MS: Final = 500
#: How exactly it is told when a key was used, milliseconds.
USED_MS: Final = 60_000
#: Keys that expired so long ago are dropped when keys change, milliseconds.
FORGET_MS: Final = 30 * 86_400_000
#: So many there may be; each server keeps all of them.
MOST: Final = 10_000

PREFIX: Final = "flk"
_TEXT: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_[0-9a-f]{{64}}")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_EVENTS: Final = re.compile(r"\*|[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*(/\*)?")
_PIPELINES: Final = re.compile(r"\*|[a-z][a-z0-9-]*")

Rows = Mapping[str, ApiKeyRow]


class ApiKeyError(FlowError):
    """A key that cannot be made as it is asked for."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made.

    Args:
        row: As it is stored.
        text: What its holder sends; nobody can tell it later.
    """

    row: ApiKeyRow
    text: str


def make_key(
    name: str,
    grants: Grants,
    *,
    now_ms: int,
    token: Callable[[int], str],
    groups: tuple[str, ...] = (),
    expires_ms: int | None = None,
    rate: str | None = None,
) -> NewKey:
    """Make a key.

    Args:
        name: For people and for `allow`.
        grants: What it lets its holder do.
        now_ms: The store's time.
        token: Draws so many bytes of chance, as hex; `clock.random_token`.
        groups: Further names that `allow` may have.
        expires_ms: From when on it is of no use.
        rate: How much it may do, where that is not as the settings say.

    Raises:
        ApiKeyError: naming what is wrong, and what would be right.
    """
    for each in (name, *groups):
        if _NAME.fullmatch(each) is None:
            raise ApiKeyError(f"{each!r} is no name of a key or group: write small letters, digits and `-`")
    for pattern in grants.send:
        if _EVENTS.fullmatch(pattern) is None:
            raise ApiKeyError(f"{pattern!r} names no events: write such as `shop/order-placed`, `shop/*` or `*`")
    for pattern in (*grants.call, *grants.read, *grants.control, *grants.delete, *grants.reveal):
        if _PIPELINES.fullmatch(pattern) is None:
            raise ApiKeyError(f"{pattern!r} names no pipelines: write a pipeline's name, or `*`")
    unseen = [pattern for pattern in grants.reveal if not (grants.admin or covers(grants.read, pattern))]
    if unseen:
        raise ApiKeyError(
            f"the key would reveal runs of {', '.join(unseen)} that it may not look at: give --read with the same names"
        )
    if rate is not None:
        try:
            parse_rate(rate)
        except RateError as error:
            raise ApiKeyError(f"{error.message}; {error.hint}" if error.hint else error.message) from None
    if grants == Grants():
        raise ApiKeyError("the key would grant nothing: give --send, --call, --read, --control, --delete or --admin")
    ident = token(6)
    text = f"{PREFIX}_{ident}_{token(32)}"
    row = ApiKeyRow(ident, name, digest_of(text), grants, now_ms, groups, expires_ms, rate)
    return NewKey(row, text)


def with_new(rows: Rows, new: ApiKeyRow) -> Rows:
    """The keys with one more. Raises: ApiKeyError, when a usable one has its name."""
    if any(row.name == new.name and is_usable(row, new.created_ms) for row in rows.values()):
        raise ApiKeyError(f"there is a key {new.name!r}: choose another name, or `flowlang api-keys rotate {new.name}`")
    kept = {key: row for key, row in rows.items() if not _is_forgotten(row, new.created_ms)}
    if len(kept) >= MOST:
        raise ApiKeyError(f"there are {MOST} keys already; revoke those that nobody uses")
    return {**kept, new.id: new}


def with_successor(rows: Rows, new: ApiKeyRow, *, grace_ms: int) -> Rows:
    """The keys with a new one in the place of all with its name, which go on for a grace and no longer.

    Raises:
        NotFoundError: when no usable key has the name, as one that was revoked meanwhile.
    """
    end_ms = new.created_ms + grace_ms
    olds = [row for row in rows.values() if row.name == new.name and is_usable(row, new.created_ms)]
    if not olds:
        raise NotFoundError(f"no key {new.name!r} that could be replaced")
    ended = {
        row.id: msgspec.structs.replace(
            row, expires_ms=end_ms if row.expires_ms is None else min(row.expires_ms, end_ms)
        )
        for row in olds
    }
    return {**rows, **ended, new.id: new}


def without(rows: Rows, wanted: str) -> Rows:
    """The keys without those of a name or id. Raises: NotFoundError."""
    left = {key: row for key, row in rows.items() if wanted not in {row.id, row.name, f"{PREFIX}_{row.id}"}}
    if len(left) == len(rows):
        raise NotFoundError(f"no key {wanted!r}")
    return left


def is_usable(row: ApiKeyRow, now_ms: int) -> bool:
    """Whether a key has not expired."""
    return row.expires_ms is None or now_ms < row.expires_ms


def digest_of(text: str) -> str:
    """What is stored of a key's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def find(rows: Rows, text: str, digest: str, now_ms: int) -> ApiKeyRow | None:
    """The usable key that a text with this digest proves; None for any other, without a hint of why."""
    found = _TEXT.fullmatch(text)
    row = rows.get(found[1]) if found is not None else None
    expected = row.digest if row is not None else _NOBODYS
    proven = hmac.compare_digest(digest, expected)
    return row if proven and row is not None and is_usable(row, now_ms) else None


def caller_of(row: ApiKeyRow) -> Caller:
    """Who holds a key."""
    return Caller(frozenset({row.name, *row.groups}), row.grants, row.name, row.rate, row.id)


def _is_forgotten(row: ApiKeyRow, now_ms: int) -> bool:
    return row.expires_ms is not None and row.expires_ms + FORGET_MS < now_ms


#: Compared with where there is no key, so that the answer takes as long; the digest of no text that anybody knows.
_NOBODYS: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key in a list.

    Args:
        row: As it is stored.
        used_ms: When it was used last, to the minute; None: never.
        usable: Whether it has not expired.
    """

    row: ApiKeyRow
    used_ms: int | None
    usable: bool


class ApiKeys:
    """Making, replacing, revoking and listing keys of a store.

    Args:
        store: Where they are; its time counts.
        token: Draws so many bytes of chance, as hex.
    """

    def __init__(self, store: Store, *, token: Callable[[int], str] = random_token) -> None:
        self._store = store
        self._token = token

    def create(
        self,
        name: str,
        grants: Grants,
        *,
        groups: tuple[str, ...] = (),
        expires_in_ms: int | None = None,
        rate: str | None = None,
    ) -> NewKey:
        """Make a key; see `make_key`. Raises: ApiKeyError."""
        now_ms = self._store.now_ms()
        expires_ms = None if expires_in_ms is None else now_ms + expires_in_ms
        made = make_key(name, grants, now_ms=now_ms, token=self._token, groups=groups, expires_ms=expires_ms, rate=rate)
        self._store.amend_api_keys(lambda rows: with_new(rows, made.row))
        return made

    def rotate(self, name: str, *, grace_ms: int, expires_in_ms: int | None = None) -> NewKey:
        """Make a key in the place of another one, which goes on for a grace; it grants the same.

        Args:
            name: Of both.
            grace_ms: How long the old one may still be used.
            expires_in_ms: When the new one expires; None: after as long a life as the old one had, or never.

        Raises:
            NotFoundError: when there is no usable key of this name.
        """
        now_ms = self._store.now_ms()
        usable = [row for row in self._store.api_keys().values() if row.name == name and is_usable(row, now_ms)]
        if not usable:
            raise NotFoundError(f"no key {name!r} that could be replaced")
        old = max(usable, key=lambda row: row.created_ms)
        life_ms = None if old.expires_ms is None else old.expires_ms - old.created_ms
        life_ms = expires_in_ms if expires_in_ms is not None else life_ms
        made = make_key(
            name,
            old.grants,
            now_ms=now_ms,
            token=self._token,
            groups=old.groups,
            expires_ms=None if life_ms is None else now_ms + life_ms,
            rate=old.rate,
        )
        self._store.amend_api_keys(lambda rows: with_successor(rows, made.row, grace_ms=grace_ms))
        return made

    def revoke(self, wanted: str) -> None:
        """Make the keys of a name, or the one of an id, useless: within 5 s everywhere. Raises: NotFoundError."""
        self._store.amend_api_keys(lambda rows: without(rows, wanted))

    def all(self) -> list[ListedKey]:
        """All keys by name, the newest first."""
        now_ms, used = self._store.now_ms(), self._store.api_keys_used()
        rows = sorted(self._store.api_keys().values(), key=lambda row: (row.name, -row.created_ms))
        return [ListedKey(row, used.get(row.id), is_usable(row, now_ms)) for row in rows]


class KeyRing:
    """Tells whose a key is, from a copy of all keys. Thread-safe.

    Args:
        store: Where they are.
        dev_token: A text that may do everything: the one that `flowlang dev` has made for its own server.
        now_ms: A clock that never goes back.
    """

    def __init__(
        self, store: Store, *, dev_token: str | None = None, now_ms: Callable[[], float] = monotonic_ms
    ) -> None:
        self._store = store
        self._dev = None if dev_token is None else digest_of(dev_token)
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._callers: dict[str, Caller] = {}
        self._rows: Rows = {}
        self._read_ms = float("-inf")
        self._ahead_ms = 0.0  #: the store's time less ours
        self._used: dict[str, int] = {}
        self._noted: dict[str, int] = {}

    @property
    def is_stale(self) -> bool:
        """Whether `refresh` must be called before anybody is let in."""
        return self._now_ms() - self._read_ms >= STALE_MS

    def may_be_new(self, text: str) -> bool:
        """Whether a text that is no key of the copy may be one that was made since; then `refresh` with `NEW_MS`.

        Whoever makes up keys has the store asked once in this time, by all of them together.
        """
        found = _TEXT.fullmatch(text)
        return found is not None and found[1] not in self._rows and self._now_ms() - self._read_ms >= NEW_MS

    def refresh(self, age_ms: int = STALE_MS) -> None:
        """Read the keys anew if the copy is that old, and note which were used. Raises: StoreUnavailableError."""
        with self._lock:
            if self._now_ms() - self._read_ms < age_ms:
                return
            began_ms = self._now_ms()
            store_ms = self._store.now_ms()
            rows = self._store.api_keys()
            used = {
                key: at_ms
                for key, at_ms in dict(self._used).items()  # requests go on meanwhile
                if key in rows and at_ms - self._noted.get(key, -USED_MS) >= USED_MS
            }
            if used:
                self._noted = self._store.api_keys_used(used)
            self._rows, self._callers = rows, {}
            self._ahead_ms = store_ms - began_ms
            self._read_ms = began_ms
            self._used = {}

    def caller(self, text: str) -> Caller | None:
        """Who holds this key; None when it is none, or is not usable any more. Call `refresh` first when it is due."""
        digest = digest_of(text)
        if self._dev is not None and hmac.compare_digest(digest, self._dev):
            return DEVELOPER
        now_ms = int(self._now_ms() + self._ahead_ms)
        row = find(self._rows, text, digest, now_ms)
        if row is None:
            return None
        self._used[row.id] = now_ms
        known = self._callers.get(row.id)
        if known is None:
            known = self._callers[row.id] = caller_of(row)
        return known

    @property
    def is_empty(self) -> bool:
        """Whether nobody could be let in: there is neither a usable key nor a token of `flowlang dev`."""
        self.refresh()
        now_ms = int(self._now_ms() + self._ahead_ms)
        return self._dev is None and not any(is_usable(row, now_ms) for row in self._rows.values())


#: Whoever runs `flowlang dev`: the store is theirs.
DEVELOPER: Final = Caller(None, name="dev")
