"""Dynamo's request as options of the SDK: every field is honored or refused by its name."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_client.request import text_request
from gemma4_dynamo.refused import RefusedError
from gemma4_dynamo.request import EngineRequest, read_request
from gemma4_dynamo.text_request import read_text

EOS = frozenset({1, 50, 106})
AS_SENT: dict[str, Any] = {
    "model": "gemma4-demo",
    "token_ids": [2, 105, 795],
    "stop_conditions": {
        "max_tokens": None, "stop": None, "stop_token_ids": None, "stop_token_ids_visible": None,
        "stop_token_ids_hidden": [1, 106, 50], "min_tokens": None, "ignore_eos": None,
        "max_thinking_tokens": None,
    },
    "sampling_options": {
        "n": None, "best_of": None, "presence_penalty": None, "frequency_penalty": None,
        "repetition_penalty": None, "temperature": None, "top_p": None, "top_k": None,
        "min_p": None, "use_beam_search": None, "length_penalty": None, "seed": None,
        "include_stop_str_in_output": None, "guided_decoding": None,
    },
    "output_options": {
        "logprobs": None, "prompt_logprobs": None, "skip_special_tokens": False,
        "formatted_prompt": None, "return_tokens_as_token_ids": None,
    },
    "eos_token_ids": [1, 106, 50],
    "mdc_sum": "0ce65ee0",
    "annotations": [],
    "routing": {},
    "router_config_override": None,
}  # fmt: skip
"""What the frontend of Dynamo 1.6.1 sent for a chat without options."""


def sent(part: str = "", **values: Any) -> dict[str, Any]:
    """What it sends with these values in ``part``, or beside the parts."""
    if not part:
        return AS_SENT | values
    return AS_SENT | {part: AS_SENT[part] | values}


def read(part: str = "", **values: Any) -> EngineRequest:
    return read_request(sent(part, **values), eos_ids=EOS)


SAMPLING, STOP, OUTPUT = "sampling_options", "stop_conditions", "output_options"

HONORED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (SAMPLING, {"temperature": 0.0}, {"temperature": 0.0}),
    (SAMPLING, {"top_p": 0.5}, {"top_p": 0.5}),
    (SAMPLING, {"min_p": 0.1}, {"min_p": 0.1}),
    (SAMPLING, {"top_k": 5}, {"top_k": 5}),
    (SAMPLING, {"top_k": -1}, {"top_k": 0}),
    (SAMPLING, {"presence_penalty": 1.0}, {"presence_penalty": 1.0}),
    (SAMPLING, {"frequency_penalty": -1.0}, {"frequency_penalty": -1.0}),
    (SAMPLING, {"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
    (SAMPLING, {"seed": 7}, {"random_seed": 7}),
    (SAMPLING, {"seed": -3}, {"random_seed": 2**64 - 3}),
    (SAMPLING, {"include_stop_str_in_output": True}, {"include_stop_str_in_output": True}),
    (SAMPLING, {"detokenize": False}, {}),
    (SAMPLING, {"n": 1, "best_of": 1, "use_beam_search": False, "length_penalty": 1.0}, {}),
    (SAMPLING, {"allowed_token_ids": [], "bad_words_token_ids": []}, {}),
    (SAMPLING, {"guided_decoding": {}}, {}),
    (STOP, {"max_tokens": 9, "min_tokens": 3}, {"max_tokens": 9, "min_tokens": 3}),
    (STOP, {"max_tokens": 3, "min_tokens": 9}, {"max_tokens": 3, "min_tokens": 3}),
    (STOP, {"stop": ["a", "b"]}, {"stop_words": ["a", "b"]}),
    (STOP, {"stop_token_ids": [7, 1]}, {"stop_token_ids": [7]}),
    (STOP, {"stop_token_ids_hidden": [106, 8, 8]}, {"stop_token_ids": [8]}),
    (STOP, {"stop_token_ids_visible": [9], "stop_token_ids": [7]}, {"stop_token_ids": [7, 9]}),
    (STOP, {"ignore_eos": True, "max_tokens": 5, "stop": ["a"]},
     {"max_tokens": 5, "min_tokens": 5}),
    (OUTPUT, {"logprobs": 0}, {"return_log_probs": True}),
    (OUTPUT, {"logprobs": 2}, {"return_log_probs": True, "top_logprobs": 2}),
    (OUTPUT, {"skip_special_tokens": True, "formatted_prompt": True}, {}),
    (OUTPUT, {"no_stop_trim": True}, {"include_stop_str_in_output": True}),
    (OUTPUT, {"no_stop_trim": False}, {}),
    ("", {"kv_hint": {"blocks": [1]}}, {}),
    ("", {"media_io_kwargs": {}, "multi_modal_uuids": {}}, {}),
    ("routing", {"dp_rank": 0, "expected_output_tokens": 9, "priority": 0}, {}),
    ("", {"extra_args": {"reasoning_parser_kwargs": {"enable_thinking": True}}}, {}),
    ("", {"migration_link": {"trace_id": "0"}, "request_timestamp_ms": 1.0}, {}),
    ("", {"require_reasoning": True, "agent_context": {"session_id": "s"}}, {}),
    ("", {"multi_modal_data": {}, "mm_processor_kwargs": {}}, {}),
]  # fmt: skip

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (SAMPLING, {"n": 2}, "sampling_options.n"),
    (SAMPLING, {"best_of": 2}, "sampling_options.best_of"),
    (SAMPLING, {"use_beam_search": True}, "sampling_options.use_beam_search"),
    (SAMPLING, {"length_penalty": 0.5}, "sampling_options.length_penalty"),
    (SAMPLING, {"allowed_token_ids": [5]}, "sampling_options.allowed_token_ids"),
    (SAMPLING, {"bad_words_token_ids": [[5]]}, "sampling_options.bad_words_token_ids"),
    (SAMPLING, {"logit_bias": {"5": 1}}, "sampling_options.logit_bias"),
    (STOP, {"max_thinking_tokens": 5}, "stop_conditions.max_thinking_tokens"),
    (STOP, {"ignore_eos": True}, "stop_conditions.ignore_eos"),
    (STOP, {"stop_after": 1}, "stop_conditions.stop_after"),
    (OUTPUT, {"prompt_logprobs": 0}, "output_options.prompt_logprobs"),
    ("routing", {"lora_name": "x"}, "routing.lora_name"),
    ("routing", {"cache_salt": "x"}, "routing.cache_salt"),
    ("routing", {"priority": 3}, "routing.priority"),
    ("", {"prompt_embeds": "AAAA"}, "prompt_embeds"),
    ("", {"multi_modal_data": {"image": ["x"]}}, "multi_modal_data"),
    ("", {"mm_processor_kwargs": {"x": 1}}, "mm_processor_kwargs"),
    ("", {"media_io_kwargs": {"image": {}}}, "media_io_kwargs"),
    ("", {"multi_modal_uuids": {"image": ["x"]}}, "multi_modal_uuids"),
    ("", {"prefill_result": {"x": 1}}, "prefill_result"),
    ("", {"bootstrap_info": {"x": 1}}, "bootstrap_info"),
    ("", {"encoder_result": {"x": 1}}, "encoder_result"),
    ("", {"generate_request": {"x": 1}}, "generate_request"),
    ("", {"extra_args": {"nvext": 1}}, "extra_args.nvext"),
    ("", {"new_option": 1}, "new_option"),
]


def test_a_chat_without_options() -> None:
    assert read_request(AS_SENT, eos_ids=EOS) == EngineRequest([2, 105, 795], {})


@pytest.mark.parametrize(("part", "values", "options"), HONORED)
def test_honored(part: str, values: dict[str, Any], options: dict[str, Any]) -> None:
    found = read(part, **values)
    assert found == EngineRequest([2, 105, 795], options)
    text_request(None, found.options, prompt_token_ids=found.token_ids)  # the SDK takes them


@pytest.mark.parametrize(("part", "values", "field"), REFUSED)
def test_refused(part: str, values: dict[str, Any], field: str) -> None:
    with pytest.raises(RefusedError) as found:
        read(part, **values)
    assert found.value.field == field
    assert str(found.value).startswith(f"{field}: ")


WRONG: tuple[Any, ...] = ("x", "", 1.5, True, [], ["x"], [None], {}, {"x": 1}, 7, -1, 2**70)
"""Of other types than the field's, or out of any range; for some fields some are right."""


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_a_value_of_another_type_is_refused_by_its_name(value: Any) -> None:
    """Dynamo's frontend sends none, another client of the endpoint may. Nothing but these two
    errors, which name the field: the second is the SDK's."""
    parts = {p: sorted(AS_SENT[p]) for p in (SAMPLING, STOP, OUTPUT)}
    fields = [(part, name) for part, names in parts.items() for name in names]
    fields += [("", name) for name in ("token_ids", "routing", "extra_args", *parts)]
    refused = 0
    for part, name in fields:
        try:
            found = read(part, **{name: value})
            text_request(None, found.options, prompt_token_ids=found.token_ids)
        except RefusedError as error:
            assert name in error.field
            refused += 1
        except ValueError:
            refused += 1
    assert refused >= len(fields) // 3


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        (SAMPLING, "top_k", "5"),
        (SAMPLING, "seed", 1.5),
        (STOP, "max_tokens", "9"),
        (STOP, "min_tokens", True),
        (STOP, "stop_token_ids", 7),
        (STOP, "stop_token_ids_hidden", ["x"]),
        (SAMPLING, "guided_decoding", "x"),
        ("", "token_ids", "abc"),
        ("", "token_ids", [2, 1.5]),
        ("", "sampling_options", [1]),
        ("", "routing", "x"),
    ],
)
def test_what_is_computed_with_is_checked_here(part: str, name: str, value: Any) -> None:
    with pytest.raises(RefusedError, match="is no ") as found:
        read(part, **{name: value})
    assert found.value.field == (f"{part}.{name}" if part else name)


