"""`flowlang deploy`: make this version of the project the active one."""

from __future__ import annotations

import click

from flowlang.cli.deploying import change_as_json, counted, deploy, deployable, preview
from flowlang.cli.progress import progress
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.starting import check_servers
from flowlang.cli.wiring import load_project, located, open_service


@click.command("deploy", cls=Command)
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.pass_obj
def command(session: Session, *, dry_run: bool) -> int:
    """Make this version of the project the active one.

    It is checked first: with an error nothing is deployed. Runs that are under way end with the version they began
    with.
    """
    settings = session.settings()
    console = session.console
    with progress(console, "deploying") as show:
        show("checking")
        project = load_project(settings, deploying=True)
        if not deployable(console, project):
            return REFUSED
        show(counted(project))
        settings = located(settings)
        check_servers(settings, console.warn)
        with open_service(settings) as service:
            if dry_run:
                change = preview(service, project)
                if session.as_json:
                    console.document({"would_deploy": change_as_json(change)})
                else:
                    console.out(f"would deploy: {change.sentence}")
                return OK
            deployment = deploy(service, project)
    if session.as_json:
        console.document({"deployed": deployment.as_json()})
    else:
        console.out(deployment.sentence)
    return OK
