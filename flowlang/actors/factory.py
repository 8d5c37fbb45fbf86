"""Pipelines become Dramatiq actors, so that Dramatiq's own tools show them by name and `.send()` starts them.

A message without arguments is a hint: the thread that gets it works on whatever is ready, whichever actor it names. A
message with one argument is a direct call of the pipeline with that data: the same message starts it once, however
often it comes, and one that starts nothing is kept among the dead messages of its queue; one that still waits for the
store when its process stops goes back. Names that no pipeline here has are answered by the generic actor, since a
message may come from a deploy that this process has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import dramatiq
from dramatiq.middleware import CurrentMessage

from flowlang.errors import StoreUnavailableError

if TYPE_CHECKING:
    from dramatiq.broker import MessageProxy

#: What names of our actors begin with.
PREFIX = "flowlang."
#: Answers hints that name no known pipeline.
GENERIC = "flowlang.any"


class Runtime(Protocol):
    """What actors call."""

    def work(self, queue: str) -> None:
        """Work on all queues until there is nothing ready. A hint for `queue` has rung."""

    def call(self, pipeline: str, data: Any, message: str) -> None:
        """Start a pipeline by name, once for each id of a message.

        Raises:
            StoreUnavailableError: when the process is stopping, and nobody knows whether it was started.
        """


class Actors(dict[str, "dramatiq.Actor[..., None]"]):
    """Actors by name; an unknown one of ours is the generic one."""

    def __missing__(self, name: str) -> dramatiq.Actor[..., None]:
        if name.startswith(PREFIX) and GENERIC in self:
            return self[GENERIC]
        raise KeyError(name)


def declare_actors(
    broker: dramatiq.Broker, runtime: Runtime, pipelines: Mapping[str, str], queues: Iterable[str]
) -> None:
    """Make the actors of a project known to a broker; those that it has already stay.

    Args:
        broker: Whose workers run them.
        runtime: What they call.
        pipelines: Pipeline → its queue.
        queues: All queues that are served, those without a pipeline as well.
    """
    if not isinstance(broker.actors, Actors):
        broker.actors = Actors(broker.actors)
    for queue in queues:
        broker.declare_queue(queue)
    if GENERIC not in broker.actors:
        _declare(broker, _actor(broker, runtime), GENERIC, "default")
    for pipeline, queue in pipelines.items():
        if PREFIX + pipeline not in broker.actors:
            _declare(broker, _actor(broker, runtime), PREFIX + pipeline, queue)


def _declare(broker: dramatiq.Broker, function: Callable[..., None], name: str, queue: str) -> None:
    dramatiq.Actor(function, broker=broker, actor_name=name, queue_name=queue, priority=0, options={})


def _actor(broker: dramatiq.Broker, runtime: Runtime) -> Callable[..., None]:
    def work(*arguments: Any) -> None:
        message = cast("MessageProxy | None", CurrentMessage.get_current_message())
        if message is None:  # called by hand
            runtime.work("default")
            return
        if arguments:
            try:
                _call(broker, runtime, message, arguments[0])
            except BaseException:
                message.fail()  # else it would be forgotten
                raise
        runtime.work(message.queue_name)

    return work


def _call(broker: dramatiq.Broker, runtime: Runtime, message: MessageProxy, data: Any) -> None:
    try:
        runtime.call(message.actor_name.removeprefix(PREFIX), data, message.message_id)
    except StoreUnavailableError:
        broker.enqueue(message.copy())  # under the same id; it is settled here when it is there again
