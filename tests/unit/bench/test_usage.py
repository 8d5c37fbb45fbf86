from __future__ import annotations

import os
import sys

import pytest
import redis

from flowlang.bench import usage
from flowlang.bench.usage import Cpu, cpu, resident_bytes, spent

HAS_PROC = sys.platform == "linux"


@pytest.mark.skipif(not HAS_PROC, reason="the system has no /proc")
def test_cpu_time_of_processes_and_of_the_server_rises_with_work(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        before = cpu([os.getpid()], client)
        while (used := spent(before, cpu([os.getpid()], client))).workers_s == 0 or used.server_s == 0:
            client.ping()
        assert used.workers_s is not None
        twice = cpu([os.getpid(), os.getpid()], client)
        assert twice.workers_s is not None
        assert before.workers_s is not None
        assert twice.workers_s >= 2 * before.workers_s


@pytest.mark.skipif(not HAS_PROC, reason="the system has no /proc")
def test_resident_memory_is_that_of_a_python_process() -> None:
    found = resident_bytes(os.getpid())
    assert found is not None
    assert 10_000_000 < found < 10_000_000_000


def test_a_process_that_the_system_does_not_tell_about_makes_the_sum_unknown(redis_url: str) -> None:
    gone = 2**22 + 1  # more than Linux gives out
    with redis.Redis.from_url(redis_url) as client:
        assert cpu([os.getpid(), gone], client).workers_s is None
    assert resident_bytes(gone) is None
    assert usage.spent(Cpu(None, 1.0), Cpu(2.0, 4.0)) == Cpu(None, 3.0)
