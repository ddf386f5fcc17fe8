"""The inputs of ``gemma4``, of which one request has some.

A new sampling option is one entry here, and its use in the engines; see CONTRIBUTING.md.
"""

from __future__ import annotations

from gemma4_runtime.contract.nvidia import NVIDIA_INPUTS
from gemma4_runtime.contract.tensors import (
    Input,
    PassedOn,
    Range,
    SamplingOption,
    SdkOption,
    Translated,
)

__all__ = ["INPUT", "INPUTS", "SAMPLING"]

_CHAT = '[{"role": "user", "content": "Hello"}]'
_TOOLS = '[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]'

_OWN = (
    Input(
        "text_input",
        "STRING",
        help="A prompt that you rendered, instead of `messages`.",
        example=("Hello",),
        sdk=None,
        gateway=Translated("prompt"),
    ),
    Input(
        "prompt_token_ids",
        "INT32",
        many=True,
        most=2**18,
        help="A prompt as token ids, instead of `text_input` and `messages`. Nothing is added.",
        example=(2, 5),
        sdk=None,
        gateway=Translated("prompt"),
    ),
    Input(
        "messages",
        "STRING",
        help="JSON array of messages in OpenAI's form.",
        example=(_CHAT,),
        sdk=None,
        gateway=Translated("messages"),
    ),
    Input(
        "tools",
        "STRING",
        help="JSON array of tools in OpenAI's form; needs `messages`.",
        example=(_TOOLS,),
        absent="none",
        sdk=None,
        gateway=Translated("tools"),
    ),
    Input(
        "tool_choice",
        "STRING",
        help='With a guide: "auto" lets the model call tools instead of giving the guided answer, '
        '"none" does not.',
        example=("auto",),
        absent="auto",
        gateway=Translated("tool_choice"),
    ),
    Input(
        "parallel_tool_calls",
        "BOOL",
        help="False: the answer ends after its first tool call.",
        example=(False,),
        absent="true",
        gateway=Translated("parallel_tool_calls"),
    ),
    Input(
        "enable_thinking",
        "BOOL",
        help="Let the model think first; `reasoning_output` holds its thoughts.",
        example=(True,),
        absent="false",
        sdk=SdkOption(help="Let the model think first; ``reasoning`` holds its thoughts."),
        gateway=Translated("chat_template_kwargs.enable_thinking"),
    ),
    Input(
        "continue_final_message",
        "BOOL",
        help="Go on with the text of the last message, which is from `assistant`, instead of "
        "opening a new turn; the answer is what comes after it.",
        example=(True,),
        absent="false",
        sdk=SdkOption(
            help="Go on with the text of the last message, which is from ``assistant``, instead of "
            "opening a new turn; the answer is what comes after it."
        ),
        gateway=Translated("continue_final_message"),
    ),
    Input(
        "max_tokens",
        "INT32",
        help="Most tokens of the answer, thoughts and tool calls included.",
        example=(3,),
        absent="all the room after the prompt",
        range=Range(least=1),
        gateway=Translated("max_tokens"),
    ),
    Input(
        "stream",
        "BOOL",
        help="Send responses as the answer is made, or one at its end.",
        example=(True,),
        absent="false",
        sdk=SdkOption(
            none=False, help="Send chunks as they come (the default), or one answer at the end."
        ),
        gateway=Translated("stream"),
    ),
    SamplingOption(
        "temperature",
        "FP32",
        help="0 is greedy.",
        example=(0.5,),
        range=Range(least=0, most=100),
        default=1.0,
        from_checkpoint=True,
        gateway=PassedOn(),
    ),
    SamplingOption(
        "top_k",
        "INT32",
        help="Draw from the most probable tokens, so many. 0 is off, 1 is greedy.",
        example=(5,),
        range=Range(least=0),
        default=64,
        from_checkpoint=True,
        gateway=Translated("top_k"),
    ),
    SamplingOption(
        "top_p",
        "FP32",
        help="Draw from the most probable tokens that come to this share. 1 is off, 0 is greedy.",
        example=(0.9,),
        range=Range(least=0, most=1),
        default=0.95,
        from_checkpoint=True,
        gateway=PassedOn(),
    ),
    SamplingOption(
        "min_p",
        "FP32",
        help="Leave out tokens below this share of the most probable one's chance. 0 is off.",
        example=(0.1,),
        range=Range(least=0, most=1),
        default=0.0,
        gateway=PassedOn(),
    ),
    SamplingOption(
        "repetition_penalty",
        "FP32",
        help="Makes tokens that prompt or answer have less probable. 1 is off.",
        example=(1.1,),
        range=Range(above=0, most=100),
        default=1.0,
        gateway=PassedOn(),
    ),
    SamplingOption(
        "presence_penalty",
        "FP32",
        help="Taken from the logits of tokens that the answer has. 0 is off.",
        example=(0.5,),
        range=Range(least=-2, most=2),
        default=0.0,
        gateway=PassedOn(),
    ),
    SamplingOption(
        "frequency_penalty",
        "FP32",
        help="Taken from a token's logit for each time that the answer has it. 0 is off.",
        example=(0.5,),
        range=Range(least=-2, most=2),
        default=0.0,
        gateway=PassedOn(),
    ),
    SamplingOption(
        "random_seed",
        "UINT64",
        help="The same seed gives the same answer; on TensorRT-LLM only when run alone.",
        example=(7,),
        range=Range(least=0),
        field="seed",
        gateway=Translated("seed"),
    ),
    Input(
        "logit_bias",
        "STRING",
        help="JSON object of token ids and what is added to their logits, -100 to 100 each.",
        example=('{"5": -100, "9": 1.5}',),
        absent="none",
        sdk=SdkOption(
            kind="Mapping[int, float]",
            help="Token ids and what is added to their logits, -100 to 100 each.",
        ),
        gateway=Translated("logit_bias"),
    ),
    Input(
        "stop_words",
        "STRING",
        many=True,
        help="Texts that end the answer and, without `include_stop_str_in_output`, are no part "
        "of it.",
        example=("x", "yy"),
        absent="none",
        gateway=Translated("stop"),
    ),
    Input(
        "bad_words",
        "STRING",
        many=True,
        help="Words that must not occur.",
        example=("z",),
        absent="none",
        gateway=Translated("bad_words"),
    ),
    Input(
        "min_tokens",
        "INT32",
        help="The answer does not end before so many tokens.",
        example=(1,),
        absent="0",
        range=Range(least=0),
        gateway=PassedOn(),
    ),
    Input(
        "end_id",
        "INT32",
        help="A token id that ends the answer, beside the checkpoint's. One that the model has not "
        "never comes.",
        example=(5,),
        absent="none",
    ),
    Input(
        "stop_token_ids",
        "INT32",
        many=True,
        most=128,
        help="Token ids that end the answer, beside the checkpoint's.",
        example=(5, 9),
        absent="none",
        gateway=Translated("stop_token_ids"),
    ),
    Input(
        "include_stop_str_in_output",
        "BOOL",
        help="True leaves the stop word that ended the answer, or the text of the stop token, in "
        "the answer. Control tokens have no text.",
        example=(True,),
        absent="false",
        gateway=PassedOn(),
    ),
    Input(
        "pad_id",
        "INT32",
        help="Has no effect: nothing is padded.",
        example=(0,),
        absent="the checkpoint's",
    ),
    Input(
        "exclude_input_in_output",
        "BOOL",
        help="False puts the prompt before the text; needs `text_input`.",
        example=(True,),
        absent="true",
        sdk=SdkOption(help="False puts the prompt before the text."),
        gateway=Translated("echo"),
    ),
    Input(
        "return_log_probs",
        "BOOL",
        help="One log-probability for each token, in `output_log_probs`.",
        example=(True,),
        absent="false",
        sdk=SdkOption(help="One log-probability for each token, in ``log_probs``."),
        gateway=Translated("logprobs"),
    ),
    Input(
        "top_logprobs",
        "INT32",
        help="Beside each log-probability, those of so many most probable tokens.",
        example=(5,),
        absent="0",
        range=Range(least=0, most=20),
        sdk=SdkOption(
            help="So many most probable tokens, in ``top_log_probs``; needs ``return_log_probs``."
        ),
        gateway=Translated("top_logprobs"),
    ),
    Input(
        "guided_decoding_guide_type",
        "STRING",
        help="json, json_schema, regex or grammar (also ebnf_grammar): what binds the answer.",
        example=("json_schema",),
        absent="none",
        sdk=SdkOption(
            help="json, json_schema, regex or grammar, with ``guided_decoding_guide``: the tensors "
            "themselves, instead of the five options that follow."
        ),
        gateway=Translated("response_format"),
    ),
    Input(
        "guided_decoding_guide",
        "STRING",
        help="The schema, regular expression or grammar (GBNF); none for json.",
        example=('{"type": "object"}',),
        absent="none",
        gateway=Translated("response_format"),
    ),
    Input(
        "timeout_ms",
        "INT64",
        help="The server ends the request after so many milliseconds, at most a day.",
        example=(60_000,),
        absent="none",
        range=Range(least=1),
        sdk=SdkOption(
            help="The server ends the request after so long; ``timeout`` ends it on both sides."
        ),
    ),
)

INPUTS: tuple[Input, ...] = (*_OWN, *NVIDIA_INPUTS)
"""Ours, then names that only NVIDIA's models have."""

INPUT = {tensor.name: tensor for tensor in INPUTS}
"""By name."""

SAMPLING = tuple(tensor for tensor in INPUTS if isinstance(tensor, SamplingOption))
"""Those that are fields of SamplingParams as they are."""
