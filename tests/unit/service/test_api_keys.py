"""API keys: what their text looks like, what is stored of it, who is let in by it, and until when."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.clock import ManualClock
from flowlang.engine.ports import ApiKeyRow, Grants
from flowlang.errors import StoreUnavailableError
from flowlang.service import ApiKeys, KeyRing, NotFoundError
from flowlang.service import api_keys as keys
from flowlang.service.api_keys import ApiKeyError, make_key
from flowlang.service.callers import Caller
from flowlang.store.memory import MemoryStore
from tests.access import DEV_TOKEN, made

DAY_MS = 86_400_000
SEND = Grants(send=("shop/*",))


class Desk:
    """A store with its time, and a server's copy of its keys."""

    def __init__(self, dev_token: str | None = None) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.keys = ApiKeys(self.store)
        self.monotonic = 0.0
        self.ring = KeyRing(self.store, dev_token=dev_token, now_ms=lambda: self.monotonic)

    def advance(self, by_ms: int) -> None:
        self.clock.advance(by_ms)
        self.monotonic += by_ms

    def whose(self, text: str) -> str | None:
        """The name of the key that a server takes a text for."""
        if self.ring.is_stale:
            self.ring.refresh()
        caller = self.ring.caller(text)
        return None if caller is None else caller.name


def test_a_key_has_256_bits_of_chance_and_none_of_it_is_stored() -> None:
    desk = Desk()
    texts = {desk.keys.create(f"k{n}", SEND).text for n in range(20)}
    assert len({text.rpartition("_")[2] for text in texts}) == 20
    for text in texts:
        assert re.fullmatch(r"flk_[0-9a-f]{12}_[0-9a-f]{64}", text)
        secret = text.rpartition("_")[2]
        assert secret not in repr(desk.store.api_keys())


@pytest.mark.parametrize(
    ("name", "grants", "groups", "said"),
    [
        ("Shop", SEND, (), "is no name of a key"),
        ("", SEND, (), "is no name of a key"),
        ("shop\n", SEND, (), "is no name of a key"),
        ("shop", SEND, ("Ops",), "is no name of a key or group"),
        ("shop", Grants(send=("shop*",)), (), "names no events"),
        ("shop", Grants(send=("*/x",)), (), "names no events"),
        ("shop", Grants(send=("shop/**",)), (), "names no events"),
        ("shop", Grants(call=("a/b",)), (), "names no pipelines"),
        ("shop", Grants(read=("bill-*",)), (), "names no pipelines"),
        ("shop", Grants(), ("ops",), "would grant nothing"),
        ("shop", Grants(read=("*",), reveal=("bill-*",)), (), "names no pipelines"),
        ("shop", Grants(reveal=("bill",)), (), "would reveal runs of bill that it may not look at"),
        ("shop", Grants(read=("ship",), reveal=("ship", "bill")), (), "would reveal runs of bill that it"),
        ("shop", Grants(read=("ship",), reveal=("*",)), (), r"would reveal runs of \* that it may not look at"),
    ],
)
def test_a_key_that_says_nothing_clear_is_not_made(
    name: str, grants: Grants, groups: tuple[str, ...], said: str
) -> None:
    desk = Desk()
    with pytest.raises(ApiKeyError, match=said):
        desk.keys.create(name, grants, groups=groups)
    assert desk.store.api_keys() == {}


def test_two_usable_keys_do_not_share_a_name_unless_one_replaces_the_other() -> None:
    desk = Desk()
    desk.keys.create("shop", SEND, expires_in_ms=10)
    with pytest.raises(ApiKeyError, match="choose another name"):
        desk.keys.create("shop", SEND)
    desk.advance(10)
    assert desk.whose(desk.keys.create("shop", SEND).text) == "shop"


def test_a_key_is_of_use_until_it_expires_by_the_stores_clock() -> None:
    desk = Desk()
    text = desk.keys.create("shop", SEND, expires_in_ms=1_000).text
    desk.advance(999)
    assert desk.whose(text) == "shop"
    desk.advance(1)
    assert desk.whose(text) is None


def test_a_revoked_key_is_of_no_use_within_five_seconds_on_every_server() -> None:
    desk = Desk()
    text = made(desk.store, admin=True)
    other = KeyRing(desk.store, now_ms=lambda: desk.monotonic)
    other.refresh()
    assert desk.whose(text) == "shop"
    desk.keys.revoke("shop")
    desk.advance(4_999)
    assert desk.whose(text) is None
    assert other.is_stale


@pytest.mark.parametrize("form", ["{0.name}", "{0.id}", "flk_{0.id}"])
def test_a_key_is_revoked_by_its_name_or_its_id(form: str) -> None:
    desk = Desk()
    row = desk.keys.create("shop", SEND).row
    made(desk.store, "other", admin=True)
    desk.keys.revoke(form.format(row))
    assert [each.row.name for each in desk.keys.all()] == ["other"]
    with pytest.raises(NotFoundError):
        desk.keys.revoke("shop")


