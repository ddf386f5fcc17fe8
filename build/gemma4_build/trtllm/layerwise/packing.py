"""Several calibration texts in one sequence, none of which sees another.

An expert then multiplies the tokens of all of them at once. One by one, 64 texts are 64 passes over
128 experts a layer, most of them for a few dozen tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["PACK_TOKENS", "attention_masks", "pack", "positions"]

PACK_TOKENS = {"cpu": 1024, "cuda": 2048}
"""Tokens in a sequence. Attention takes memory by the square of it: 0.2 and 0.8 GB for the 26B."""


def pack(texts: Iterable[list[int]], limit: int) -> list[list[list[int]]]:
    """Group ``texts`` (token ids), in their order, into sequences of at most ``limit`` tokens; a
    longer text is alone in one."""
    packs: list[list[list[int]]] = []
    for text in texts:
        if packs and sum(map(len, packs[-1])) + len(text) <= limit:
            packs[-1].append(text)
        else:
            packs.append([text])
    return packs


def positions(lengths: Sequence[int]) -> torch.Tensor:
    """Return [1, tokens] int64: every text begins at 0."""
    import torch

    return torch.cat([torch.arange(length) for length in lengths])[None]


def attention_masks(
    lengths: Sequence[int], window: int, device: torch.device | str
) -> dict[str, torch.Tensor]:
    """Return what transformers adds to the scores, [1, 1, tokens, tokens] bf16, by the kind of
    layer: 0 where a token sees another (of its text, not after it, and in sliding layers fewer than
    ``window`` tokens before it), the least number elsewhere."""
    import torch

    text = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(device)
    place = positions(lengths)[0].to(device)
    before = place[:, None] - place[None, :]
    sees = (text[:, None] == text[None, :]) & (before >= 0)
    least = torch.finfo(torch.bfloat16).min

    def mask(allowed: torch.Tensor) -> torch.Tensor:
        hidden = torch.zeros(allowed.shape, dtype=torch.bfloat16, device=device)
        return hidden.masked_fill_(~allowed, least)[None, None]

    return {"full_attention": mask(sees), "sliding_attention": mask(sees & (before < window))}
