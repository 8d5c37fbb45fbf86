"""`flowlang dev`: everything in one terminal. What it is made of is in `flowlang.cli.development`."""

from __future__ import annotations

import signal

import click

from flowlang.cli import children
from flowlang.cli.development import Development, free_port, stored, with_token
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.starting import check_servers
from flowlang.cli.wiring import load_project, open_service


@click.command("dev", cls=Command)
@click.option("--host", help="Address of HTTP.  [default: FLOWLANG_HTTP_HOST, else 127.0.0.1]")
@click.option("--port", help="Port of HTTP; 0 takes a free one.  [default: FLOWLANG_HTTP_PORT, else 8787]")
@click.option("--processes", metavar="N", help="Worker processes.  [default: FLOWLANG_PROCESSES, else 2]")
@click.option("--threads", metavar="N", help="Threads of each.  [default: FLOWLANG_THREADS, else 8]")
@click.pass_obj
def command(session: Session, host: str | None, port: str | None, processes: str | None, threads: str | None) -> int:
    """Run everything in this terminal and deploy on each change.

    A Valkey server with its data in .flowlang (or the one of FLOWLANG_REDIS_URL), workers, timers and HTTP. A change is
    checked first: with an error in it, the version before keeps serving. Ctrl-C ends all of it and loses nothing.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until there is something to stop in order
    session.as_lines = True
    if session.as_json:
        children.claim_stdout()
    flags = {"http_host": host, "http_port": port, "processes": processes, "threads": threads}
    project = load_project(session.settings(None, **flags), deploying=True)
    settings = with_token(free_port(session.settings(project.settings, **flags)))
    with stored(settings) as (settings, server), open_service(settings) as service:
        if server is None:
            check_servers(settings, session.console.warn)
        development = Development(session.console, settings, service, server)
        return OK if development.run(project) else REFUSED
