"""Ties a child process to its parent: when the parent dies, however it dies, the child is told by a signal.

Linux only (`PR_SET_PDEATHSIG`); elsewhere the child starts as it is, and only an orderly end of the parent reaches it.
The request has to be made in the child, and `preexec_fn` is not safe in a process with threads, so this file is run as
a script between the two: it makes the request and turns into the wanted program. It imports nothing of ours, because
it runs without site-packages to start in a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def tethered(argv: Sequence[str], on_parent_death: signal.Signals) -> list[str]:
    """Give the command line that runs `argv` tied to the calling process.

    The tie is to the calling *thread*: start the child from one that lives as long as the child should.

    Args:
        argv: The program (found on PATH when it is a bare name) and its arguments.
        on_parent_death: What the child gets when the caller ends.

    Returns:
        A command line of the same meaning.
    """
    if not sys.platform.startswith("linux"):
        return list(argv)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(on_parent_death)), *argv]


def _main(parent: int, signum: int, argv: list[str]) -> None:
    import ctypes  # noqa: PLC0415 - only the child needs it

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent:  # it died before it could be watched
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted; the caller's own command line
    except OSError as error:
        sys.exit(f"cannot run {argv[0]}: {error.strerror}")


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
