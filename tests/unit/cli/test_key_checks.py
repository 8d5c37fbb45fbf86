"""What `doctor` says of keys: each case with its judgement."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.bootstrap import Health
from flowlang.cli.key_checks import keys_checks
from flowlang.engine.ports import KeyUse
from flowlang.keyring import Keyring
from flowlang.settings import Settings

ONE, TWO = bytes(range(32)), bytes(range(1, 33))
RING = Keyring({2: TWO, 1: ONE})
SAME = RING.marks()


def judged(use: dict[int, int], keyrings: dict[str, tuple[str, ...]], **settings: Any) -> dict[str, tuple[str, str]]:
    health = Health({}, 0, None, same_server=False, keyrings=keyrings, key_use=KeyUse(use, 9, complete=True))
    found = keys_checks(health, Settings(**{"encryption_keys": RING, **settings}))
    return {check.name: (check.status, check.message) for check in found}


@pytest.mark.parametrize(
    ("use", "settings", "status", "message"),
    [
        ({2: 5}, {}, "ok", "key 2 closes"),
        ({0: 1, 2: 5}, {}, "ok", "1 payload from before are not encrypted"),
        ({0: 1, 2: 5}, {"encryption_plain": "refuse"}, "fail", "1 payload not encrypted"),
        ({1: 4, 2: 5}, {}, "warn", "4 payloads under older keys"),
        ({2: 5, 7: 3}, {}, "fail", "need key 7 (3), which is not configured"),
        ({0: 5}, {"encryption_keys": Keyring()}, "ok", "no key is configured"),
        ({0: 5, 1: 2}, {"encryption_keys": Keyring()}, "fail", "need key 1 (2)"),
    ],
)
def test_what_is_stored_is_judged_by_the_keys_here(
    use: dict[int, int], settings: dict[str, Any], status: str, message: str
) -> None:
    found = judged(use, {}, **settings)["encryption"]
    assert found[0] == status
    assert message in found[1]


@pytest.mark.parametrize(
    ("keyrings", "status", "message"),
    [
        ({}, None, ""),
        ({"worker 1": SAME, "server 2": SAME}, "ok", "2 processes with the same keys"),
        ({"worker 1": SAME[::-1]}, "warn", "worker 1 has key 1-"),
        ({"worker 1": SAME, "worker 3": ()}, "fail", "worker 3 has no key"),
        ({"worker 1": SAME[:1]}, "fail", "worker 1 has key 2-"),
        ({"worker 1": (SAME[0], "1-00000000")}, "fail", "worker 1 has"),
        ({"a": (), "b": (), "c": ()}, "fail", "and 2 other processes"),
    ],
)
def test_processes_with_other_keys_are_named(
    keyrings: dict[str, tuple[str, ...]], status: str | None, message: str
) -> None:
    found = judged({}, keyrings).get("keyrings")
    assert (None if found is None else found[0]) == status
    assert found is None or message in found[1]
