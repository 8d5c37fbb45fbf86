"""Whether what a scope is doing is still wanted: cancel of the run, and time-outs of the containers around it."""

from __future__ import annotations

from flowlang.engine.state import BlockFrame, ErrorInfo, Result, ScopeState


def interrupted_by(state: ScopeState) -> ErrorInfo | None:
    """Tell why the top of a stack is not wanted any more.

    Args:
        state: The scope.

    Returns:
        The time-out, of a container or the run, or the cancel; None when the top is wanted, or is shielded by a
        finally, undo or on_failure at work.
    """
    stack = state.stack
    last = len(stack) - 1
    for at in range(last, -1, -1):
        frame = stack[at]
        if isinstance(frame, BlockFrame):
            if frame.slot == "on_failure":
                return None
        elif frame.phase == "finally" or frame.undo is not None:
            return None
        elif frame.interrupted is not None and (at < last or frame.phase in ("joining", "invoking")):
            return frame.interrupted
    if state.overdue is not None:
        return state.overdue
    return None if state.cancel is None else ErrorInfo("cancelled", "cancelled", state.cancel)


def cancelled(why: ErrorInfo) -> Result:
    """The end of something that is not wanted any more. Nothing catches or tolerates it."""
    return Result("cancel", error=ErrorInfo("cancelled", "cancelled", why.message))
