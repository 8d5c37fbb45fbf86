"""Every key is spelt once and its end is accounted for."""

from __future__ import annotations

from flowlang.store.keys import FAMILY, PERMANENT, RUN, SINGLE, Keys, lua_table


def test_keys_carry_the_tag_of_their_partition() -> None:
    keys = Keys("shop", 7)

    assert keys.single("leases") == "shop:{p07}:leases"
    assert keys.family("ready", "slow") == "shop:{p07}:ready:slow"
    assert keys.all_of_run("r1")[:2] == ["shop:{p07}:run:r1", "shop:{p07}:run:r1:s"]


def test_no_two_names_make_the_same_key() -> None:
    texts = [*SINGLE.values(), *FAMILY.values(), *RUN.values()]

    assert len(set(texts)) == len(texts)


def test_every_key_that_exists_once_is_on_the_list_of_permanent_ones_with_a_reason() -> None:
    assert set(SINGLE) - set(PERMANENT) == set()
    assert set(PERMANENT) - set(SINGLE) - set(FAMILY) == set()
    assert all(PERMANENT.values())


def test_the_scripts_get_the_same_names() -> None:
    table = lua_table()

    assert "leases = BASE .. 'leases'" in table
    assert "by_status = BASE .. 'runs:s:'" in table
    assert "scopes = ':s'" in table
