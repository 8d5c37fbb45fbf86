"""Events of many requests, taken together: what comes in while the store is at work goes to it in one call.

A thread for each request would cost more than all else that is done for it: two changes of threads, a question for the
store's time, a call. So requests wait on the event loop alone, and one thread takes what has gathered; long lists have
threads of their own. Where little comes in nothing waits: what arrives while the thread is free is taken at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

from flowlang.service import Answer, Parcel, Service

#: Events that are taken together: what the store is sent in one call. A longer list is taken by itself.
TOGETHER: Final = 64
#: Calls at a time: what comes meanwhile gathers. A second one would make both of them smaller, and cost more than it
#: brings: threads of Python take turns.
AT_A_TIME: Final = 1
#: Long lists beside them, which are no larger for waiting.
LISTS_AT_A_TIME: Final = 8

Taken: TypeAlias = list[Answer] | Exception
_Waiting: TypeAlias = tuple[Parcel, "asyncio.Future[list[Answer]]"]


class Gathering:
    """Takes parcels; to be used on one event loop.

    Args:
        service: Stores them.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._threads = ThreadPoolExecutor(AT_A_TIME + LISTS_AT_A_TIME, thread_name_prefix="flowlang-intake")
        self._waiting: deque[_Waiting] = deque()
        self._under_way = 0
        self._lists = 0  # long ones, under way

    def take(self, parcel: Parcel) -> asyncio.Future[list[Answer]]:
        """Have a parcel taken.

        Returns:
            Its answers, once it is stored, or an error as `Service.take` has it. What is taken is stored even when
            nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Answer]] = loop.create_future()
        self._waiting.append((parcel, future))
        self._begin(loop)
        return future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin as many calls as there may be."""
        while self._waiting:
            is_long = _is_long(self._waiting[0])
            if is_long:
                if self._lists >= LISTS_AT_A_TIME:
                    return
                self._lists += 1
            else:
                if self._under_way >= AT_A_TIME:
                    return
                self._under_way += 1
            self._threads.submit(self._work, loop, self._gathered())

    def _gathered(self) -> list[_Waiting]:
        """The next of those that wait, as many as go together."""
        batch = [self._waiting.popleft()]
        size = len(batch[0][0].makers)
        while self._waiting and size + len(self._waiting[0][0].makers) <= TOGETHER:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0].makers)
        return batch

    def _work(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting]) -> None:
        taken: Sequence[Taken]
        try:
            taken = self._service.take([parcel for parcel, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is said to all who wait
            taken = [error] * len(batch)
        loop.call_soon_threadsafe(self._done, loop, batch, taken)

    def _done(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], taken: Sequence[Taken]) -> None:
        if _is_long(batch[0]):
            self._lists -= 1
        else:
            self._under_way -= 1
        self._begin(loop)
        for (_, future), answers in zip(batch, taken, strict=True):
            if future.done():  # whoever waited has gone
                continue
            if isinstance(answers, Exception):
                future.set_exception(answers)
            else:
                future.set_result(answers)


def _is_long(waiting: _Waiting) -> bool:
    return len(waiting[0].makers) > TOGETHER // 2
