"""`flowlang keys` and `doctor` on a real server, and processes that say which keys they have."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from flowlang.cli.root import cli
from flowlang.clock import random_bytes
from flowlang.keyring import KEY_BYTES, Keyring
from flowlang.service import IncomingEvent, Service
from flowlang.store.announcing import Announcer
from flowlang.store.encryption import EncryptingSealer
from flowlang.store.redis import ANNOUNCED_MS, RedisStore
from tests.e2e.waiting import until
from tests.unit.service.world import PLANS, manifest

OLD, NEW = random_bytes(KEY_BYTES), random_bytes(KEY_BYTES)
BEFORE, BOTH, AFTER = Keyring({1: OLD}), Keyring({2: NEW, 1: OLD}), Keyring({2: NEW})


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    with contextlib.closing(RedisStore(redis_url, test_clock=True)) as made:
        service = Service(made, EncryptingSealer(BEFORE), salt=made.salt(), pause=lambda _: None)
        service.deploy(manifest(*PLANS), PLANS)
        service.ingest([IncomingEvent(name="shop/ratio", data={"a": n + 2, "b": 1}) for n in range(3)])
        yield made


def call(url: str, ring: Keyring, *arguments: str, status: int = 0) -> Any:
    environ = {"FLOWLANG_REDIS_URL": url, "FLOWLANG_ENCRYPTION_KEYS": ring.spelled(), "NO_COLOR": "1"}
    result = CliRunner(env=environ).invoke(cli, [*arguments, "--json"], prog_name="flowlang")
    assert result.exit_code == status, result.output
    for key in (OLD, NEW):
        assert Keyring({1: key}).spelled().partition(":")[2] not in result.output
    return json.loads(result.stdout)


def test_keys_are_listed_with_what_needs_them_and_rotated(store: RedisStore, redis_url: str) -> None:
    listed = call(redis_url, BOTH, "keys", "list")["keys"]
    assert [(row["id"], row["role"]) for row in listed] == [(2, "closes"), (1, "opens")]
    assert listed[0]["payloads"] == 0
    assert listed[1]["payloads"] > 0
    assert call(redis_url, AFTER, "keys", "list", status=1)["keys"][1]["role"] == "missing"
    assert call(redis_url, AFTER, "keys", "rotate", status=1)["left"] == {"1": listed[1]["payloads"]}
    done = call(redis_url, BOTH, "keys", "rotate")
    assert (done["rewrapped"], done["left"]) == (listed[1]["payloads"], {})
    assert call(redis_url, AFTER, "keys", "list")["plain"] == 0


def test_a_generated_key_is_what_the_setting_takes(redis_url: str) -> None:
    made = call(redis_url, BOTH, "keys", "generate")
    ring = Keyring.read(made["key"])
    assert (ring.current, ring.marks()) == (3, (f"3-{made['fingerprint']}",))
    assert call(redis_url, BOTH, "keys", "generate", "--id", "9")["id"] == 9
    call(redis_url, BOTH, "keys", "generate", "--id", "2", status=2)


@pytest.mark.usefixtures("store")
def test_doctor_says_when_a_key_is_missing_or_another_process_has_others(redis_url: str) -> None:
    def checks(ring: Keyring) -> dict[str, str]:
        found = call(redis_url, ring, "doctor", status=1)["checks"]
        return {check["name"]: f"{check['status']} {check['message']}" for check in found}

    assert "fail stored payloads need key 1" in checks(AFTER)["encryption"]
    assert checks(BEFORE)["encryption"].startswith("ok key 1 closes")
    with (
        contextlib.closing(RedisStore(redis_url, test_clock=True)) as board,
        Announcer(board, "worker", BEFORE.marks()),
    ):
        until(board.announced_keys, "the keys of the worker")
        assert checks(BEFORE)["keyrings"].startswith("ok 1 process")
        assert checks(AFTER)["keyrings"].startswith("fail worker ")
    assert "keyrings" not in checks(BEFORE)


def test_a_process_that_is_not_heard_of_any_more_is_forgotten(store: RedisStore) -> None:
    store.announce_keys("worker 1", BEFORE.marks())
    assert store.announced_keys() == {"worker 1": BEFORE.marks()}
    store.set_test_clock(ANNOUNCED_MS + 1000)
    assert store.announced_keys() == {}
    store.announce_keys("worker 2", ())
    assert store.announced_keys() == {"worker 2": ()}
