"""Keys of stored payloads are changed while runs go on: nothing is lost, the old key is not needed, and can be forgotten."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from flowlang.clock import random_bytes
from flowlang.engine import sealed_fields
from flowlang.errors import StoreError
from flowlang.keyring import KEY_BYTES, Keyring
from flowlang.plan import Foreach, Plan, Step, Undo, Uses, WaitFor
from flowlang.service import IncomingEvent, Service
from flowlang.simulate import Handler, Simulation
from flowlang.store.codec import CodecError, MissingKeyError, PlainSealer
from flowlang.store.encryption import EncryptingSealer
from flowlang.store.keys import Keys
from flowlang.store.redis import RedisStore
from flowlang.store.rekeying import Rekeying
from tests.unit.service.world import PLANS, manifest

OLD, NEW = random_bytes(KEY_BYTES), random_bytes(KEY_BYTES)
BEFORE, BOTH, AFTER = Keyring({1: OLD}), Keyring({2: NEW, 1: OLD}), Keyring({2: NEW})


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    with contextlib.closing(RedisStore(redis_url, test_clock=True)) as made:
        yield made


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as made:
        yield made


def service(store: RedisStore, keyring: Keyring) -> Service:
    return Service(store, EncryptingSealer(keyring, plain=False), salt=store.salt(), pause=lambda _: None)


def sent(made: Service, count: int) -> list[str]:
    events = [IncomingEvent(name="shop/ratio", data={"a": n + 2, "b": 1, "pad": "x" * 100}) for n in range(count)]
    return [run.id for answer in made.ingest(events) for run in answer.runs]


def deployed(store: RedisStore, keyring: Keyring) -> Service:
    made = service(store, keyring)
    made.deploy(manifest(*PLANS), PLANS)
    return made


def test_what_was_stored_under_the_old_key_opens_with_the_new_one_alone(store: RedisStore) -> None:
    runs = sent(deployed(store, BEFORE), 20)
    assert runs
    with pytest.raises(MissingKeyError):
        service(store, AFTER).run(runs[0])
    done = store.rotate_keys(BOTH)
    assert done.use.payloads.keys() == {2}
    assert done.rewrapped == done.use.payloads[2]
    assert done.use.complete
    assert [service(store, AFTER).run(run).event.data["a"] for run in runs] == [
        service(store, BOTH).run(run).event.data["a"] for run in runs
    ]
    with pytest.raises(MissingKeyError):
        service(store, BEFORE).run(runs[0])
    assert store.rotate_keys(BOTH).rewrapped == 0


def lengths(client: Any) -> dict[bytes, Any]:
    """How long all that may hold payloads is."""
    found: dict[bytes, Any] = {}
    for name in client.scan_iter():
        match client.type(name):
            case b"hash":
                found[name] = {field: len(value) for field, value in client.hgetall(name).items()}
            case b"list":
                found[name] = [len(value) for value in client.lrange(name, 0, -1)]
            case b"string":
                found[name] = client.strlen(name)
            case _:
                pass
    return found


def test_nothing_but_the_wrapping_changes(store: RedisStore, client: redis.Redis) -> None:
    sent(deployed(store, BEFORE), 5)
    before = {name: client.dump(name) for name in client.scan_iter() if client.type(name) == b"zset"}
    sizes = lengths(client)
    lives = {name: client.pexpiretime(name) for name in client.scan_iter()}
    store.rotate_keys(BOTH)
    assert {name: client.dump(name) for name in before} == before
    assert lengths(client) == sizes
    assert {name: client.pexpiretime(name) for name in client.scan_iter()} == lives


def test_a_rotation_that_was_stopped_goes_on(store: RedisStore) -> None:
    runs = sent(deployed(store, BEFORE), 200)

    class StoppedError(Exception):
        pass

    def stop(done: int) -> None:
        if done >= 10:
            raise StoppedError

    with pytest.raises(StoppedError):
        store.rotate_keys(BOTH, stop)
    use = store.key_use(BOTH).payloads
    assert use[1] > 0
    assert use[2] >= 10
    assert all(service(store, BOTH).run(run) for run in runs), "in between, both keys are needed"
    assert store.rotate_keys(BOTH).use.payloads.keys() == {2}


def test_events_that_come_meanwhile_are_not_lost(store: RedisStore) -> None:
    """Processes with the old key first go on while others rotate; when they have both keys turned, one more look ends it."""
    old = deployed(store, BEFORE)
    runs = sent(old, 10)
    made: list[str] = []

    def load() -> None:
        for _ in range(60):
            made.extend(sent(old, 3))

    thread = threading.Thread(target=load)
    thread.start()
    store.rotate_keys(BOTH)
    thread.join()
    assert made
    assert store.rotate_keys(BOTH).use.payloads.keys() == {2}
    assert all(service(store, AFTER).run(run).event.name == "shop/ratio" for run in [*runs, *made])


def test_what_needs_a_key_that_is_not_there_is_counted_and_left(store: RedisStore) -> None:
    sent(deployed(store, BEFORE), 3)
    done = store.rotate_keys(AFTER)
    assert done.rewrapped == 0
    assert done.use.payloads.keys() == {1}


def test_payloads_that_are_not_encrypted_are_counted_and_left(store: RedisStore) -> None:
    made = Service(store, PlainSealer(), salt=store.salt(), pause=lambda _: None)
    made.deploy(manifest(*PLANS), PLANS)
    (run,) = sent(made, 1)
    assert store.rotate_keys(BOTH).use.payloads.keys() == {0}
    assert Service(store, EncryptingSealer(BOTH), pause=lambda _: None).run(run).run.id == run


def test_without_a_key_there_is_nothing_to_rotate_to(store: RedisStore) -> None:
    with pytest.raises(StoreError, match="FLOWLANG_ENCRYPTION_KEYS"):
        store.rotate_keys(Keyring())


def test_a_look_may_be_short(store: RedisStore) -> None:
    sent(deployed(store, BEFORE), 300)
    assert not store.key_use(BEFORE, limit=100).complete


def test_a_backup_from_before_does_not_open_with_the_new_key_alone(store: RedisStore, client: redis.Redis) -> None:
    """What was deleted stays readable in a backup for as long as the key that it was taken under, and no longer."""
    (run,) = sent(deployed(store, BEFORE), 1)
    key = store.keys.family("run", run)
    backup = cast("bytes", client.hget(key, "meta"))
    store.rotate_keys(BOTH)
    with pytest.raises(CodecError):
        EncryptingSealer(AFTER).open(backup, sealed_fields.META, run)
    assert EncryptingSealer(BOTH).open(backup, sealed_fields.META, run)


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=6), st.binary(max_size=30))
def test_payloads_are_found_wherever_they_lie_in_a_value(payloads: list[bytes], noise: bytes) -> None:
    origin = "r00-abcdefghijklmnopqrstuvwx"
    sealer = EncryptingSealer(BEFORE)
    plain = PlainSealer().seal(b"{}", origin, "meta")
    value = (
        noise.replace(b"F", b"")
        + plain
        + b"".join(sealer.seal(one, origin, "meta") + b"F\x01\x00\x01\x02r0" for one in payloads)
    )
    with contextlib.closing(redis.Redis()) as nowhere:
        found = [key for key, _, _ in Rekeying(nowhere, Keys(), BEFORE)._payloads(value)]
    assert sorted(found) == [0, *[1] * len(payloads)]


def test_a_run_that_was_waiting_goes_on_with_the_new_key_alone(store: RedisStore) -> None:
    """Its state, items, records, undo list and what it waits for lie in rows of every kind."""
    undo = Undo(Uses("h.undo", {"n": "${{ item }}"}))
    plan = Plan(
        pipeline="p",
        steps=(
            Step(0, "each", Uses("h.do", {"n": "${{ item }}"}), foreach=Foreach("[1, 2, 3]"), undo=undo),
            Step(1, "heard", WaitFor(("a/heard",), "incoming.data.id == event.data.id"), timeout_ms=3_600_000),
            Step(2, "again", Uses("h.do", {"n": "${{ steps.heard.output.data.n + steps.each.output[2] }}"})),
        ),
        block=(0, 1, 2),
        output="${{ steps.again.output }}",
    )
    handlers: dict[str, Handler] = {"h.do": lambda call: call.arguments["n"] * 10, "h.undo": lambda _: None}
    simulation = Simulation([plan], handlers, store=store, sealer=EncryptingSealer(BEFORE, plain=False))
    run = simulation.call("p", {"id": "x"})
    simulation.run_ready()
    assert simulation.finished(run).status == "running"
    assert store.rotate_keys(BOTH).use.payloads.keys() == {2}
    simulation.sealer = EncryptingSealer(AFTER, plain=False)
    simulation.send("a/heard", {"id": "x", "n": 5})
    simulation.run_ready()
    ended = simulation.finished(run)
    assert (ended.status, ended.output) == ("succeeded", 350)
