"""The demo checkpoint's config.json and generation_config.json, in the published 26B style."""

from __future__ import annotations

from typing import Any

from tokenizer import CONTROL, MULTIMODAL, VOCAB_SIZE

__all__ = ["EOS_IDS", "config_dict", "generation_config_dict"]

EOS_IDS = [CONTROL["<eos>"], CONTROL["<turn|>"], CONTROL["<|tool_response>"]]
SLIDING_WINDOW = 64
LAYERS = ["sliding_attention", "sliding_attention", "full_attention"] * 2


def config_dict() -> dict[str, Any]:
    """config.json as the real checkpoint writes it, with ``global_head_dim`` keys."""
    text = {
        "model_type": "gemma4_text",
        "hidden_size": 192,
        "num_hidden_layers": len(LAYERS),
        "layer_types": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_global_key_value_heads": 1,
        "head_dim": 32,
        "global_head_dim": 64,
        "intermediate_size": 256,
        "moe_intermediate_size": 96,
        "num_experts": 8,
        "top_k_experts": 2,
        "enable_moe_block": True,
        "attention_k_eq_v": True,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "final_logit_softcapping": 30.0,
        "rms_norm_eps": 1e-6,
        "hidden_activation": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
        "use_bidirectional_attention": "vision",
        "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": VOCAB_SIZE,
        "use_double_wide_mlp": False,
        "vocab_size": VOCAB_SIZE,
        "max_position_embeddings": 4096,
        "sliding_window": SLIDING_WINDOW,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {
                "rope_type": "proportional",
                "partial_rotary_factor": 0.25,
                "rope_theta": 1000000.0,
            },
        },
        "bos_token_id": CONTROL["<bos>"],
        "eos_token_id": CONTROL["<eos>"],
        "pad_token_id": CONTROL["<pad>"],
        "initializer_range": 0.02,
        "use_cache": True,
        "dtype": "bfloat16",
    }
    vision = {
        "model_type": "gemma4_vision",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "global_head_dim": 16,
        "hidden_activation": "gelu_pytorch_tanh",
        "patch_size": 4,
        "pooling_kernel_size": 3,
        "position_embedding_size": 64,
        "default_output_length": 16,
        "standardize": True,
        "use_clipped_linears": False,
        "rms_norm_eps": 1e-6,
        "dtype": "bfloat16",
    }
    return {
        "_name_or_path": "gemma4-demo",
        "architectures": ["Gemma4ForConditionalGeneration"],
        "model_type": "gemma4",
        "dtype": "bfloat16",
        "tie_word_embeddings": True,
        "audio_config": None,
        "text_config": text,
        "vision_config": vision,
        "vision_soft_tokens_per_image": 16,
        "eos_token_id": EOS_IDS[:2],
        "boi_token_id": MULTIMODAL["<|image>"],
        "eoi_token_id": MULTIMODAL["<image|>"],
        "image_token_id": MULTIMODAL["<|image|>"],
        "boa_token_id": MULTIMODAL["<|audio>"],
        "eoa_token_id": MULTIMODAL["<audio|>"],
        "eoa_token_index": MULTIMODAL["<audio|>"],
        "audio_token_id": MULTIMODAL["<|audio|>"],
        "video_token_id": MULTIMODAL["<|video|>"],
        "initializer_range": 0.02,
    }


def generation_config_dict() -> dict[str, Any]:
    """generation_config.json with every EOS id and Gemma's sampling defaults."""
    return {
        "bos_token_id": CONTROL["<bos>"],
        "pad_token_id": CONTROL["<pad>"],
        "eos_token_id": EOS_IDS,
        "do_sample": True,
        "temperature": 1.0,
        "top_k": 64,
        "top_p": 0.95,
    }
