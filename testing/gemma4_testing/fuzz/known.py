"""What is known to end Triton 2.51 itself, whatever models it serves: the fuzzer leaves it out by
these names. docs/security.md lists them with what to do; test_known_crashes.py sends one of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import prod

from gemma4_testing.fuzz.spec import OUTPUTS, Spec

MOST_ELEMENTS = 2**31
MOST_NESTING = 500_000


def classified_text(spec: Spec) -> bool:
    """Classification of a BYTES output divides by zero, the size of one element."""
    kinds = OUTPUTS.get(spec.model, {})
    return any(
        kinds.get(str(output.get("name")), "BYTES") == "BYTES"
        and "classification" in (output.get("parameters") or {})
        for output in spec.outputs
        if isinstance(output, dict)
    )


def huge_shape(spec: Spec) -> bool:
    """HTTP makes room for as many elements as the shape says."""

    def count(shape: object) -> int:
        if not isinstance(shape, list) or not all(isinstance(n, int) for n in shape):
            return 0
        return abs(prod(n for n in shape if n))

    return any(count(t.get("shape")) >= MOST_ELEMENTS for t in spec.inputs if isinstance(t, dict))


def deep_json(spec: Spec) -> bool:
    """The JSON parser and the reader of `data` recurse without a bound; `gemma4 serve` gives them
    the stack for this much."""
    parts = [spec.inputs, spec.outputs, spec.parameters, spec.extra]
    text = json.dumps(parts, default=repr)
    return text.count("[") + text.count("{") > MOST_NESTING


def half_float_json(spec: Spec) -> bool:
    """FP16 as JSON with an empty list in it."""
    return any(t.get("datatype") == "FP16" and "raw" not in t for t in spec.inputs)


KNOWN: dict[str, Callable[[Spec], bool]] = {
    "classification of a BYTES output": classified_text,
    "HTTP shape of 2^31 elements or more": huge_shape,
    "JSON nested without end": deep_json,
    "FP16 in JSON": half_float_json,
}
"""Three more are never made here: a chunked HTTP body of millions of chunks, and a gRPC stream that
has requests for decoupled and for other models, or for an unknown one after a request that runs."""


def known_crash(spec: Spec) -> str | None:
    """The name of the crash that ``spec`` would cause."""
    return next((name for name, found in KNOWN.items() if found(spec)), None)
