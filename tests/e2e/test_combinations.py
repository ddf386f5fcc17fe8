"""Every input, and every pair of inputs, of every model: exactly one end for each."""

from __future__ import annotations

from itertools import combinations

import pytest
from gemma4_testing.fuzz.mutate import waits_for_ever
from gemma4_testing.fuzz.run import watched
from gemma4_testing.fuzz.send import Sender
from gemma4_testing.fuzz.spec import INPUTS, MODELS, Spec, tensor
from gemma4_testing.servers.served import Served


def named(model: str) -> list[list[str]]:
    names = list(INPUTS[model])
    return [[], *([name] for name in names), *(list(pair) for pair in combinations(names, 2))]


@pytest.fixture(scope="module")
def target(server: Served) -> Served:
    return server


@pytest.mark.parametrize("model", MODELS)
def test_each_has_one_end(target: Served, model: str) -> None:
    """Without a prompt nearly all are refused, with one they run."""
    answered = refused = 0
    few = tensor("max_tokens", "INT32", 2)
    with watched(target), Sender(target.http, target.grpc) as sender:
        for names in named(model):
            inputs = [INPUTS[model][name] for name in names]
            if "max_tokens" in INPUTS[model] and {"text_input", "messages"} & set(names):
                inputs = [t for t in inputs if t["name"] != "max_tokens"] + [few]
            spec = Spec(model, inputs)
            if waits_for_ever(spec):
                continue
            ended = sender.grpc_stream(spec, 0)
            assert ended.ends == 1, (names, ended)
            assert bool(ended.error) != bool(ended.answers), (names, ended)
            if model == "engine" and {"request", "feed"} & set(names) and len(inputs) > 1:
                assert "is a call of its own; leave out" in ended.error, names
            answered += not ended.error
            refused += bool(ended.error)
    assert refused
    assert answered or model == "postprocessing"
