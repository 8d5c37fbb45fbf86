"""API keys on every backend: rows come back as they were, and a change of them is one step."""

from __future__ import annotations

import msgspec
import pytest

from flowlang.engine.ports import ApiKeyRow, Grants
from flowlang.service import ApiKeys, NotFoundError
from flowlang.store.redis import RedisStore
from tests.contract.rig import Rig

GRANTS = Grants(
    send=("shop/*", "a"), call=("p",), read=("*",), control=("p", "q"), delete=("q",), admin=True, reveal=("p",)
)
ROW = ApiKeyRow("0123456789ab", "shop", "d" * 64, GRANTS, 5, ("ops",), 7, "100/s")


def test_a_key_comes_back_as_it_was_and_one_that_is_left_out_is_gone(rig: Rig) -> None:
    plain = msgspec.structs.replace(ROW, id="ba9876543210", grants=Grants(), groups=(), expires_ms=None, rate=None)
    rig.store.amend_api_keys(lambda rows: {**rows, ROW.id: ROW, plain.id: plain})
    assert rig.store.api_keys() == {ROW.id: ROW, plain.id: plain}
    rig.store.amend_api_keys(lambda rows: {key: row for key, row in rows.items() if key != plain.id})
    assert rig.store.api_keys() == {ROW.id: ROW}


def test_when_a_key_was_used_is_forgotten_with_it(rig: Rig) -> None:
    rig.store.amend_api_keys(lambda rows: {**rows, ROW.id: ROW})
    assert rig.store.api_keys_used({ROW.id: 17}) == {ROW.id: 17}
    assert rig.store.api_keys_used() == {ROW.id: 17}
    rig.store.amend_api_keys(lambda _: {})
    assert rig.store.api_keys_used() == {}


def test_a_change_that_is_refused_changes_nothing(rig: Rig) -> None:
    keys = ApiKeys(rig.store)
    keys.create("shop", GRANTS)
    before = rig.store.api_keys()
    with pytest.raises(NotFoundError):
        keys.revoke("other")
    assert rig.store.api_keys() == before


def test_a_change_that_another_one_overtook_is_made_anew(redis_store: RedisStore) -> None:
    seen = []

    def change(rows: object) -> dict[str, ApiKeyRow]:
        assert isinstance(rows, dict)
        seen.append(sorted(rows))
        if len(seen) == 1:  # somebody else is faster
            redis_store.amend_api_keys(lambda _: {ROW.id: ROW})
        return {**rows, "mine": msgspec.structs.replace(ROW, id="mine")}

    redis_store.amend_api_keys(change)
    assert seen == [[], [ROW.id]]
    assert sorted(redis_store.api_keys()) == [ROW.id, "mine"]
    redis_store.amend_api_keys(lambda _: {})
