"""Parameters that other servers of OpenAI's API have beside it and this one has not: vLLM, SGLang,
TensorRT-LLM, llama.cpp, routers. Clients that were written for one of them send its defaults."""

from __future__ import annotations

from typing import Any

__all__ = ["PEERS", "PEERS_USUAL"]

_SAMPLER = "the engines have no such sampler"
_GUIDE = "use response_format or structured_outputs"
_ADAPTERS = "there are no adapters"
_SPLIT = "prompt and answer run in one place"
_ALWAYS = "this is always so"
_OUTPUT = "answers have no such field"
_ID = "send it as the header x-request-id"
_MODEL = "there is one model, and no router; see --served-model-name"

_TABLE: dict[str, tuple[str, tuple[Any, ...]]] = {
    # vLLM
    "cache_salt": ("the cache of prompts is shared by all", ("",)),
    "detokenize": ("use return_token_ids", (True,)),
    "early_stopping": ("there is no beam search", (False,)),
    "include_reasoning": (_ALWAYS, (True,)),
    "kv_transfer_params": (_SPLIT, ({},)),
    "request_id": (_ID, ("",)),
    "return_tokens_as_token_ids": ("use return_token_ids", (False,)),
    "truncation_side": ("a prompt that is too long is refused; shorten it", ()),
    "vllm_xargs": ("the engines have no such arguments", ({},)),
    # SGLang
    "custom_logit_processor": (_SAMPLER, ("",)),
    "custom_params": (_SAMPLER, ({},)),
    "ebnf": (_GUIDE, ("",)),
    "lora_path": (_ADAPTERS, ("",)),
    "no_stop_trim": ("use include_stop_str_in_output", (False,)),
    "regex": (_GUIDE, ("",)),
    "return_hidden_states": (_OUTPUT, (False,)),
    "rid": (_ID, ("",)),
    "separate_reasoning": (_ALWAYS, (True,)),
    "session_params": ("send the whole conversation", ({},)),
    "stop_regex": ("use stop", ("", [])),
    "stream_reasoning": (_ALWAYS, (True,)),
    # TensorRT-LLM, NIM, Dynamo
    "beam_width": ("there is no beam search", (1,)),
    "disaggregated_params": (_SPLIT, ({},)),
    "lora_request": (_ADAPTERS, ({},)),
    "nvext": ("there are no such extensions", ({},)),
    "prompt_ignore_length": ("penalties count the answer alone", (0,)),
    "return_context_logits": (_OUTPUT, (False,)),
    "return_generation_logits": ("use logprobs", (False,)),
    "return_perf_metrics": (_OUTPUT, (False,)),
    "top_p_min": (_SAMPLER, (0,)),
    # llama.cpp
    "cache_prompt": (_ALWAYS, (True,)),
    "dry_multiplier": (_SAMPLER, (0,)),
    "dynatemp_range": (_SAMPLER, (0,)),
    "grammar": (_GUIDE, ("",)),
    "id_slot": ("the engine chooses the slot", (-1,)),
    "lora": (_ADAPTERS, ([],)),
    "mirostat": (_SAMPLER, (0,)),
    "n_keep": ("a prompt that is too long is refused; shorten it", (0,)),
    "n_predict": ("use max_tokens", (-1,)),
    "n_probs": ("use logprobs and top_logprobs", (0,)),
    "parse_tool_calls": (_ALWAYS, (True,)),
    "post_sampling_probs": (_OUTPUT, (False,)),
    "repeat_penalty": ("use repetition_penalty", (1,)),
    "return_progress": (_OUTPUT, (False,)),
    "return_tokens": ("use return_token_ids", (False,)),
    "reasoning_format": (_ALWAYS, ("auto", "deepseek")),
    "t_max_predict_ms": ("the gateway's --timeout bounds an answer", (0,)),
    "tfs_z": (_SAMPLER, (1,)),
    "timings_per_token": (_OUTPUT, (False,)),
    "top_n_sigma": (_SAMPLER, (-1,)),
    "typical_p": (_SAMPLER, (1,)),
    "xtc_probability": (_SAMPLER, (0,)),
    # routers
    "models": (_MODEL, ([],)),
    "plugins": ("there are none", ([],)),
    "provider": (_MODEL, ({},)),
    "route": (_MODEL, ()),
    "safe_prompt": ("say it in the system message", (False,)),
    "top_a": (_SAMPLER, (0,)),
    "transforms": ("a prompt that is too long is refused; shorten it", ([],)),
}
PEERS = {name: reason for name, (reason, _) in _TABLE.items()}
"""By name, why it is not supported."""
PEERS_USUAL = {name: values for name, (_, values) in _TABLE.items()}
"""By name, the values that ask for what happens anyway."""
