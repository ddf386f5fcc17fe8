"""W3C's rules; OpenTelemetry's own reader is the second opinion."""

from __future__ import annotations

import json

import msgspec
import pytest
from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import GenerationRequest, SamplingParams, decode_request, encode
from gemma4_runtime.server.parameters import check_parameters
from gemma4_runtime.trace_context import TraceContext, read_trace, trace_context, trace_fields
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"

VALID = {
    PARENT: PARENT,
    f"  {PARENT}\t": PARENT,
    f"00-{TRACE}-{SPAN}-00": f"00-{TRACE}-{SPAN}-00",
    f"00-{TRACE}-{SPAN}-03": f"00-{TRACE}-{SPAN}-03",
    f"cc-{TRACE}-{SPAN}-01": PARENT,
    f"cc-{TRACE}-{SPAN}-09-what.the-future.will-be.like": PARENT,
    f"01-{TRACE}-{SPAN}-08": f"00-{TRACE}-{SPAN}-00",
}
INVALID = {
    "no text": None,
    "a number": 4711,
    "empty": "",
    "version ff": f"ff-{TRACE}-{SPAN}-01",
    "capitals": PARENT.upper(),
    "no trace": f"00-{'0' * 32}-{SPAN}-01",
    "no span": f"00-{TRACE}-{'0' * 16}-01",
    "more in version 00": f"{PARENT}-x",
    "short": PARENT[:-1],
    "long": PARENT + "0",
    "line end": PARENT + "\n",
    "an escape": f"cc-{TRACE}-{SPAN}-01-\x1b[2J",
    "digits of another script": PARENT.replace("4", "٤"),
    "a flood": f"cc-{TRACE}-{SPAN}-01-" + "x" * 500,
}
STATES = {
    "": "",
    "rojo=00f067aa0ba902b7": "rojo=00f067aa0ba902b7",
    "a=1 , b=2,, c@d=3": "a=1,b=2,c@d=3",
    "a=1,a=2": "",
    "A=1": "",
    "a=\n": "",
    "a=b=c": "",
    "a=\u202e": "",
    ",".join(f"k{n}=1" for n in range(33)): "",
    "a=" + "x" * 600: "",
}


@pytest.mark.parametrize("text", VALID)
def test_valid(text: str) -> None:
    found = trace_context(text)
    assert found is not None and found.parent == VALID[text]
    assert (found.trace_id, found.span_id) == (TRACE, SPAN)
    assert found.sampled == (VALID[text][-1] in "13")


@pytest.mark.parametrize("name", INVALID)
def test_invalid_is_no_context_and_no_error(name: str) -> None:
    assert trace_context(INVALID[name]) is None
    given = {"traceparent": INVALID[name], "tracestate": 4, "Tracestate": None}
    assert read_trace(given) is None
    assert check_parameters(given) == 0


@pytest.mark.parametrize("state", STATES)
def test_state(state: str) -> None:
    """One that is wrong costs the state only."""
    assert trace_context(PARENT, state) == TraceContext(PARENT, STATES[state])


def test_names_in_any_case() -> None:
    assert read_trace({"Traceparent": PARENT, "TRACESTATE": "a=1", "id": "x"}) == TraceContext(
        PARENT, "a=1"
    )
    assert check_parameters({"Traceparent": PARENT, "TRACESTATE": "a=1"}) == 0
    with pytest.raises(RequestError, match="tracepaper"):
        check_parameters({"tracepaper": PARENT})


TEXTS = st.one_of(
    st.text(max_size=80),
    st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?", fullmatch=True),
    st.builds(
        lambda at, more: PARENT[:at] + more + PARENT[at + len(more) :],
        st.integers(0, 56),
        st.text(max_size=3),
    ),
)


@given(TEXTS, st.text(max_size=60))
def test_never_takes_what_opentelemetry_does_not(parent: str, state: str) -> None:
    """And what comes out is what went in, or is cut to what version 00 knows."""
    found = trace_context(parent, state)
    if found is None:
        return
    assert len(found.parent) == 55 and len(found.state) <= 512
    assert (found.parent + found.state).isascii() and (found.parent + found.state).isprintable()
    assert read_trace(trace_fields(found)) == found
    extract = TraceContextTextMapPropagator().extract
    for fields in (trace_fields(found), {"traceparent": parent, "tracestate": state}):
        span = trace.get_current_span(extract(fields, Context())).get_span_context()
        assert f"{span.trace_id:032x}" == found.trace_id
        assert f"{span.span_id:016x}" == found.span_id
        assert bool(span.trace_flags & 1) == found.sampled


@given(st.dictionaries(st.text(max_size=12), st.none() | st.text(max_size=60) | st.integers()))
def test_any_parameters(fields: dict[str, object]) -> None:
    read_trace(fields | {"traceparent": json.dumps(fields)})


def test_it_travels_in_the_message() -> None:
    trace = TraceContext(PARENT, "a=1")
    request = GenerationRequest("k", [1], SamplingParams(max_tokens=1), trace=trace)
    assert decode_request(encode(request)).trace == trace
    assert decode_request(encode(msgspec.structs.replace(request, trace=None))).trace is None
