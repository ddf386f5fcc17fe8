"""``SamplingParams`` and ``GuidedDecodingParams``."""

from __future__ import annotations

from typing import Any

from tensorrt_llm.records import Recorded


class GuidedDecodingParams(Recorded):  # type: ignore[misc]
    """At most one guide."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        guides = [name for name, value in vars(self).items() if value]
        if len(guides) > 1:
            raise ValueError(f"only one guide can be used for a request, got {', '.join(guides)}")


_UNDONE = (
    "use_beam_search", "beam_search_diversity_rate", "early_stopping", "length_penalty",
    "top_p_decay", "top_p_min", "top_p_reset_ids", "no_repeat_ngram_size",
    "stop", "bad", "logits_processor", "apply_batched_logits_processor",
    "truncate_prompt_tokens", "prompt_logprobs", "return_context_logits",
    "return_generation_logits", "return_encoder_output", "additional_model_outputs",
    "beam_width_array",
)  # fmt: skip
"""What the double does not do."""


class SamplingParams(Recorded):  # type: ignore[misc]
    """Greedy unless temperature, top_k or top_p is set; 32 tokens unless ``max_tokens`` is."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if isinstance(self.guided_decoding, dict):
            raise ValueError("guided_decoding must be a GuidedDecodingParams")
        if self.pad_id is None:  # type: ignore[has-type]
            self.pad_id = self.end_id
        self.best_of = self.best_of or self.n  # type: ignore[has-type]
        if self.best_of < self.n:
            raise ValueError(f"best_of ({self.best_of}) cannot be less than n ({self.n})")
        if self.best_of > 1 and self.greedy:
            raise ValueError("greedy decoding does not allow best_of > 1")
        for name in _UNDONE:
            if getattr(self, name):
                raise NotImplementedError(f"the double does not do SamplingParams.{name}")
        if self.best_of > 1 or not self.exclude_input_from_output:
            raise NotImplementedError("the double does n=1, no echo")

    @property
    def greedy(self) -> bool:
        unset = self.temperature is None and self.top_p is None and self.top_k is None
        return unset or self.temperature == 0 or self.top_k == 1
