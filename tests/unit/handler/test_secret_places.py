"""Where a secret is looked up: `secrets: {from: …}` of flowlang.yaml says the places and their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.errors import Permanent
from flowlang.handler.env import Env, Secrets


@pytest.mark.parametrize(
    ("places", "variables", "found"),
    [
        (("env", "files"), {"KEY", "KEY_FILE"}, "of the variable"),
        (("files", "env"), {"KEY", "KEY_FILE"}, "of the file"),
        (("files", "env"), {"KEY"}, "of the variable"),
        (("env", "files"), {"KEY_FILE"}, "of the file"),
        (("files",), {"KEY", "KEY_FILE"}, "of the file"),
        (("files",), {"KEY"}, None),
        (("env",), {"KEY", "KEY_FILE"}, "of the variable"),
        (("env",), {"KEY_FILE"}, None),
    ],
)
def test_the_first_place_that_has_it_gives_a_secret(
    tmp_path: Path, places: tuple[str, ...], variables: set[str], found: str | None
) -> None:
    (tmp_path / "key").write_text("of the file\n", encoding="utf-8")
    source = {"KEY": "of the variable", "KEY_FILE": str(tmp_path / "key")}
    secrets = Secrets({name: source[name] for name in variables}, places=lambda: places)

    assert secrets.get("KEY") == found
    assert ("KEY" in secrets) is (found is not None)


@pytest.mark.parametrize(
    ("places", "advice"),
    [
        (("env", "files"), "set the variable KEY, or KEY_FILE to the path of a file"),
        (("files", "env"), "set KEY_FILE to the path of a file, or the variable KEY"),
        (("files",), "set KEY_FILE to the path of a file"),
    ],
)
def test_a_missing_secret_says_where_it_would_be_found(places: tuple[str, ...], advice: str) -> None:
    with pytest.raises(Permanent, match="the secret 'KEY' is missing") as caught:
        Env({}, places=lambda: places).secrets["KEY"]

    assert str(caught.value).endswith(advice)


def test_a_deploy_that_changes_the_places_is_heeded_at_once(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of the file", encoding="utf-8")
    places = ["env", "files"]
    secrets = Secrets({"KEY": "of the variable", "KEY_FILE": str(tmp_path / "key")}, places=lambda: places)
    before = secrets["KEY"]

    places.reverse()

    assert (before, secrets["KEY"]) == ("of the variable", "of the file")