def test_a_key_that_is_replaced_goes_on_for_a_grace_and_its_successor_grants_the_same() -> None:
    desk = Desk()
    old = desk.keys.create("shop", SEND, groups=("ops",), expires_in_ms=90 * DAY_MS)
    desk.advance(80 * DAY_MS)
    new = desk.keys.rotate("shop", grace_ms=DAY_MS)
    assert (new.row.grants, new.row.groups) == (SEND, ("ops",))
    assert new.row.expires_ms == desk.clock.now_ms() + 90 * DAY_MS
    assert (desk.whose(old.text), desk.whose(new.text)) == ("shop", "shop")
    desk.advance(DAY_MS)
    assert (desk.whose(old.text), desk.whose(new.text)) == (None, "shop")


def test_a_grace_makes_no_key_live_longer() -> None:
    desk = Desk()
    old = desk.keys.create("shop", SEND, expires_in_ms=1_000)
    desk.keys.rotate("shop", grace_ms=DAY_MS)
    desk.advance(1_000)
    assert desk.whose(old.text) is None


def test_a_key_that_is_revoked_while_it_is_replaced_stays_revoked() -> None:
    desk = Desk()
    row = desk.keys.create("shop", SEND).row
    new = make_key("shop", SEND, now_ms=desk.clock.now_ms(), token=lambda size: "0" * 2 * size).row
    desk.keys.revoke("shop")
    with pytest.raises(NotFoundError):
        desk.store.amend_api_keys(lambda rows: keys.with_successor(rows, new, grace_ms=DAY_MS))
    assert row.id not in desk.store.api_keys()


def test_keys_that_expired_long_ago_are_forgotten_with_the_next_one() -> None:
    desk = Desk()
    desk.keys.create("old", SEND, expires_in_ms=1)
    desk.advance(keys.FORGET_MS + 2)
    assert [each.row.name for each in desk.keys.all()] == ["old"]
    desk.keys.create("new", SEND)
    assert [each.row.name for each in desk.keys.all()] == ["new"]


def test_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST", 2)
    desk = Desk()
    made(desk.store, "a", admin=True)
    made(desk.store, "b", admin=True)
    with pytest.raises(ApiKeyError, match="revoke those that nobody uses"):
        desk.keys.create("c", SEND)


def test_it_is_noted_when_a_key_was_used_to_the_minute() -> None:
    desk = Desk()
    text = desk.keys.create("shop", SEND).text
    first = desk.clock.now_ms()
    used = []
    for _ in range(30):
        desk.whose(text)
        desk.advance(4_000)
        desk.ring.refresh()
        used.append(desk.keys.all()[0].used_ms)
    assert used[0] == first
    assert len(set(used)) <= 3


class Away(MemoryStore):
    """A store that does not answer."""

    def api_keys(self) -> dict[str, ApiKeyRow]:
        raise StoreUnavailableError("gone")


def test_a_new_key_is_taken_after_half_a_second_and_made_up_ones_ask_the_store_no_more_often() -> None:
    desk = Desk()
    desk.ring.refresh()
    text = desk.keys.create("shop", SEND).text
    assert not desk.ring.may_be_new(text)
    desk.advance(keys.NEW_MS)
    assert not desk.ring.may_be_new("flk_no_key")
    assert desk.ring.may_be_new(text)
    desk.ring.refresh(keys.NEW_MS)
    assert desk.whose(text) == "shop"
    assert not desk.ring.may_be_new(text)
    assert not desk.ring.may_be_new("flk_0123456789ab_" + "0" * 64)


def test_without_a_store_that_answers_nobody_is_let_in() -> None:
    ring = KeyRing(Away(ManualClock()), now_ms=lambda: 0.0)
    with pytest.raises(StoreUnavailableError):
        ring.refresh()
    assert ring.is_stale


def test_a_developers_token_is_one_text_and_no_other() -> None:
    desk = Desk(DEV_TOKEN)
    assert desk.whose(DEV_TOKEN) == "dev"
    assert desk.whose(DEV_TOKEN[:-1]) is None
    assert Desk().whose(DEV_TOKEN) is None


@given(st.text(max_size=100) | st.from_regex(r"\Aflk_[0-9a-f]{12}_[0-9a-f]{64}\Z") | st.just("é" * 81))
def test_no_other_text_is_a_key(text: str) -> None:
    desk = Desk(DEV_TOKEN)
    known = made(desk.store, admin=True)
    assert desk.whose(text) is None or text in {known, DEV_TOKEN}


@given(st.integers(0, 80), st.characters())
def test_a_key_with_one_letter_changed_is_none(at: int, letter: str) -> None:
    desk = Desk()
    text = made(desk.store, admin=True)
    changed = text[:at] + letter + text[at + 1 :]
    assert (desk.whose(changed) is not None) == (changed == text)


@pytest.mark.parametrize(
    ("granted", "name", "may"),
    [
        ((), "shop/order", False),
        (("*",), "shop/order", True),
        (("shop/*",), "shop/order", True),
        (("shop/*",), "shop/order/paid", True),
        (("shop/*",), "shop", False),
        (("shop/*",), "shopping/order", False),
        (("shop/order",), "shop/order", True),
        (("shop/order",), "shop/order/paid", False),
        (("shop/order",), "shop/ordered", False),
        (("a", "shop/order/*"), "shop/order/paid", True),
    ],
)
def test_a_key_grants_sending_what_it_names(granted: tuple[str, ...], name: str, may: bool) -> None:
    caller = Caller({"k"}, Grants(send=granted), "k")
    assert caller.may_send(name) is may
    assert [caller.may(act, name) for act in ("call", "read", "control")] == [False] * 3
