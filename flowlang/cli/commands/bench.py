"""`flowlang bench`: what a machine does, measured with runs of many small steps."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from flowlang.cli.progress import bar
from flowlang.cli.session import OK, Command, Session
from flowlang.errors import StoreUnavailableError
from flowlang.settings import Settings, safe_url

if TYPE_CHECKING:
    from flowlang.bench.arena import Arena
    from flowlang.bench.sizing import Load, Sizing, State
    from flowlang.cli.console import Console

_TITLES: Final = {"filling": "sending events", "working": "working them off"}


@click.command("bench", cls=Command)
@click.option("--runs", type=click.IntRange(100, 1_000_000), default=10_000, show_default=True, help="So many runs.")
@click.option("--steps", type=click.IntRange(1, 100), default=5, show_default=True, help="Steps of each.")
@click.option("--processes", metavar="N", default="2", show_default=True, help="Worker processes.")
@click.option("--threads", metavar="N", default="8", show_default=True, help="Threads of each.")
@click.option(
    "--handler-ms",
    type=click.FloatRange(0, 60_000),
    metavar="MS",
    default=0,
    show_default=True,
    help="Each call of the handler waits so long, as for another service.",
)
@click.option(
    "--fsync", type=click.Choice(["everysec", "always"]), help="Of the server that is started.  [default: everysec]"
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False, writable=True),
    help="The server's data goes below it meanwhile.  [default: the system's folder for such]",
)
@click.option("--redis-url", metavar="URL", help="Measure on this server, in a namespace of its own.")
@click.pass_obj
def command(
    session: Session,
    runs: int,
    steps: int,
    processes: str,
    threads: str,
    *,
    handler_ms: float,
    fsync: str | None,
    folder: Path | None,
    redis_url: str | None,
) -> int:
    """Measure how many steps a second this machine does.

    Needs no project and touches none. A Valkey server is started in a temporary folder and filled with runs, then
    worker processes work them off. Ctrl-C ends it early; nothing is left behind either way.

    Such as: flowlang bench --runs 2000 --handler-ms 20 --threads 32
    """
    if redis_url is not None and (fsync is not None or folder is not None):
        raise click.UsageError(
            "--fsync and --folder are for the server that bench starts, and --redis-url names another"
        )
    flags = {"redis_url": redis_url, "processes": processes, "threads": threads, "log_level": "error"}
    settings = Settings.from_env({}, flags)  # what the environment says is of the project, which this is not about
    from flowlang.bench.sizing import Load, measure  # noqa: PLC0415 - brings the engine

    load = Load(runs, steps, handler_ms)
    with (
        _ended_by_signals(),
        _explained(settings),
        _arena(settings, fsync or "everysec", folder) as arena,
        bar(session.console) as show,
    ):
        sizing = measure(arena, load, settings.processes, lambda state: show(*_told(state, load)))
    if session.as_json:
        session.console.document(_document(load, settings, sizing))
    else:
        _show(session.console, load, settings, sizing)
    return OK


def _arena(settings: Settings, appendfsync: str, folder: Path | None) -> AbstractContextManager[Arena]:
    from flowlang.bench.sizing import borrowed, embedded  # noqa: PLC0415 - brings the engine

    return embedded(settings, appendfsync, folder) if settings.redis_url is None else borrowed(settings)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The first SIGINT or SIGTERM interrupts; further ones do not disturb the clearing up, which ends by itself."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(_: int, __: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    try:
        yield
    except StoreUnavailableError as error:
        where = "that was started" if settings.redis_url is None else f"at {safe_url(settings.redis_url)}"
        raise StoreUnavailableError(f"the server {where} does not answer ({error})") from error


def _told(state: State, load: Load) -> tuple[str, int, int, str]:
    rate = f"{state.per_s:,.0f} events/s" if state.phase == "filling" else f"{state.per_s * load.steps:,.0f} steps/s"
    return _TITLES[state.phase], state.done, state.total, rate


def _document(load: Load, settings: Settings, sizing: Sizing) -> dict[str, object]:
    how = {**dataclasses.asdict(load), "processes": settings.processes, "threads": settings.threads}
    return {"load": how, **dataclasses.asdict(sizing)}


def _show(console: Console, load: Load, settings: Settings, sizing: Sizing) -> None:
    workers = f"{settings.processes} x {settings.threads} threads"
    console.say(f"{load.runs:,} runs of {load.steps} steps on {workers}, {sizing.server}")
    busy = sizing.server_us * sizing.steps_per_s / 1e6
    spent = "unknown here"
    if sizing.workers_us is not None:
        spent = f"{sizing.workers_us:,.0f} µs ({sizing.workers_us * sizing.steps_per_s / 1e6:.2f} cores)"
    console.table(
        ["measured", "figure"],
        [
            ["steps a second", f"{sizing.steps_per_s:,.0f}"],
            ["runs a second", f"{sizing.runs_per_s:,.0f}"],
            ["time of a run, median", f"{sizing.p50_ms:,.0f} ms"],
            ["time of a run, 99 of 100 below", f"{sizing.p99_ms:,.0f} ms"],
            ["CPU of a step, workers", spent],
            ["CPU of a step, server", f"{sizing.server_us:,.0f} µs ({busy:.2f} cores)"],
            ["server's memory of a queued run", f"{sizing.queued_bytes:,.0f} bytes"],
            ["server's memory of an ended run", f"{sizing.ended_bytes:,.0f} bytes"],
        ],
    )
