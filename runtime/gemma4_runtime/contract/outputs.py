"""The outputs of ``gemma4``. Each response has them for its own piece of the answer, but for lists
of nothing."""

from __future__ import annotations

from gemma4_runtime.contract.tensors import Output

__all__ = ["OUTPUTS"]

OUTPUTS = (
    Output("text_output", "STRING", help="Text of the answer."),
    Output("reasoning_output", "STRING", help="Text of the model's thoughts."),
    Output(
        "tool_calls", "STRING", help="JSON array of whole tool calls in OpenAI's form, or empty."
    ),
    Output(
        "finish_reason",
        "STRING",
        help="`stop`, `length` or `tool_calls` in the last one, else empty.",
    ),
    Output("chunk_index", "INT32", help="Counts the responses from 0, without gaps."),
    Output("prompt_tokens", "INT32", help="Tokens of the prompt."),
    Output("completion_tokens", "INT32", help="Tokens of the answer so far."),
    Output(
        "output_ids",
        "INT32",
        many=True,
        help="Token ids of this piece, stop token included. With `top_logprobs` k they are the "
        "first of 1 + k rows of equal length, one after another: row r has the r-th most probable "
        "token in the place of each.",
    ),
    Output(
        "output_log_probs",
        "FP32",
        many=True,
        help="Natural-log probability of each of them, in the same rows, with `return_log_probs`.",
    ),
    Output("cum_log_probs", "FP32", help="Their sum over the answer so far."),
    Output(
        "timings",
        "STRING",
        help="JSON with the seconds `queue`, `prefill` and `decode` in the last one, else empty.",
    ),
)
