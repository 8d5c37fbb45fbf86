"""W3C trace context: taken only as the recommendation writes it, and passed on in the same trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.telemetry import Trace, read_trace, span_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (GOOD, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_a_place_in_a_trace_is_read(text: str, sampled: bool) -> None:
    assert read_trace({"traceparent": text}) == Trace(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "-x",
        GOOD.upper(),
        GOOD + " ",
        " " + GOOD,
        GOOD + "\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.x",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE[:-1]}\u0661-{SPAN}-01",
        f"{GOOD},{GOOD}",
    ],
)
def test_what_is_not_written_so_is_no_place_at_all(text: str) -> None:
    assert read_trace({"traceparent": text, "tracestate": "a=1"}) is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("a=1 , b=2,\t,c=3", "a=1,b=2,c=3"),
        ("fw529a3039@dt=FfAAAK", "fw529a3039@dt=FfAAAK"),
        ("a=x y", "a=x y"),
        ("A=1", ""),
        ("a=1,a=2", ""),
        ("a", ""),
        ("a=", ""),
        ("a=1=2", ""),
        ("=1", ""),
        ("a@Dt=1", ""),
        ("a=\u00e9", ""),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        ("a=" + "x" * 256, "a=" + "x" * 256),
        ("a=" + "x" * 257, ""),
        (",".join(f"k{n}={'x' * 100}" for n in range(6)), ""),
    ],
)
def test_of_the_state_all_is_kept_or_nothing(sent: str, kept: str) -> None:
    trace = read_trace({"traceparent": GOOD, "tracestate": sent})
    assert trace is not None
    assert trace.state == kept
    assert trace.headers() == {"traceparent": GOOD} | ({"tracestate": kept} if kept else {})


def test_what_comes_below_is_in_the_same_trace_under_an_id_that_follows_from_ours() -> None:
    trace = Trace(TRACE, SPAN, sampled=True, state="a=1")
    below = trace.below("r00-x")
    assert below == Trace(TRACE, span_id("r00-x"), sampled=True, state="a=1")
    assert below == trace.below("r00-x") != trace.below("r00-y")


@given(st.text(max_size=80), st.text(max_size=600))
def test_no_text_is_too_strange(parent: str, state: str) -> None:
    assert read_trace({"traceparent": parent, "tracestate": state}) is None
    read = read_trace({"traceparent": GOOD, "tracestate": state})
    assert read is not None
    assert read_trace(read.headers()) == read
