"""What never reaches an engine, whoever made it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from gemma4_runtime.contract.inputs import SAMPLING as DECLARED
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.messages import (
    GenerationRequest,
    GuidedDecoding,
    Prelude,
    SamplingParams,
    decode_request,
    encode,
)
from gemma4_runtime.server.request_check import RequestCheck
from gemma4_runtime.trace_context import TraceContext

INFO = EngineInfo(
    runtime="synthetic", version="1", precision="none", slots=4, max_queued=4,
    max_total_tokens=100, vocab_size=2000,
)  # fmt: skip
FINE = GenerationRequest(key="k" * 32, input_ids=[0, 1999], sampling=SamplingParams(max_tokens=98))
INF, NAN = float("inf"), float("nan")

REQUEST = [
    ("key", ""), ("key", "k" * 65), ("request_id", "x" * (2**20 + 1)), ("input_ids", []),
    ("input_ids", [2000]), ("input_ids", [-1]), ("input_ids", [2**31 - 1]), ("input_ids", [2**63]),
    ("input_ids", [1] * 3), ("input_ids", [1] * 1000), ("deadline", NAN), ("arrival", INF),
    ("place", (-1, 0)), ("place", (0, 4096)), ("trace", TraceContext("x")),
    ("trace", TraceContext(f"00-{'1' * 32}-{'2' * 16}-01", "\n")),
]  # fmt: skip
SAMPLING = [
    ("max_tokens", 0), ("max_tokens", -1), ("max_tokens", 99), ("max_tokens", 2**62),
    ("min_tokens", -1), ("min_tokens", 99), ("temperature", -1.0), ("temperature", NAN),
    ("temperature", INF), ("top_k", -1), ("top_k", 2**31), ("top_p", -0.1), ("top_p", 2.0),
    ("top_p", NAN), ("min_p", -0.1), ("min_p", NAN), ("repetition_penalty", 0.0),
    ("repetition_penalty", INF), ("presence_penalty", 3.0), ("frequency_penalty", NAN),
    ("seed", -1), ("seed", 2**64), ("stop_token_ids", (2000,)), ("named_stop_ids", (7,)), ("bad_token_ids", (-1,)),
    ("logit_bias", ((2000, 1.0),)), ("logit_bias", ((-1, 1.0),)), ("logit_bias", ((1, 100.5),)),
    ("logit_bias", ((1, NAN),)), ("logit_bias", ((1, 1.0),) * 5000),
    ("bad_sequences", ((1, 2000),)), ("bad_sequences", ((),)), ("stop", ("",)),
    ("stop", ("x",) * 5000), ("bad_sequences", ((1,),) * 5000),
    ("guided", GuidedDecoding("regex", "x" * (2**20 + 1))),
    ("prelude", Prelude("may", ("f",) * 5000)), ("top_log_probs", -1), ("top_log_probs", 21),
]  # fmt: skip
SAMPLING += [
    (option.param, value)
    for option in DECLARED
    for value in (option.bounds[0] - 1, option.bounds[1] * 2 + 1, NAN)
    if (option.param, value) not in SAMPLING and not (option.whole and value is NAN)
]


def test_a_sound_one_passes() -> None:
    RequestCheck(INFO).check(FINE)


def test_every_field_has_a_case() -> None:
    checked = {name for name, _ in REQUEST + SAMPLING}
    fields = {*GenerationRequest.__struct_fields__, *SamplingParams.__struct_fields__}
    # Text and flags, for which every value is one.
    assert fields - checked == {
        "sampling", "stream", "channel", "parse_tools", "echo", "log_probs",
        "one_call", "check", "include_stop",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "value"), REQUEST + SAMPLING)
def test_the_rest_is_refused(name: str, value: Any) -> None:
    if (name, value) in REQUEST:
        request = msgspec.structs.replace(FINE, **{name: value})
    else:
        sampling = msgspec.structs.replace(FINE.sampling, **{name: value})
        request = msgspec.structs.replace(FINE, sampling=sampling)
    field = {"seed": "random_seed"}.get(name, "max_tokens" if name == "input_ids" else name)
    with pytest.raises((RequestError, msgspec.MsgspecError, OverflowError)) as caught:
        RequestCheck(INFO).check(decode_request(encode(request)))
    if isinstance(caught.value, RequestError):
        assert caught.value.status is Status.INTERNAL
        assert caught.value.message.split()[0] in (name, field)
