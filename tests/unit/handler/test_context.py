"""The context that a handler takes, and the settings and secrets in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowlang import Context, Env, resource
from flowlang.errors import Cancelled, Permanent
from flowlang.handler.context import RunInfo
from flowlang.handler.env import Secrets
from flowlang.redaction import HIDDEN

START = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)


def test_remaining_counts_down_to_zero_and_no_further() -> None:
    times = iter([START, START + timedelta(seconds=20), START + timedelta(seconds=90)])
    ctx = Context.for_test(timeout=60, now=lambda: next(times))
    assert ctx.deadline == START + timedelta(seconds=60)
    assert [ctx.remaining(), ctx.remaining()] == [40, 0]


def test_a_cancelled_attempt_says_so_and_can_stop_itself() -> None:
    ctx = Context.for_test()
    ctx.raise_if_cancelled()
    assert not ctx.cancelled
    ctx.cancel()
    assert ctx.cancelled
    with pytest.raises(Cancelled):
        ctx.raise_if_cancelled()


def test_log_records_carry_run_step_and_attempt(caplog: pytest.LogCaptureFixture) -> None:
    ctx = Context.for_test(run=RunInfo("r1", "videos", "v1"), step="pages[3].notify", attempt=2)
    with caplog.at_level(logging.INFO):
        ctx.logger.info("sent %d", 3)
    (record,) = caplog.records
    fields = {name: vars(record)[name] for name in ("run", "pipeline", "step", "attempt")}
    assert fields == {"run": "r1", "pipeline": "videos", "step": "pages[3].notify", "attempt": 2}
    assert record.getMessage() == "sent 3"


def test_secrets_come_from_variables_or_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n", encoding="utf-8")
    secrets = Secrets({"A": "from-variable", "B_FILE": str(tmp_path / "token"), "C_FILE": str(tmp_path / "absent")})
    assert (secrets["A"], secrets["B"]) == ("from-variable", "from-file")
    assert secrets.get("Z") is None
    assert secrets.get("Z", "none") == "none"
    assert secrets.get("A", "none") == "from-variable"
    assert "A" in secrets
    assert "Z" not in secrets
    with pytest.raises(Permanent, match="cannot be read from the file that C_FILE names: FileNotFoundError"):
        secrets["C"]


def test_a_missing_secret_or_setting_says_how_to_set_it() -> None:
    ctx = Context.for_test()
    with pytest.raises(Permanent, match="set the variable MUX_TOKEN, or MUX_TOKEN_FILE") as secret:
        ctx.secrets["MUX_TOKEN"]
    with pytest.raises(Permanent, match="set the variable MUX_BASE_URL") as setting:
        ctx.env["MUX_BASE_URL"]
    assert (secret.value.code, setting.value.code) == ("secret.missing", "setting.missing")


def test_settings_and_secrets_are_read_from_the_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Env()
    monkeypatch.setenv("MUX_BASE_URL", "http://mux")
    monkeypatch.setenv("MUX_TOKEN", "t0ken")
    assert env["MUX_BASE_URL"] == env.get("MUX_BASE_URL") == "http://mux"
    assert "MUX_BASE_URL" in env
    assert env.get("OTHER_BASE_URL", "http://other") == "http://other"
    assert env.secrets["MUX_TOKEN"] == "t0ken"


@pytest.mark.parametrize(
    "text",
    [
        'key p@ss/wörd"1 refused',
        "https://x/?k=p%40ss%2Fw%C3%B6rd%221",
        '{"k": "p@ss/w\\u00f6rd\\"1"}',
        "p%40ss/w%C3%B6rd%221",
    ],
)
def test_a_secret_that_was_handed_out_is_redacted_in_all_its_spellings(text: str) -> None:
    secrets = Secrets({"KEY": 'p@ss/wörd"1', "EMPTY": ""})
    assert secrets.redact(text) == text
    assert (secrets["KEY"], secrets["EMPTY"]) == ('p@ss/wörd"1', "")
    cleaned = secrets.redact(text)
    assert HIDDEN in cleaned
    assert "rd" not in cleaned.replace("refused", "")


def test_a_secret_within_a_longer_one_leaves_nothing_behind() -> None:
    secrets = Secrets({"SHORT": "abcd", "LONG": "abcd-def"})
    assert [secrets["SHORT"], secrets["LONG"]] == ["abcd", "abcd-def"]
    assert secrets.redact("abcd-def abcd") == f"{HIDDEN} {HIDDEN}"


def test_a_secret_of_few_characters_is_hidden_where_it_stands_alone() -> None:
    secrets = Secrets({"PIN": "abc"})
    assert secrets["PIN"] == "abc"
    assert (secrets.redact("abc"), secrets.redact("abcd")) == (HIDDEN, "abcd")


def test_no_secret_is_shown_by_repr() -> None:
    ctx = Context.for_test(secrets={"KEY": "hunter2"}, env={"URL": "hunter3"})
    assert ctx.secrets["KEY"] == "hunter2"
    assert "hunter" not in f"{ctx!r} {ctx.secrets!r} {ctx.env!r}"


@resource
def numbers(env: Env) -> Iterator[list[str]]:
    yield [env["URL"]]


def test_a_test_gives_its_own_resources() -> None:
    assert Context.for_test(resources={numbers: ["fake"]}).resource(numbers) == ["fake"]
    with pytest.raises(LookupError, match=r"has no value for .*numbers"):
        Context.for_test().resource(numbers)


def test_a_context_in_a_trace_has_headers_for_others_and_the_trace_in_its_records(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "a=1"}
    inside, outside = Context.for_test(trace_headers=headers), Context.for_test()
    assert (inside.trace_headers, outside.trace_headers) == (headers, {})
    for ctx in (inside, outside):
        ctx.logger.warning("here")
    assert [record.__dict__.get("trace") for record in caplog.records] == [trace, None]
