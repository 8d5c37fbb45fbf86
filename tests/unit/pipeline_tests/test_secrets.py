"""What a test shows has none of its secrets, whatever handlers do with them."""

from __future__ import annotations

import logging

import pytest

from tests.unit.pipeline_tests.playing import Player
from tests.unit.project.projects import write_project

SECRET = "canary-secret-4242"
FILES = {
    "handlers/vault.py": """
from flowlang import Context, handler


@handler("vault.open", effect="idempotent", retry={"attempts": 1})
def open_vault(key: str, ctx: Context) -> dict[str, str]:
    ctx.logger.warning("opening with %s", key)
    raise RuntimeError(f"{key} does not fit, nor does {ctx.secrets['OTHER']}")
""",
    "pipelines/vault.yaml": """
flowlang: 1
pipeline: vault
steps:
  - {id: open, uses: vault.open, with: {key: "${{ secrets.KEY }}"}}
""",
}


@pytest.mark.parametrize("handlers", ["real", "{vault.open: {return: {a: b}}}"])
def test_no_secret_of_a_test_is_told(player: Player, handlers: str, caplog: pytest.LogCaptureFixture) -> None:
    write_project(player.folder, FILES)
    wanted = "succeeded" if handlers == "real" else "failed"
    test = f"""
test: it opens
pipeline: vault
given: {{call: {{}}}}
secrets: {{KEY: {SECRET}, OTHER: {SECRET[::-1]}}}
handlers: {handlers}
then: {{status: {wanted}}}
"""
    suite = player.suite(test)
    with caplog.at_level(logging.ERROR):
        result = suite.run(suite.tests[0])
    assert result.status == "failed"
    told = f"{result.failures} {result.lines} {result.journals} {caplog.text if handlers == 'real' else ''}"
    assert "***" in told
    assert SECRET not in told.replace(suite.tests[0].source.text, "")
    assert SECRET[::-1] not in told
