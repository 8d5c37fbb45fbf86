"""Real Dramatiq workers on our broker: idle ones are silent, several share a queue, and none is needed by the others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dramatiq
import dramatiq.worker
import pytest
import redis

from flowlang.actors.broker import FlowBroker, Lifecycle, hint, make_broker, reachable
from flowlang.worker.embedded import EmbeddedServer

#: Longest wait for another process, in seconds; reached only by a failure.
PATIENCE = 60

#: A worker process: each message is told on `started`, waits for one turn on `go`, and is told on `done`.
#: Once `free` exists nobody waits any more.
WORKER = """
import os, signal, sys, threading, dramatiq, redis
from flowlang.actors.broker import make_broker

broker = make_broker(sys.argv[1])
server = redis.Redis.from_url(sys.argv[2], socket_timeout=None)

def work(number):
    server.rpush("started", f"{os.getpid()} {number}")
    if not server.exists("free"):
        server.blpop(["go"])
    server.rpush("done", f"{os.getpid()} {number}")

dramatiq.actor(work, broker=broker, queue_name="q", actor_name="work")
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
worker.start()
server.rpush("ready", os.getpid())
ended.wait()
worker.stop()
broker.close()
server.close()
"""


@pytest.fixture
def ledger(redis_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(redis_url, socket_timeout=PATIENCE + 10)) as client:
        yield client


@pytest.fixture
def workers(any_broker_url: str, redis_url: str, ledger: redis.Redis) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two worker processes on the queue `q` that are up."""
    argv = [sys.executable, "-c", WORKER, any_broker_url, redis_url]
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(subprocess.Popen(argv)) for _ in range(2)]
        for process in started:
            stack.callback(process.kill)
        _take(ledger, "ready", 2)
        yield started


def _take(ledger: redis.Redis, name: str, count: int) -> list[list[int]]:
    """Wait for entries of a list: the numbers in each."""
    taken: list[list[int]] = []
    for _ in range(count):
        entry = ledger.blpop([name], timeout=PATIENCE)
        assert entry is not None, f"{len(taken)} of {count} entries of {name!r} came"
        taken.append([int(word) for word in entry[1].split()])
    return taken


def _calls(server: redis.Redis) -> dict[str, int]:
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in server.info("commandstats").items()}


def _wait_until(done: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE * 100):
        if done():
            return
        pause.wait(0.01)
    pytest.fail("it did not come to that")


def _send(broker: dramatiq.Broker, numbers: range) -> None:
    for number in numbers:
        broker.enqueue(dramatiq.Message(queue_name="q", actor_name="work", args=(number,), kwargs={}, options={}))


def _left(broker: dramatiq.Broker) -> int:
    """How many messages of the queue are left."""
    if isinstance(broker, FlowBroker):
        return broker.do_qsize("q")
    waiting: int = broker.get_queue_message_counts("q")[0]  # type: ignore[attr-defined]
    return waiting


def _forget_the_dead(url: str) -> None:
    """Make the last sign of life of a killed process old, by whose silence it is noticed: no test waits for it."""
    with contextlib.closing(redis.Redis.from_url(url)) as server:
        (member,) = [key.decode() for key in server.scan_iter("flowlang:__acks__.*")]
        server.zadd("flowlang:__heartbeats__", {member.removeprefix("flowlang:__acks__."): 0})
        server.delete("flowlang:__reclaiming__")


def test_two_processes_share_a_queue_and_every_message_is_delivered_once(
    workers: list[subprocess.Popen[bytes]], any_broker_url: str, ledger: redis.Redis
) -> None:
    with contextlib.closing(make_broker(any_broker_url)) as broker:
        _send(broker, range(200))
        # Nobody may go on yet, so all four threads of both processes hold a message each.
        begun = _take(ledger, "started", 4)
        assert Counter(pid for pid, _ in begun) == {process.pid: 2 for process in workers}
        ledger.set("free", 1)
        ledger.rpush("go", *"xxxx")
        done = _take(ledger, "done", 200)
        assert sorted(number for _, number in done) == list(range(200))
        for process in workers:
            process.terminate()
        assert [process.wait(PATIENCE) for process in workers] == [0, 0]
        assert ledger.llen("done") == 0
        assert _left(broker) == 0


def test_what_a_killed_process_held_is_done_by_the_other_and_the_rest_does_not_wait_for_it(
    workers: list[subprocess.Popen[bytes]], any_broker_url: str, ledger: redis.Redis
) -> None:
    with contextlib.closing(make_broker(any_broker_url)) as broker:
        _send(broker, range(4))
        held = {number for pid, number in _take(ledger, "started", 4) if pid == workers[0].pid}
        assert len(held) == 2
        workers[0].kill()
        workers[0].wait()
        _send(broker, range(4, 10))
        ledger.set("free", 1)
        ledger.rpush("go", *"xxxx")
        if not isinstance(broker, FlowBroker):  # RabbitMQ sees that the connection is gone
            assert {number for _, number in _take(ledger, "done", 10)} == set(range(10))
            return
        done = {number for _, number in _take(ledger, "done", 8)}
        assert done == set(range(10)) - held
        _forget_the_dead(any_broker_url)
        assert {number for _, number in _take(ledger, "done", 2)} == held