@pytest.mark.parametrize("request_", ["x", [1], 7])
def test_a_request_that_is_no_object(request_: Any) -> None:
    for read_it in (lambda: read_request(request_, eos_ids=EOS), lambda: read_text(request_)):
        with pytest.raises(RefusedError, match=r"request: .* is no object"):
            read_it()


def test_every_option_that_is_sent_is_in_a_table() -> None:
    """Dynamo names each option in every request, mostly as null."""
    for part in (SAMPLING, STOP, OUTPUT):
        told = {
            name for where, values, _ in [*HONORED, *REFUSED] if where == part for name in values
        }
        display = {"return_tokens_as_token_ids"}
        assert set(AS_SENT[part]) - told <= display, part


def test_a_health_check() -> None:
    found = read_request({"token_ids": [2], "_HEALTH_CHECK": True}, eos_ids=EOS)
    assert found == EngineRequest([2], {})


GUIDES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"json": {"type": "object"}},
     {"guided_decoding_guide_type": "json_schema", "guided_decoding_guide": '{"type": "object"}'}),
    ({"json": '{"type": "array"}', "regex": None},
     {"guided_decoding_guide_type": "json_schema", "guided_decoding_guide": '{"type": "array"}'}),
    ({"json": True}, {"guided_decoding_guide_type": "json_schema", "guided_decoding_guide": "true"}),
    ({"regex": "a+"}, {"regex": "a+"}),
    ({"choice": ["yes", "no."]}, {"regex": r"yes|no\."}),
    ({"grammar": 'root ::= "a"'}, {"grammar": 'root ::= "a"'}),
]  # fmt: skip


@pytest.mark.parametrize(("guided", "options"), GUIDES)
def test_guides(guided: dict[str, Any], options: dict[str, Any]) -> None:
    found = read(SAMPLING, guided_decoding=guided)
    assert found.options == options
    inputs = text_request(None, found.options, prompt_token_ids=[2]).inputs
    assert inputs["guided_decoding_guide_type"] in ("json_schema", "regex", "grammar")


@pytest.mark.parametrize(
    ("guided", "field"),
    [
        ({"backend": "xgrammar", "regex": "a"}, ".backend"),
        ({"whitespace_pattern": " "}, ".whitespace_pattern"),
        ({"structural_tag": {}}, ".structural_tag"),
        ({"regex": "a", "grammar": "b"}, ""),
        ({"choice": "yes"}, ".choice"),
        ({"choice": [1]}, ".choice"),
        ({"regex": 1}, ".regex"),
        ({"lark": "x"}, ".lark"),
    ],
)
def test_refused_guides(guided: dict[str, Any], field: str) -> None:
    with pytest.raises(RefusedError) as found:
        read(SAMPLING, guided_decoding=guided)
    assert found.value.field == f"sampling_options.guided_decoding{field}"
