"""`flowlang graph`: a picture of a pipeline, or of how the pipelines of the project start one another."""

from __future__ import annotations

import click

from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.wiring import Project, load_project
from flowlang.diagnostics.suggest import did_you_mean

FORMATS = ("mermaid", "svg", "json")


@click.command("graph", cls=Command)
@click.argument("pipeline", required=False)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(FORMATS),
    help="A Mermaid flowchart, an SVG document that needs nothing else, or data.  [default: mermaid]",
)
@click.pass_obj
def command(session: Session, pipeline: str | None, output_format: str | None) -> int:
    """Draw a pipeline, or the whole project.

    PIPELINE shows its steps: what runs one after another and side by side, loops, waits, what is caught. Without it:
    which webhooks, schedules and events start which pipelines, and what those send. Files with mistakes are left out;
    `flowlang validate` names them.
    """
    from flowlang.compiler.pictures import pipeline_outline, project_network  # noqa: PLC0415 - brings the compiler
    from flowlang.drawing import mermaid  # noqa: PLC0415 - only what is asked for
    from flowlang.drawing.network_svg import network_svg  # noqa: PLC0415 - the same
    from flowlang.drawing.outline_svg import outline_svg  # noqa: PLC0415 - the same

    project = load_project(session.settings())
    shape = output_format or ("json" if session.as_json else "mermaid")
    console = session.console
    if pipeline is None:
        network = project_network(project.graph, project.name)
        left_out = len(project.pipelines) - len(project.graph.nodes)
        if left_out:
            console.warn(
                f"{left_out} of {len(project.pipelines)} pipelines are not in the picture: see `flowlang validate`"
            )
        if shape == "json":
            console.document({"project": network.to_json()})
        else:
            console.out((network_svg(network) if shape == "svg" else mermaid.network_text(network)).rstrip("\n"))
        return OK
    models = (document.model for document in project.pipelines if document.model is not None)
    model = next((each for each in models if each.pipeline == pipeline), None)
    if model is None:
        console.fail(_missing(pipeline, project))
        return REFUSED
    outline = pipeline_outline(model)
    if shape == "json":
        console.document({"pipeline": outline.to_json()})
    else:
        console.out((outline_svg(outline) if shape == "svg" else mermaid.outline_text(outline)).rstrip("\n"))
    return OK


def _missing(pipeline: str, project: Project) -> str:
    names = {document.name for document in project.pipelines if document.name is not None}
    if pipeline in names:
        return f"the pipeline `{pipeline}` has mistakes: `flowlang validate` names them"
    near = did_you_mean(pipeline, names)
    hint = f"; did you mean `{near}`?" if near else ""
    return f"there is no pipeline `{pipeline}`{hint}"