def test_a_broker_that_answers_can_be_reached(any_broker_url: str) -> None:
    assert reachable(any_broker_url) is None


@pytest.mark.parametrize("url", ["redis://:hunter2@127.0.0.1:1/0", "amqp://guest:hunter2@127.0.0.1:1/%2F"])
def test_one_that_does_not_is_told_without_its_password(url: str) -> None:
    if url.startswith("amqp"):
        pytest.importorskip("pika", reason="RabbitMQ's client is not installed: make install")
    told = reachable(url)
    assert told
    assert "hunter2" not in told


def test_a_stopping_worker_hands_back_what_it_has_not_begun_in_order(broker_url: str) -> None:
    begun: list[int] = []
    first, go = threading.Event(), threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        first.set()
        go.wait(PATIENCE)

    def fetch_ahead(worker: dramatiq.Worker) -> None:
        worker.queue_prefetch = 4

    with contextlib.closing(FlowBroker(url=broker_url, middleware=[Lifecycle(on_boot=fetch_ahead)])) as broker:
        dramatiq.actor(broker=broker, queue_name="q", actor_name="work")(work)
        _send(broker, range(4))
        worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=100)
        worker.start()
        assert first.wait(PATIENCE)
        stopper = threading.Thread(target=worker.stop)
        stopper.start()
        _wait_until(lambda: not worker.workers[0].running)
        go.set()
        stopper.join()
        assert begun == [0]
        rest = broker.consume("q", 4, 20)
        assert [message.args[0] for message in (next(rest), next(rest), next(rest)) if message] == [1, 2, 3]
        assert next(rest) is None


def test_the_dramatiq_command_runs_the_broker_with_its_runtime(
    any_broker_url: str, ledger: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "app_under_test.py").write_text(
        "import os, dramatiq, redis\n"
        "from flowlang.actors.broker import Lifecycle, make_broker\n"
        f"server = redis.Redis.from_url({redis_url!r})\n"
        "def tell(name): return lambda _: server.rpush(name, os.getpid())\n"
        "life = Lifecycle(on_boot=tell('boot'), on_stop=tell('stop'), on_stopped=tell('stopped'))\n"
        f"broker = make_broker({any_broker_url!r}, middleware=[life])\n"
        "dramatiq.set_broker(broker)\n"
        "dramatiq.actor(lambda: tell('ran')(0) and None, queue_name='q', actor_name='work')\n"
    )
    argv = [sys.executable, "-m", "dramatiq", "app_under_test", "--processes", "1", "--threads", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd()), *sys.path])}
    with subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL, process_group=0) as master:
        try:
            (boot,) = _take(ledger, "boot", 1)
            with contextlib.closing(make_broker(any_broker_url)) as broker:
                assert hint(broker, "q", "work")
                assert _take(ledger, "ran", 1) == [boot]
            master.terminate()
            assert master.wait(PATIENCE) == 0
            assert _take(ledger, "stop", 1) == _take(ledger, "stopped", 1) == [boot]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(master.pid, signal.SIGKILL)


def test_an_idle_worker_looks_once_a_block_and_never_in_between(broker_url: str) -> None:
    ran = threading.Event()
    with (
        contextlib.closing(make_broker(broker_url)) as broker,
        contextlib.closing(redis.Redis.from_url(broker_url)) as server,
    ):
        dramatiq.actor(broker=broker, queue_name="q", actor_name="work")(ran.set)
        worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=200)
        worker.start()
        try:
            hint(broker, "q", "work")
            assert ran.wait(PATIENCE)
            broker.join("q", timeout=PATIENCE * 1000)
            server.config_resetstat()
            _wait_until(lambda: _calls(server).get("blpop", 0) >= 5)
            calls = _calls(server)
            # One look before each block, and one more that may have come since; nothing else but our own INFO.
            assert calls["evalsha"] <= calls["blpop"] + 1
            assert calls.keys().isdisjoint({"keys", "scan", "eval"})
        finally:
            worker.stop()


def test_workers_go_on_by_themselves_after_the_server_was_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.05)
    done: list[int] = []
    more = threading.Condition()

    def work(number: int) -> None:
        with more:
            done.append(number)
            more.notify_all()

    def finished(count: int) -> None:
        with more:
            assert more.wait_for(lambda: len(set(done)) == count, PATIENCE), done

    with EmbeddedServer(tmp_path / "data") as server, contextlib.closing(make_broker(server.broker_url)) as broker:
        dramatiq.actor(broker=broker, queue_name="q", actor_name="work")(work)
        worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
        worker.start()
        try:
            _send(broker, range(5))
            finished(5)
            server.kill()
            assert not hint(broker, "q", "work")
            server.restart()
            _send(broker, range(5, 10))
            finished(10)
        finally:
            worker.stop()
