"""Bad inputs: name, tensors (name -> (Triton dtype, values)), and what the message must name.

Used against the Preparer and, over the wire, against a real server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bad:
    name: str
    inputs: dict[str, tuple[str, Any]]
    says: str


def s(value: str | bytes) -> tuple[str, Any]:
    return ("BYTES", [value])


def chat(messages: Any, **others: tuple[str, Any]) -> dict[str, tuple[str, Any]]:
    text = messages if isinstance(messages, str | bytes) else json.dumps(messages)
    return {"messages": s(text), **others}


USER = [{"role": "user", "content": "Hi"}]
HI = s("Hi")
YES = ("BOOL", [True])
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def text(**others: tuple[str, Any]) -> dict[str, tuple[str, Any]]:
    return {"text_input": HI, **others}


def ids(*values: int) -> dict[str, tuple[str, Any]]:
    return {"prompt_token_ids": ("INT32", [*values])}


def tools(value: Any) -> dict[str, tuple[str, Any]]:
    return chat(USER, tools=s(json.dumps(value) if not isinstance(value, str) else value))


def calls(*made: Any, **others: Any) -> dict[str, Any]:
    """An assistant message with these tool calls of ``f``."""
    function = {"name": "f", "arguments": "{}"}
    listed = [{"type": "function", "function": function} | call for call in made]
    return {"role": "assistant", "content": None, "tool_calls": listed} | others


def result(call: Any, **others: Any) -> dict[str, Any]:
    return {"role": "tool", "content": "x", "tool_call_id": call} | others


def history(*messages: Any) -> dict[str, tuple[str, Any]]:
    return chat([*USER, *messages])


def function(**fields: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "f", **fields}}]


BAD = [
    Bad("nothing", {"max_tokens": ("INT32", [5])}, "text_input"),
    Bad("both prompts", {**chat(USER), "text_input": HI}, "messages: text_input is given too"),
    Bad("empty text", {"text_input": s("")}, "text_input: is empty"),
    Bad("invalid UTF-8 text", {"text_input": s(b"ab\xff")}, "text_input: is not valid UTF-8"),
    Bad("invalid UTF-8 messages", chat(b'[{"role":"\xc3"}]'), "messages: is not valid UTF-8"),
    Bad("image placeholder", {"text_input": s("look <|image|>")}, "<|image|>"),
    Bad("pad placeholder", {"text_input": s("a<pad>b")}, "<pad>"),
    Bad("mask placeholder", {"text_input": s("<mask>")}, "<mask>"),
    Bad("video placeholder", {"text_input": s("<|video|>")}, "<|video|>"),
    Bad("text too long", {"text_input": s("a" * 1_100_000)}, "text_input: 1100000 bytes"),
    Bad("too many tokens", {"text_input": s("1 2 3 " * 4000)}, "the prompt is too long: 24001 tokens; the engine takes prompts of at most 2047"),
    Bad("several texts", {"text_input": ("BYTES", ["a", "b"])}, "text_input"),
    Bad("messages no JSON", chat("{nope"), "messages: is not JSON"),
    Bad("messages empty string", chat(""), "messages: is not JSON"),
    Bad("messages NaN", chat('[{"role":"user","content":NaN}]'), "NaN"),
    Bad("messages object", chat({"role": "user"}), "non-empty JSON array"),
    Bad("messages empty", chat([]), "non-empty JSON array"),
    Bad("message no object", chat(["Hi"]), "messages[0]: must be an object"),
    Bad("unknown role", chat([{"role": "root", "content": "x"}]), "messages[0].role: 'root'"),
    Bad("no role", chat([{"content": "x"}]), "messages[0].role: None"),
    Bad("unknown field", chat([{"role": "user", "content": "x", "mood": 1}]), "messages[0].mood"),
    Bad("content null", chat([{"role": "user", "content": None}]), "messages[0].content"),
    Bad("content number", chat([{"role": "user", "content": 5}]), "messages[0].content"),
    Bad("content empty list", chat([{"role": "user", "content": []}]), "messages[0].content"),
    Bad("image part", chat([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]), "image_url"),
    Bad("text part without text", chat([{"role": "user", "content": [{"type": "text"}]}]), "content[0].text"),
    Bad("user message to be continued", chat(USER, continue_final_message=YES), "continue_final_message: needs a last message from 'assistant'; it is from 'user'"),
    Bad("call to be continued", chat([*USER, calls({"id": "a"})], continue_final_message=YES), "continue_final_message: needs a last message of text"),
    Bad("empty message to be continued", chat([*USER, {"role": "assistant", "content": " <|channel>thought\nx"}], continue_final_message=YES), "continue_final_message: needs a last message with text"),
    Bad("continued without messages", text(continue_final_message=YES), "continue_final_message: needs messages"),
    Bad("call unanswered at the end", history(calls({"id": "a"})), "messages[1].tool_calls[0].id: 'a' is not answered before the model's turn"),
    Bad("tool without call", chat([*USER, {"role": "tool", "content": "x", "tool_call_id": "c"}]), "messages[1].role: a tool message must follow"),
    Bad("tool answers no call", chat([*USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "x", "tool_call_id": "zz"}]), "'zz' answers no call"),
    Bad("tool without id", chat([*USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "x"}]), "tool_call_id"),
    Bad("assistant null content", chat([{"role": "assistant", "content": None}, *USER]), "messages[0].content"),
    Bad("tool_calls no list", chat([*USER, {"role": "assistant", "content": None, "tool_calls": 5}]), "tool_calls: must be a list"),
    Bad("arguments list", chat([*USER, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]}]), "must be a JSON object"),
    Bad("call unanswered", history(calls({"id": "a"}), *USER), "messages[1].tool_calls[0].id: 'a' is not answered before the next user message"),
    Bad("one of two calls unanswered", history(calls({"id": "a"}, {"id": "b"}), result("a")), "messages[1].tool_calls[1].id: 'b' is not answered before the model's turn"),
    Bad("tool after a user message", history(calls({"id": "a"}), result("a"), *USER, result("a")), "messages[4].role: a tool message must follow"),
    Bad("call answered twice", history(calls({"id": "a"}), result("a"), result("a")), "messages[3].tool_call_id: 'a' is answered twice"),
    Bad("two calls of one id", history(calls({"id": "a"}, {"id": "a"}), result("a")), "messages[1].tool_calls[1].id: 'a' is the id of another call"),
    Bad("call id number", history(calls({"id": 1}), result(1)), "messages[1].tool_calls[0].id: must be a string, not 1"),
    Bad("call id list", history(calls({"id": ["a"]}), result(["a"])), "messages[1].tool_calls[0].id: must be a string, not a list"),
    Bad("call id object", history(calls({"id": {}}), result({})), "messages[1].tool_calls[0].id: must be a string, not an object"),
    Bad("tool_call_id list", history(calls({"id": "a"}), result(["a"])), "messages[2].tool_call_id: must be a string, not a list"),
    Bad("tool_call_id number", history(calls({"id": "1"}), result(1)), "messages[2].tool_call_id: must be a string, not 1"),
    Bad("tool name object", history(calls({"id": "a"}), result("a", name={})), "messages[2].name: must be a string"),
    Bad("tool name of no call", history(calls({"id": "a"}), result(None, name="g")), "messages[2].name: 'g' answers no call"),
    Bad("call of other type", history(calls({"id": "a", "type": "custom"}), result("a")), "messages[1].tool_calls[0].type: 'custom'"),
    Bad("call no object", history({"role": "assistant", "content": None, "tool_calls": [5]}), "messages[1].tool_calls[0]: must be an object"),
    Bad("call without function", history(calls({"function": None})), "messages[1].tool_calls[0].function: must be an object, not null"),
    Bad("tool_calls object", history({"role": "assistant", "content": "a", "tool_calls": {}}), "messages[1].tool_calls: must be a list"),
    Bad("name of a user number", chat([{"role": "user", "content": "a", "name": 5}]), "messages[0].name: must be a string"),
    Bad("deep JSON", chat("[" * 3000 + "]" * 3000), "messages"),
    Bad("lone surrogate", chat('[{"role":"user","content":"\\ud800"}]'), "surrogate"),
    Bad("noncharacter", chat([{"role": "user", "content": "a\ufdd0b"}]), "U+FDD0"),
    Bad("too many messages", chat(USER * 1025), "1025 messages"),
    Bad("tools without messages", text(tools=s("[]")), "tools: needs messages"),
    Bad("thinking without messages", text(enable_thinking=("BOOL", [True])), "enable_thinking: needs messages"),
    Bad("tool_choice without messages", text(tool_choice=s("auto")), "tool_choice: needs messages"),
    Bad("tool_choice forced", chat(USER, tool_choice=s("required")), "tool_choice: 'required' is not one of auto, none"),
    Bad("tool_choice none without a guide", chat(USER, tools=s("[]"), tool_choice=s("none")), "tool_choice: none keeps calls out of a guided answer"),
    Bad("parallel_tool_calls without messages", text(parallel_tool_calls=("BOOL", [False])), "parallel_tool_calls: needs messages"),
    Bad("parallel_tool_calls without tools", chat(USER, parallel_tool_calls=("BOOL", [False])), "parallel_tool_calls: needs tools"),
    Bad("tools no JSON", tools("nope"), "tools: is not JSON"),
    Bad("tools object", tools({}), "tools: must be a JSON array"),
    Bad("tool without function", tools([{"type": "function"}]), "tools[0]"),
    Bad("tool of other type", tools([{"type": "code", "function": {"name": "f"}}]), "tools[0]"),
    Bad("tool name missing", tools([{"type": "function", "function": {}}]), "tools[0].function.name: None"),
    Bad("tool name with space", tools(function(name="a b")), "tools[0].function.name: 'a b'"),
    Bad("tool declared twice", tools(function() * 2), "'f' is declared twice"),
    Bad("tool parameters list", tools(function(parameters=[1])), "tools[0].function.parameters"),
    Bad("tool parameters no schema", tools(function(parameters={"type": "object", "properties": {"a": {"type": "nope"}}})), "is not a JSON schema"),
    Bad("tool parameters text", tools(function(parameters={"type": "string"})), "tools[0].function.parameters: must be a JSON schema of type object, not string"),
    Bad("tool response list", tools(function(response=[])), "tools[0].function.response: must be a JSON schema of type object"),
    Bad("tool $ref elsewhere", tools(function(parameters={"type": "object", "properties": {"a": {"$ref": "https://x/y"}}})), "tools[0].function.parameters: $ref 'https://x/y' leads out"),
    Bad("tool $ref nowhere", tools(function(parameters={"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}})), "tools[0].function.parameters: $ref '#/$defs/a' leads nowhere"),
    Bad("tool $ref many times", tools(function(parameters={"type": "object", "properties": {"x": {"$ref": "#/$defs/a0"}}, "$defs": {f"a{i}": {"properties": {k: {"$ref": f"#/$defs/a{i + 1}"} for k in "abcd"}} for i in range(9)} | {"a9": {}}})), "with every $ref written out"),
    Bad("tool description number", tools(function(description=5)), "tools[0].function.description: must be a string"),
    Bad("too many tools", tools([{"type": "function", "function": {"name": f"f{i}"}} for i in range(129)]), "129 tools"),
    Bad("no ids", ids(), "prompt_token_ids: is empty"),
    Bad("id beyond the vocabulary", ids(2, 5, 2**30), "prompt_token_ids[2]: 1073741824 is not in 0 to "),
    Bad("id below 0", ids(2, -1), "prompt_token_ids[1]: -1 is not in 0 to "),
    Bad("id of a placeholder", ids(2, 5, 0), "prompt_token_ids[2]: 0 is the placeholder token <pad>"),
    Bad("too many ids", ids(*[5] * 2048), "prompt_token_ids: the prompt is too long: 2048 tokens; the engine takes prompts of at most 2047"),
    Bad("ids and text", ids(2, 5) | text(), "text_input: prompt_token_ids is given too"),
    Bad("ids and messages", ids(2, 5) | chat(USER), "messages: prompt_token_ids is given too"),
    Bad("tools beside ids", ids(2, 5) | {"tools": s("[]")}, "tools: needs messages"),
    Bad("ids echoed", ids(2, 5) | {"exclude_input_in_output": ("BOOL", [False])}, "exclude_input_in_output: false needs text_input"),
    Bad("max_tokens 0", text(max_tokens=("INT32", [0])), "max_tokens: 0 must be at least 1"),
    Bad("max_tokens negative", text(max_tokens=("INT32", [-5])), "max_tokens: -5"),
    Bad("max_tokens too many", text(max_tokens=("INT32", [10**6])), "max_tokens: 1000000 with"),
    Bad("max_tokens two values", text(max_tokens=("INT32", [1, 2])), "max_tokens"),
    Bad("min over max", text(max_tokens=("INT32", [2]), min_tokens=("INT32", [3])), "min_tokens: 3 is more than max_tokens"),
    Bad("min_tokens with a guide", text(min_tokens=("INT32", [2]), max_tokens=("INT32", [9]), guided_decoding_guide_type=("BYTES", ["json"])), "min_tokens: 2 cannot be combined with a guide"),
    Bad("min_tokens negative", text(min_tokens=("INT32", [-1])), "min_tokens: -1"),
    Bad("temperature negative", text(temperature=("FP32", [-0.1])), "temperature: -0.1"),
    Bad("temperature NaN", text(temperature=("FP32", [float("nan")])), "temperature: nan"),
    Bad("temperature infinite", text(temperature=("FP32", [float("inf")])), "temperature: inf"),
    Bad("top_k negative", text(top_k=("INT32", [-1])), "top_k: -1"),
    Bad("top_p negative", text(top_p=("FP32", [-0.5])), "top_p: -0.5 must be at least 0"),
    Bad("top_p over 1", text(top_p=("FP32", [1.5])), "top_p: 1.5"),
    Bad("min_p over 1", text(min_p=("FP32", [1.5])), "min_p: 1.5"),
    Bad("repetition_penalty 0", text(repetition_penalty=("FP32", [0.0])), "repetition_penalty: 0"),
    Bad("presence_penalty 3", text(presence_penalty=("FP32", [3.0])), "presence_penalty: 3"),
    Bad("frequency_penalty -3", text(frequency_penalty=("FP32", [-3.0])), "frequency_penalty: -3"),
    Bad("presence_penalty with repetition_penalty", text(presence_penalty=("FP32", [0.5]), repetition_penalty=("FP32", [1.1])), "presence_penalty: llama.cpp cannot do it together with repetition_penalty"),
    Bad("frequency_penalty with repetition_penalty", text(frequency_penalty=("FP32", [0.5]), repetition_penalty=("FP32", [1.1])), "frequency_penalty: llama.cpp cannot do it together with repetition_penalty"),
    Bad("presence_penalty with a guide", text(presence_penalty=("FP32", [0.5]), guided_decoding_guide_type=("BYTES", ["json"])), "presence_penalty: llama.cpp cannot do it together with a guide"),
    Bad("stop word long", text(stop_words=("BYTES", ["x" * 300])), "stop_words[0]: is longer"),
    Bad("stop words many", text(stop_words=("BYTES", [f"w{i}" for i in range(17)])), "17 words"),
    Bad("stop word invalid UTF-8", text(stop_words=("BYTES", [b"\xff"])), "stop_words: is not valid UTF-8"),
    Bad("bad word of several tokens", text(bad_words=("BYTES", ["zqxj zqxj"])), "bad_words[0]"),
    Bad("end_id negative", text(end_id=("INT32", [-1])), "end_id: -1"),
    Bad("two beams", text(beam_width=("INT32", [2])), "beam_width: 2: beam search is not offered"),
    Bad("two answers", text(num_return_sequences=("INT32", [2])), "num_return_sequences: 2: one"),
    Bad("length_penalty 2", text(length_penalty=("FP32", [2.0])), "length_penalty: 2.0: beam"),
    Bad("logits", text(return_generation_logits=("BOOL", [True])), "return_generation_logits: true"),
    Bad("an encoder's text", text(decoder_text_input=s("x")), "decoder_text_input: 'x': this model"),
    Bad("two seeds", text(seed=("UINT64", [1]), random_seed=("UINT64", [2])), "seed: 1 is not 2"),
    Bad("logit_bias no JSON", text(logit_bias=s("{")), "logit_bias: is not JSON"),
    Bad("logit_bias list", text(logit_bias=s("[[5, 1]]")), "logit_bias: must be a JSON object of token ids and numbers"),
    Bad("logit_bias word", text(logit_bias=s('{"the": 1}')), "logit_bias: 'the' is no token id"),
    Bad("logit_bias outside", text(logit_bias=s('{"10000000": 1}')), "logit_bias: '10000000' is no token id"),
    Bad("logit_bias padded", text(logit_bias=s('{"05": 1}')), "logit_bias: '05' is no token id"),
    Bad("logit_bias too great", text(logit_bias=s('{"5": 100.5}')), "logit_bias.5: 100.5 is not in -100 to 100"),
    Bad("logit_bias no number", text(logit_bias=s('{"5": true}')), "logit_bias.5: must be a number"),
    Bad("logit_bias many", text(logit_bias=s(json.dumps({str(i): 1 for i in range(1025)}))), "logit_bias: 1025 tokens; at most 1024"),
    Bad("stop_token_ids outside", text(stop_token_ids=("INT32", [5, 10**7])), "stop_token_ids[1]: 10000000 is no token id"),
    Bad("stop_token_ids negative", text(stop_token_ids=("INT32", [-1])), "stop_token_ids[0]: -1"),
    Bad("stop_token_ids many", text(stop_token_ids=("INT32", [5] * 129)), "stop_token_ids: 129 values; at most 128"),
    Bad("top_logprobs over 20", text(return_log_probs=("BOOL", [True]), top_logprobs=("INT32", [21])), "top_logprobs: 21 must be at most 20"),
    Bad("top_logprobs negative", text(return_log_probs=("BOOL", [True]), top_logprobs=("INT32", [-1])), "top_logprobs: -1"),
    Bad("top_logprobs alone", text(top_logprobs=("INT32", [5])), "top_logprobs: 5 needs return_log_probs"),
    Bad("echo of a chat", chat(USER, exclude_input_in_output=("BOOL", [False])), "exclude_input_in_output"),
    Bad("guide without type", text(guided_decoding_guide=s("x")), "guided_decoding_guide_type: is missing"),
    Bad("guide type unknown", text(guided_decoding_guide_type=s("xml")), "'xml' is not one of"),
    Bad("guide missing", text(guided_decoding_guide_type=s("regex")), "guided_decoding_guide: is missing"),
    Bad("guide for json", text(guided_decoding_guide_type=s("json"), guided_decoding_guide=s("{}")), "takes no guide"),
    Bad("schema no JSON", text(guided_decoding_guide_type=s("json_schema"), guided_decoding_guide=s("{")), "guided_decoding_guide: is not JSON"),
    Bad("schema invalid", text(guided_decoding_guide_type=s("json_schema"), guided_decoding_guide=s('{"type":"nope"}')), "is not a JSON schema"),
    Bad("schema list", text(guided_decoding_guide_type=s("json_schema"), guided_decoding_guide=s("[]")), "a JSON schema is an object"),
    Bad("regex invalid", text(guided_decoding_guide_type=s("regex"), guided_decoding_guide=s("(")), "is not a regular expression"),
    Bad("guide too long", text(guided_decoding_guide_type=s("regex"), guided_decoding_guide=s("a" * 70_000)), "is longer than"),
    Bad("timeout 0", text(timeout_ms=("INT64", [0])), "timeout_ms: 0"),
    Bad("timeout over a day", text(timeout_ms=("INT64", [10**10])), "timeout_ms: 10000000000"),
]  # fmt: skip
