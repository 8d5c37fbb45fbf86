"""The programs of the guides to clients and protocols, run against their page's project: they print what is shown."""

from __future__ import annotations

import gc
import io
import itertools
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from flowlang.project import load_project
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from tests.access import DEV_TOKEN, developing
from tests.docs.blocks import ROOT, Block, blocks, name, titled, write_project
from tests.unit.worker.test_process import World

GUIDES = (ROOT / "docs/guide/clients.md", ROOT / "docs/guide/protocols.md")


def _programs() -> list[tuple[Path, Block, str]]:
    """Each program with what stands behind it as its output."""
    found = []
    for path in GUIDES:
        page = list(blocks(path=path))
        for block, after in itertools.pairwise(page):
            if block.language == "python" and "title" in block.words:
                assert "printed" in after.words, block.place
                found.append((path, block, after.text))
    return found


@pytest.mark.parametrize(
    ("path", "program", "printed"), _programs(), ids=[f"{name(path)}-{block.words['title']}" for path, block, _ in _programs()]
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the Inngest SDK closes nothing
def test_the_programs_of_the_guides_print_what_is_shown(
    path: Path, program: Block, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project(write_project(tmp_path, titled(path)))
    assert project.manifest is not None
    world = World()
    world.service.deploy(project.manifest, project.plans.values())
    server = HttpServer(create_app(world.service, secrets={}, keys=developing(world.store)), port=0)
    server.start()
    monkeypatch.setenv("FLOWLANG_URL", server.url)
    monkeypatch.setenv("FLOWLANG_API_KEY", DEV_TOKEN)
    output = io.StringIO()
    try:
        with world.worker(), redirect_stdout(output):
            exec(compile(program.text, program.place, "exec", dont_inherit=True), {"__name__": "__main__"})
            gc.collect()
            runs = [run.id for run in world.service.runs()]
            assert runs
            assert {world.ended(run).run.status for run in runs} == {"succeeded"}
    finally:
        server.stop()
    assert output.getvalue() == printed
