"""Run the stand-in by itself, or around a command that is to use it.

    python -m tests.standin --port 8790 --ledger calls.jsonl
    python -m tests.standin -- flowlang dev

Alone it prints the variables to set and answers until it is ended. With a command it runs that command with the
variables set, ends with it, and passes its exit code on.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.standin.server import Standin


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description="Stand-in for the called services.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--ledger", type=Path, help="append each call to this file, as a line of JSON")
    parser.add_argument("command", nargs="*", help="behind --: run this with the variables set")
    options = parser.parse_args(arguments)
    try:
        standin = Standin(port=options.port, host=options.host, ledger=options.ledger)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}; try --port 0", file=sys.stderr)
        return 1
    with standin:
        if options.command:
            return _run(options.command, {**os.environ, **standin.environment()})
        _serve(standin)
    return 0


def _serve(standin: Standin) -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    for name, value in standin.environment().items():
        print(f"export {name}={value}")
    print(f"# the services answer at {standin.base_url}", flush=True)
    ended.wait()


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C reaches the command too; it decides
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
