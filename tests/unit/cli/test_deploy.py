"""Making a project active: what changes is said before and after, and nothing with an error is deployed."""

from __future__ import annotations

from tests.unit.cli.desk import FAREWELL, WELCOME, Desk, loaded, pipeline
from tests.unit.cli.test_validate import finding


def test_what_changes_is_said(desk: Desk) -> None:
    desk.project = loaded(pipeline("welcome", description="another"), pipeline("thanks"))
    expected = "1 new (thanks), 1 changed (welcome), 1 removed (farewell)"
    preview = desk.call("deploy", "--dry-run")
    assert (preview.exit_code, preview.stdout) == (0, f"would deploy: {expected}\n")
    assert set(desk.service.catalog.manifest.pipelines) == {"welcome", "farewell"}
    result = desk.call("deploy")
    assert (result.exit_code, result.stdout) == (0, f"deployed as epoch 2: {expected}\n")
    assert set(desk.service.catalog.manifest.pipelines) == {"welcome", "thanks"}
    assert result.stderr == "deploying: checking\ndeploying: 2 pipelines\n"
    assert desk.deploying == [True, True]


def test_the_same_version_is_deployed_once(desk: Desk) -> None:
    desk.project = loaded(WELCOME, FAREWELL)
    first, again = (desk.read("deploy")["deployed"] for _ in range(2))
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["epoch"] == again["epoch"]
    assert again["pipelines"]["unchanged"] == ["farewell", "welcome"]
    assert "active already" in desk.call("deploy").stdout


def test_with_an_error_nothing_is_deployed(desk: Desk) -> None:
    desk.project = loaded(pipeline("thanks"), diagnostics=[finding("pipelines/a.yaml")])
    result = desk.call("deploy")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[FL101]" in result.stderr
    refused = desk.read("deploy", status=1)
    assert refused["deployed"] is None
    assert refused["summary"]["errors"] == 1
    desk.service.refresh()
    assert "thanks" not in desk.service.catalog.manifest.pipelines


def test_a_preview_needs_the_store_and_says_so(desk: Desk) -> None:
    desk.away = True
    assert desk.call("deploy", "--dry-run").exit_code == 2
