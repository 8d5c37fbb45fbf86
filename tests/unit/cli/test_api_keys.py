"""API keys on the command line: shown once, listed without their text, replaced and revoked."""

from __future__ import annotations

import re

import pytest

from flowlang.service import KeyRing
from tests.unit.cli.desk import Desk

KEY = re.compile(r"flk_[0-9a-f]{12}_[0-9a-f]{64}")


def holder(desk: Desk, text: str) -> str | None:
    """Whose key a server takes this for."""
    ring = KeyRing(desk.store)
    ring.refresh()
    caller = ring.caller(text)
    return None if caller is None else caller.name


def test_a_key_is_shown_once_alone_on_stdout_and_never_again(desk: Desk) -> None:
    made = desk.call("api-keys", "create", "shop", "--send", "shop/*", "--expires", "90d")
    assert made.exit_code == 0
    text = made.stdout.strip()
    assert KEY.fullmatch(text)
    assert text not in made.stderr
    assert holder(desk, text) == "shop"
    for command in (["list"], ["list", "--json"]):
        shown = desk.call("api-keys", *command)
        assert text not in shown.output
        assert text.rpartition("_")[2] not in shown.output
    assert f"{text[:16]}_…" in desk.call("api-keys", "list").stdout


@pytest.mark.parametrize(
    ("options", "grants"),
    [
        (["--send", "shop/*"], {"send": ["shop/*"]}),
        (["--send", "a,b", "--send", "c"], {"send": ["a", "b", "c"]}),
        (["--call", "welcome"], {"call": ["welcome"]}),
        (["--read"], {"read": ["*"]}),
        (["--read", "--control"], {"read": ["*"], "control": ["*"]}),
        (["--read", "welcome,farewell", "--control", "welcome"], {"read": ["welcome", "farewell"], "control": ["welcome"]}),
        (["--admin"], {"admin": True}),
        (["--control", "a", "--delete", "a,b"], {"control": ["a"], "delete": ["a", "b"]}),
        (["--delete"], {"delete": ["*"]}),
        (["--admin", "--reveal", "welcome"], {"admin": True, "reveal": ["welcome"]}),
        (["--read", "--reveal"], {"read": ["*"], "reveal": ["*"]}),
    ],
)  # fmt: skip
def test_a_key_grants_what_its_options_say_and_nothing_else(
    desk: Desk, options: list[str], grants: dict[str, object]
) -> None:
    assert desk.call("api-keys", "create", "shop", *options).exit_code == 0
    (row,) = desk.read("api-keys", "list")["api_keys"]
    assert (row["name"], row["grants"], row["expires"], row["used"], row["usable"]) == (
        "shop",
        grants,
        None,
        None,
        True,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["create", "shop"], 1, "the key would grant nothing"),
        (["create", "shop", "--group", "ops"], 1, "the key would grant nothing"),
        (["create", "shop", "--reveal"], 1, "give --read with the same names"),
        (["create", "Shop", "--admin"], 1, "is no name of a key"),
        (["create", "shop", "--send", "shop*"], 1, "names no events"),
        (["create", "shop", "--admin", "--rate", "fast"], 1, "write such as `100/s`"),
        (["create", "shop", "--admin", "--expires", "90"], 2, "has no unit"),
        (["rotate", "nobody"], 1, "no key 'nobody'"),
        (["revoke", "nobody"], 1, "no key 'nobody'"),
        (["create", "taken", "--admin"], 1, "there is a key 'taken'"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    desk: Desk, arguments: list[str], status: int, says: str
) -> None:
    desk.call("api-keys", "create", "taken", "--read")
    before = desk.store.api_keys()
    result = desk.call("api-keys", *arguments)
    assert (result.exit_code, says in result.stderr) == (status, True)
    assert desk.store.api_keys() == before


def test_a_key_is_replaced_with_a_grace_and_revoked_at_once(desk: Desk) -> None:
    old = desk.read("api-keys", "create", "shop", "--send", "*", "--group", "ops")
    new = desk.read("api-keys", "rotate", "shop", "--grace", "1h")
    assert new["name"] == "shop"
    assert (holder(desk, old["key"]), holder(desk, new["key"])) == ("shop", "shop")
    desk.clock.advance(3_600_000)
    assert (holder(desk, old["key"]), holder(desk, new["key"])) == (None, "shop")
    assert [row["groups"] for row in desk.read("api-keys", "list")["api_keys"]] == [["ops"], ["ops"]]
    assert "expired" in desk.call("api-keys", "list").stdout
    desk.call("api-keys", "revoke", "shop")
    assert holder(desk, new["key"]) is None
    assert desk.call("api-keys", "list").stderr.startswith("no keys")
