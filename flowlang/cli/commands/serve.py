"""`flowlang serve`: HTTP in this process."""

from __future__ import annotations

import click

from flowlang.cli.logs import set_up_logs
from flowlang.cli.session import Command, Session
from flowlang.cli.starting import check_servers
from flowlang.cli.wiring import located, serve


@click.command("serve", cls=Command)
@click.option("--host", help="Address to listen on.  [default: FLOWLANG_HTTP_HOST, else 127.0.0.1]")
@click.option("--port", help="Port to listen on; 0 takes a free one.  [default: FLOWLANG_HTTP_PORT, else 8787]")
@click.pass_obj
def command(session: Session, host: str | None, port: str | None) -> int:
    """Take events, webhooks and questions over HTTP.

    SIGTERM or Ctrl-C: /readyz says so, what is under way is answered, then it ends.
    """
    settings = located(session.settings(http_host=host, http_port=port))
    set_up_logs(settings)
    session.as_lines = True
    check_servers(settings, session.console.warn)

    def ready(url: str) -> None:
        if session.as_json:
            session.console.document({"event": "serving", "url": url})
        else:
            session.console.say(f"serving on {url}")

    return serve(settings, ready)
