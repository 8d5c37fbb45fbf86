"""`flowlang lsp`: the server of editors, over standard input and output."""

from __future__ import annotations

import click

from flowlang.cli.session import Command, Session
from flowlang.errors import ConfigError


@click.command("lsp", cls=Command)
@click.option("--stdio", is_flag=True, help="Answer over standard input and output, as it always does.")
@click.pass_obj
def command(session: Session, *, stdio: bool) -> int:
    """Answer an editor: findings, completion, definitions, renaming.

    An editor starts it, and speaks the Language Server Protocol with it over standard input and output. The project of
    a file is the nearest folder above it with a flowlang.yaml, so --project has no effect.
    """
    del session, stdio  # editors pass --stdio by custom
    try:
        from flowlang.lsp.server import serve  # noqa: PLC0415 - brings pygls, which is in an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"pygls", "lsprotocol"}:
            raise
        raise ConfigError(
            "the server of editors needs the extra `lsp`: pip install 'flowlang-pipelines[lsp]'"
        ) from error
    return serve()
