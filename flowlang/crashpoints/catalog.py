"""Every crash point, with what would be lost or doubled there if the answer of the design were wrong.

`tests/unit/test_crashpoints.py` holds the code to this list, `tests/proofs/f2.py` strikes each of them in each way.
Labels that end in `.before_send` and `.after_reply` are passed by `store.crashing`, for what a flush carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_PLACES: Final = {
    # Taking events, over HTTP or from the command line.
    "accept.routed": "An event that was routed and not written is lost, unless its sender has got no 202 and repeats.",
    "accept.written": "The event is stored and its sender not told: sent again, it would start its runs twice.",
    "accept.before_secure": "The event is stored and not yet known to be on the disk: a 202 would promise too much.",
    "accept.secured": "The event is safe and its sender not told: sent again, it would start its runs twice.",
    "event.answered": "All events of a request are stored, and none of them is answered.",
    "call.stored": "A called run exists and its caller does not know its id: the same key must find it.",
    "webhook.verified": "A signed delivery that was not stored is lost, unless its sender repeats it.",
    "webhook.stored": "A delivery is stored: repeated by its sender, it would start its runs twice.",
    "webhook.answering": "The same, one moment before the 202.",
    "http.event_stored": "The response of one event is not sent.",
    "http.list_stored": "The response of a list is not sent: all of its events come again.",
    "http.call_stored": "The response of a call is not sent: the call comes again with its key.",
    "http.replay_made": "The response of a replay is not sent: it comes again with its key, and must be one run.",
    "http.cancel_written": "The response of a cancel is not sent: the run must still end as cancelled, once.",
    # What all writers share that are no workers.
    "writer.before_flush": "A flush of several requests is numbered and not sent: the number must not be used again.",
    "writer.answered": "A flush is written and none of the requests in it knows: their senders repeat.",
    "writer.rung": "The same, behind the wish for hints.",
    # Deploying and what follows from it.
    "deploy.checked": "A deploy that was checked and not written must leave the old versions active.",
    "deploy.written": "The new manifest is active and the deployer dead: deployed again, it must be the same epoch.",
    "deploy.read": "The new manifest is active and old plans are not pruned: the next deploy must do it.",
    "prune.chosen": "Plans are chosen to be dropped while another deploy may need them.",
    "prune.dropped": "Plans are dropped: none of them may be one that a live run has.",
    "manifest.read": "A manifest is read and its catalog not made: a process must not go on with half of each.",
    "epoch.changed": "A worker has heard of another epoch and not read it: it must read it later.",
    # Steering runs.
    "cancel.checked": "A cancel that was not written is not made: who asked for it repeats.",
    "cancel.written": "The cancel is in the inbox and who asked does not know: asked again, it must be one end.",
    "replay.asked": "A replay that was not written is not made: who asked for it repeats.",
    "replay.made": "The replay of a dead letter exists and the letter is still listed: retried, it must be one run.",
    "replay.resolved": "The replay exists, the letter is gone, and nobody knows: asked again, it must say so.",
    "dead_letter.sent": "A dead event was sent again and is still listed: retried, it must start no second run.",
    "dead_letter.resolved": "A dead event was sent again and who asked does not know.",
    "dead_letter.discarded": "A letter is off the list and who asked does not know.",
    # Time: what is due is found by every worker.
    "delayed.due": "A delayed event was found due and not sent: another worker must send it.",
    "delayed.sent": "A delayed event was sent: nobody may send it again.",
    "tick.due": "A tick was found due and not fired: another worker must fire it.",
    "tick.fired": "A tick was fired: nobody may fire it again.",
    "tick.looked": "A look at the schedules is over.",
    "sweep.due": "Nobody sweeps: timers, ended leases and ready rows must be found by the others.",
    "sweep.done": "A sweep has fired timers and rescued scopes, and its worker does not know.",
    "lease.due": "Leases are not renewed: their scopes are taken over, and their commits must be refused.",
    "lease.renewed": "Leases are renewed and the answer not looked at: a cancel in it must come again.",
    # A scope in a worker's hands.
    "scope.claimed": "A scope is claimed and nobody runs it: its lease must end.",
    "turn.made": "A turn was made and is not written: whoever claims the scope makes it again, from the same facts.",
    "handler.before": "What must be known before a call is written, and the call is not made.",
    "attempt.begun": "An attempt has begun and its handler has not: it is made again, under the same number and key.",
    "handler.after": "A handler has done its work and nobody knows: it is called again, unless it must not be.",
    "commit.made": "The result of a handler is put together and not sent: the handler is called again.",
    "commit.acknowledged": "A commit is acknowledged and its worker does not go on: nothing of it may be done again.",
    "scope.handing_back": "A worker stops and has not handed a scope back: its lease must end.",
    "flush.gathered": "What several threads have to write is gathered and not sent.",
    "flush.answered": "A flush is written, and none of the threads that wait for it knows.",
    "store.sent": "A flush is on its way, and its sender will not hear what comes of it.",
    # Hints.
    "hint.wanted": "A hint is lost: the sweep must find the row.",
    "hint.sent": "A hint is sent, and more that were wanted are lost.",
    "broker.hinted": "A hint is there, and its sender does not know: a second one must do no harm.",
    "broker.enqueued": "A message lies on the queue, and its sender does not know: a second one must do no harm.",
    "consumer.before_fetch": "A consumer is gone before it took anything.",
    "consumer.rung": "A hint is taken and nobody works on it: its rows must be found by the sweep.",
    "consumer.fetched": "Messages are taken and nobody works on them: they must come again.",
    "consumer.before_ack": "A message is done with and not forgotten: it comes again and must do no harm.",
    "consumer.acked": "A message is forgotten.",
    "consumer.requeue": "A worker stops, and messages that it did not begin are not handed back.",
    "consumer.leaving": "A consumer leaves and has not said so.",
    "consumer.left": "A consumer has left.",
    # Processes.
    "worker.booting": "A worker dies while it starts: the supervisor must start another one.",
    "worker.started": "A worker dies as soon as it works.",
    "worker.stopping": "A worker was told to stop and dies with attempts under way: their leases must end.",
    "worker.hand_back": "A worker stops and has not handed back what it holds: leases must end.",
    "worker.leaving": "A worker has handed back what it holds and is still counted as listening.",
    "worker.left": "A worker has left and dies before its connections are closed.",
    "serve.listening": "The HTTP server has its port and serves nobody.",
    "serve.ended": "The HTTP server has answered all, and does not close what it has open.",
    "supervisor.spawned": "A supervisor dies with a child just started: the child must die, too.",
    "supervisor.died": "A supervisor dies when it has seen a child's end: its other children must die, too.",
    "supervisor.buried": "The same, when the dead child was waited for and not replaced.",
    "supervisor.stopping": "A supervisor dies when it was told to stop and has told no child.",
}

_CARRIED: Final = {
    "accepting": "an event with all its runs",
    "ticking": "the run of a tick",
    "sending_late": "an event whose delay is over",
    "committing": "a turn of a scope",
    "fanning_out": "the children of a loop or of branches: all of them, or none",
    "joining": "the end of a child, which must be counted once",
    "waiting": "a wait, which must find what came before it",
    "taking": "the question for an event that several waits want, which one of them gets",
    "invoking": "a child run, which must be made once and told of once",
    "emitting": "an event that a run sends, or its outcome, which must be one",
    "finishing": "the end of a run",
    "failing": "the end of a run and its dead letter: both, or neither",
    "undoing": "an entry of the undo list, with the checkpoint that it belongs to",
    "timing": "a timer, such as that of a retry, with the attempt that failed",
    "delaying": "an event that is to be sent later",
    "gating": "a request for a place under a limit, which must be given back",
    "caching": "an output that is kept for other runs, or the question for one",
    "ending_children": "the cancel of a child run",
    "renewing": "proof of life for all that a worker holds",
    "releasing": "a scope that is handed back, without using a rescue",
    "cancelling": "the cancel of a run",
    "sweeping": "the search for what is overdue",
    "deploying": "plans and the manifest that names them",
    "pruning": "plans that are dropped",
    "resolving": "a dead letter that comes off the list",
    "deleting": "the rows of an ended run that are freed at once, with its family",
    "leaving": "a worker's farewell",
}


def _flushed() -> dict[str, str]:
    found = {"claiming.after_reply": "Rows are claimed and nobody runs them: their leases must end."}
    for kind, what in _CARRIED.items():
        found[f"{kind}.before_send"] = f"Not sent: {what}."
        found[f"{kind}.after_reply"] = f"Written, and its sender does not know: {what}."
    return found


#: Label → what is at stake there.
CATALOG: Final[Mapping[str, str]] = MappingProxyType({**_PLACES, **_flushed()})
