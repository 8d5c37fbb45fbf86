"""What only the Redis store has: a server that forgets scripts, goes away, is full, or counts its keys."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from flowlang.engine.ops import Accepted, ClaimRequest, Committed, Renew, Sweep, Wait
from flowlang.engine.ports import FlushId
from flowlang.errors import StoreError, StoreUnavailableError
from flowlang.store import script
from flowlang.store.keys import Keys
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.contract.conftest import leaked_keys
from tests.contract.rig import DAY_MS, Rig, accept, commit, end_child, finish, group_of, seed_of


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as plain:
        yield plain


@pytest.fixture
def rig_of(redis_store: RedisStore) -> Rig:
    return Rig(redis_store, lambda _: None)


def test_a_server_that_forgot_the_function_is_told_again(redis_store: RedisStore, client: redis.Redis) -> None:
    redis_store.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))])
    client.function_flush()

    reply = redis_store.apply(FlushId("w", 2), [accept("e2", seed_of("r2"))])

    assert reply.outcomes == (Accepted("e2", (("r2", True),)),)


def test_what_other_releases_left_is_dropped_and_one_that_still_runs_goes_on(
    redis_store: RedisStore, client: redis.Redis
) -> None:
    code = "#!lua name={}\nredis.register_function('{}', function() return 1 end)"
    for name in (f"{script.PREFIX}of_old", "of_others"):
        client.function_load(code.format(name, name), replace=True)
    redis_store.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))])

    redis_store.tidy()

    left = {library[1].decode() for library in client.function_list()}
    assert f"{script.PREFIX}of_old" not in left
    assert {script.name(), "of_others"} <= left
    client.function_delete(script.name())  # as the other release would
    reply = redis_store.apply(FlushId("w", 2), [accept("e2", seed_of("r2"))])
    assert reply.outcomes == (Accepted("e2", (("r2", True),)),)
    client.function_delete("of_others")


def test_a_server_that_is_away_is_named_and_the_flush_may_be_sent_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        EmbeddedServer(tmp_path_factory.mktemp("away")) as server,
        contextlib.closing(RedisStore(server.url, test_clock=True)) as store,
    ):
        first = store.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))])
        server.kill()
        with pytest.raises(StoreUnavailableError):
            store.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))])
        with pytest.raises(StoreUnavailableError):
            store.runs()
        server.restart()
        assert store.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))]) == first
        assert [row.id for row in store.runs()] == ["r1"]


def test_a_full_server_refuses_a_flush_whole(redis_store: RedisStore, client: redis.Redis) -> None:
    redis_store.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))])
    before = set(client.scan_iter())
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailableError):
            redis_store.apply(FlushId("w", 2), [accept("e2", seed_of("r2"))])
    finally:
        client.config_set("maxmemory", 0)

    assert set(client.scan_iter()) == before
    assert redis_store.apply(FlushId("w", 2), [accept("e2", seed_of("r2"))]).outcomes == (
        Accepted("e2", (("r2", True),)),
    )


def test_all_keys_of_a_partition_share_its_tag(rig_of: Rig, client: redis.Redis) -> None:
    main = rig_of.start_group(2, inputs=(b"1", b"2"))
    rig_of.flush(*(end_child(row) for row in rig_of.claim(2)))
    rig_of.one(finish(rig_of.claim_one()))

    keys = {key.decode() for key in client.scan_iter()}

    assert Keys().family("run", main.run) in keys
    assert {key for key in keys if not key.startswith("flowlang:{p00}:")} == set()


def test_a_run_without_retention_leaves_nothing_behind(rig_of: Rig, client: redis.Redis) -> None:
    def one_run(number: int) -> None:
        run = f"r{number}"
        rig_of.one(accept(f"e{number}", seed_of(run, retention_ms=0), keep_ms=1, dedupe=run, dedupe_ms=1))
        main = rig_of.claim_one()
        rig_of.one(
            commit(
                main, "held", consumed=1, records={"a": b"1"}, journal=(b"j",), groups=(group_of(1, inputs=(b"i",)),)
            )
        )
        rig_of.one(end_child(rig_of.claim_one()))
        rig_of.one(finish(main))
        rig_of.one(Sweep())

    one_run(1)
    rest = set(client.scan_iter(match="*run:*")) | set(client.scan_iter(match="*runs*"))
    assert rest == set()
    for name in ("expiry", "leases", "timers", "ready:default"):
        assert client.exists(f"flowlang:{{p00}}:{name}") == 0


def test_an_event_costs_the_same_however_many_runs_wait_for_other_keys(rig_of: Rig, client: redis.Redis) -> None:
    def commands() -> int:
        said: Any = client.info("commandstats")
        return sum(row["calls"] for name, row in said.items() if name not in {"cmdstat_info", "cmdstat_client"})

    def cost(event: str) -> int:
        before = commands()
        rig_of.one(accept(event, keys=("k", "l"), mail_ms=DAY_MS))
        return commands() - before

    rig_of.one(accept("e0"))
    alone = cost("e1")
    for batch in range(10):
        numbers = range(batch * 1000, (batch + 1) * 1000)
        seeds = [seed_of(f"r{number}", waits=(Wait("w", (f"k{number}", "m")),)) for number in numbers]
        rig_of.one(accept(f"seeds-{batch}", *seeds))

    assert cost("e3") == alone


@pytest.mark.parametrize(("test_clock", "asked"), [(False, 0), (True, 2)], ids=["in earnest", "in a test"])
def test_who_has_just_had_a_reply_does_not_ask_for_the_time(
    redis_store: RedisStore, redis_url: str, client: redis.Redis, *, test_clock: bool, asked: int
) -> None:
    def questions() -> int:
        said: Any = client.info("commandstats")
        return sum(said.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("time", "get"))

    with contextlib.closing(RedisStore(redis_url, test_clock=test_clock)) as store:
        said_ms = store.apply(FlushId("w", 1), [Sweep()]).now_ms
        before = questions()
        now_ms = store.now_ms()

        assert questions() - before == asked
        assert now_ms >= said_ms


def test_many_children_are_read_in_one_claim(rig_of: Rig) -> None:
    total = 3_000
    inputs = tuple(b"\xff%d" % index for index in range(total))
    main = rig_of.start_run()
    rig_of.one(commit(main, "held", consumed=1, groups=(group_of(total, max_parallel=1, inputs=inputs),)))
    records = {f"g[{index}]": body for index, body in enumerate(inputs)}
    rig_of.one(commit(main, "ready", records=records, reads=("*g", "#g")))

    row = next(row for row in rig_of.claim(2) if row.scope == "")

    assert row.reads == records | {f"={instance}": body for instance, body in records.items()}


@pytest.mark.parametrize("size", [0, 31, 32, 255, 256, 65_535, 65_536, 1_000_000])
def test_payloads_of_any_size_come_back_byte_for_byte(rig_of: Rig, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    main = rig_of.start_run(state=body, meta=body)
    assert (main.state, main.meta) == (body, body)

    assert (
        rig_of.one(commit(main, "ready", state=body, records={"a": body}, reads=("a",), journal=(body,))) == Committed()
    )
    again = rig_of.claim_one()
    assert (again.state, again.reads) == (body, {"a": body})
    rows = rig_of.store.run(main.run)
    assert rows is not None
    assert rows.journal == (body,)


def test_flushes_of_many_threads_are_applied_once_each(redis_store: RedisStore) -> None:
    replies: list[int] = []

    def send(worker: str) -> None:
        for number in range(1, 21):
            ops = [accept(f"e-{worker}-{number}", seed_of(f"r-{worker}-{number}"))]
            claim = ClaimRequest(worker, ("default",), 3, 10_000, 1, 0)
            replies.append(len(redis_store.apply(FlushId(worker, number), ops, claim).claimed))

    threads = [threading.Thread(target=send, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stats = redis_store.stats()
    assert (stats.runs, sum(replies)) == (80, stats.held)
    assert stats.held + sum(stats.ready.values()) == 80


def test_the_clock_moves_only_where_it_was_asked_for(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWLANG_ENV", raising=False)
    with (
        contextlib.closing(RedisStore(redis_url)) as plain,
        contextlib.closing(RedisStore(redis_url, test_clock=True)) as moved,
    ):
        with pytest.raises(StoreError, match="only in tests"):
            plain.set_test_clock(1)
        moved.set_test_clock(3_600_000)

        assert 3_500_000 < moved.now_ms() - plain.now_ms() < 3_700_000
        gap = moved.apply(FlushId("a", 1), []).now_ms - plain.apply(FlushId("b", 1), []).now_ms
        assert 3_500_000 < gap < 3_700_000


def test_stores_with_other_names_do_not_see_each_other(redis_url: str) -> None:
    with (
        contextlib.closing(RedisStore(redis_url, namespace="one")) as one,
        contextlib.closing(RedisStore(redis_url, namespace="two")) as two,
    ):
        one.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))])

        assert two.runs() == []
        assert two.apply(FlushId("w", 1), []).outcomes == ()


def test_health_says_what_doctor_asks(redis_store: RedisStore) -> None:
    health = redis_store.health()

    assert health["server"] == "valkey"
    assert health["version"].startswith("9.")
    assert health["maxmemory_policy"] == "noeviction"
    assert health["aof_enabled"] in {True, False}
    assert abs(health["clock_difference_ms"]) < 5_000


def test_a_server_that_forbids_config_tells_its_eviction_all_the_same(redis_url: str, client: redis.Redis) -> None:
    client.acl_setuser("managed", enabled=True, nopass=True, commands=["+@all", "-config"], keys=["*"])
    client.config_set("maxmemory-policy", "allkeys-lru")
    parts = urlsplit(redis_url)
    url = parts._replace(netloc=f"managed:any@{parts.hostname}:{parts.port}").geturl()
    try:
        with contextlib.closing(RedisStore(url)) as store:
            health = store.health()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.acl_deluser("managed")

    assert health["maxmemory_policy"] == "allkeys-lru"
    assert health["appendfsync"] is None


def test_the_check_for_leaks_finds_one(redis_url: str, client: redis.Redis) -> None:
    client.set("flowlang:{p00}:flush:w", b"no expiry")
    client.hset("flowlang:{p00}:run:r1", "status", "succeeded")
    client.hset("flowlang:{p00}:run:r2", "status", "running")

    assert sorted(leaked_keys(redis_url)) == ["flowlang:{p00}:flush:w", "flowlang:{p00}:run:r1"]


def test_what_stood_beside_a_queue_and_what_counted_runs_goes_with_the_last_of_them(
    rig_of: Rig, client: redis.Redis
) -> None:
    keys = Keys()
    rig_of.one(accept("e1", seed_of("r1", version="v9", retention_ms=0)))
    request = ClaimRequest("old", ("default",), 1, 10_000, 1, 0, refuses=("v9",))
    rig_of.flush(claim=request, worker="old")
    assert client.smembers(keys.single("asides")) == {b"default\x1fv9"}
    rig_of.one(finish(rig_of.claim_one()))
    rig_of.sweep()
    assert [client.exists(keys.single(name)) for name in ("asides", "versions")] == [0, 0]


def test_a_run_whose_rows_the_server_let_expire_is_counted_no_longer(rig_of: Rig, client: redis.Redis) -> None:
    keys = Keys()
    rig_of.one(finish(rig_of.start_run("r1", version="v9", retention_ms=0)))
    assert client.hgetall(keys.single("versions")) == {b"v9\x1fsucceeded": b"1"}
    client.delete(*keys.all_of_run("r1"))
    rig_of.sweep()
    assert client.exists(keys.single("versions")) == 0
    assert rig_of.store.runs() == []


def test_the_row_of_a_worker_of_another_release_is_no_obstacle(rig_of: Rig, client: redis.Redis) -> None:
    client.hset(Keys().single("workers"), "older", "4:0:1767225600000")
    assert rig_of.store.stats().workers == ()
    rig_of.one(Renew("older", 10_000, ()))
    rig_of.claim()
    rig_of.sweep()
    assert [worker.id for worker in rig_of.store.stats().workers] == ["w"]
