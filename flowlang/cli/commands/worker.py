"""`flowlang worker`: processes that run steps, timers and rescue, and a supervisor that replaces the dead."""

from __future__ import annotations

import click

from flowlang.cli import children, deploying
from flowlang.cli.session import REFUSED, Command, Session
from flowlang.cli.starting import check_servers
from flowlang.cli.wiring import Project, load_project, located, open_service
from flowlang.service import NotDeployedError, Service
from flowlang.worker.supervisor import Supervisor


@click.command("worker", cls=Command)
@click.option("--processes", metavar="N", help="So many processes.  [default: FLOWLANG_PROCESSES, else 2]")
@click.option("--threads", metavar="N", help="Threads of each process.  [default: FLOWLANG_THREADS, else 8]")
@click.option("--queues", metavar="A,B", help="Serve only these.  [default: FLOWLANG_QUEUES, else all]")
@click.option("--deploy", is_flag=True, help="Deploy the project first; with an error in it, do not start.")
@click.pass_obj
def command(session: Session, processes: str | None, threads: str | None, queues: str | None, *, deploy: bool) -> int:
    """Run steps, timers and rescue, in processes that are replaced when they die.

    SIGTERM or Ctrl-C: running attempts may end within FLOWLANG_SHUTDOWN, the rest is handed back. A second signal ends
    at once.
    """
    flags = {"processes": processes, "threads": threads, "queues": queues}
    project = load_project(session.settings(None, **flags), deploying=deploy)
    settings = located(session.settings(project.settings, **flags))
    session.as_lines = True
    console = session.console
    check_servers(settings, console.warn)
    with open_service(settings) as service:
        if deploy and not _deployed(session, service, project):
            return REFUSED
        if not deploy:
            _remind(session, service)
        service.check_durable()
    if session.as_json:
        children.claim_stdout()
    console.say(f"{settings.processes} x {settings.threads} threads; Ctrl-C ends them in order")
    grace_s = settings.shutdown.total_seconds() + _MARGIN_S
    return Supervisor(children.workers(settings), grace_s, children.told(console)).run()


#: What a process needs beyond its running attempts to hand back and leave, in seconds.
_MARGIN_S = 5.0


def _deployed(session: Session, service: Service, project: Project) -> bool:
    if not deploying.deployable(session.console, project):
        return False
    session.console.say(deploying.deploy(service, project).sentence)
    return True


def _remind(session: Session, service: Service) -> None:
    try:
        service.catalog  # noqa: B018 - read to see whether there is one
    except NotDeployedError as error:
        session.console.warn(f"{error}; the workers wait for it")
