"""Walk the answers of gemma4_testing.cases.turn_texts through xgrammar itself: ``make
test-xgrammar``.

TensorRT-LLM cannot be installed here, but the library that enforces its guides can; it brings
PyTorch, so it has an environment of its own and is no part of ``make test``. Prints one line for
each form and prelude; exit code 1 when an answer is taken or refused against the table.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import xgrammar

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "runtime"), str(ROOT / "testing")]

from gemma4_runtime.engines.tensorrt_llm.structural_tag import structural_tag  # noqa: E402
from gemma4_runtime.messages import GuidedDecoding, Prelude  # noqa: E402
from gemma4_testing.cases.turn_texts import ANSWERS, FORMS, NAMES, fits  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

EOS = 1


def vocabulary(tokenizer_json: Path) -> list[str]:
    data = json.loads(tokenizer_json.read_text())
    ids = data["model"]["vocab"] | {e["content"]: e["id"] for e in data["added_tokens"]}
    return sorted(ids, key=ids.__getitem__)


def accepts(grammar: xgrammar.CompiledGrammar, ids: list[int], size: int) -> bool:
    """By the masks, as TensorRT-LLM uses them, and by what the matcher takes."""
    matcher = xgrammar.GrammarMatcher(grammar)
    mask = torch.full((1, (size + 31) // 32), -1, dtype=torch.int32)
    for token in [*ids, EOS]:
        matcher.fill_next_token_bitmask(mask, 0)
        allowed = mask[0].numpy().view(np.uint32)[token // 32] >> (token % 32) & 1
        if not allowed or not matcher.accept_token(token):
            return False
    return matcher.is_terminated()


def main() -> int:
    path = ROOT / "demo" / "checkpoint" / "tokenizer.json"
    words, tokenizer = vocabulary(path), Tokenizer.from_file(str(path))
    info = xgrammar.TokenizerInfo(
        words, vocab_type=xgrammar.VocabType.BYTE_FALLBACK, vocab_size=len(words),
        stop_token_ids=[EOS], add_prefix_space=False,
    )  # fmt: skip
    compiler = xgrammar.GrammarCompiler(info)
    wrong = total = 0
    for form, (kind, guide, *texts) in FORMS.items():
        for thought in ("none", "may", "open"):
            for tools in ((), NAMES):
                if thought == "none" and not tools:
                    continue  # the plain guide, no structural tag
                tag = structural_tag(GuidedDecoding(kind, guide), Prelude(thought, tools))
                began = time.perf_counter()
                grammar = compiler.compile_structural_tag(tag)
                took = time.perf_counter() - began
                bad = []
                for answer, text in ANSWERS(*texts):
                    total += 1
                    ids = tokenizer.encode(text, add_special_tokens=False).ids
                    expected = fits(answer, thought, tools=bool(tools), loose=True)
                    if accepts(grammar, ids, len(words)) != expected:
                        bad.append(text)
                wrong += len(bad)
                print(f"{form:8} {thought:5} {len(tools)} tools: {took * 1000:.0f} ms", *bad)
    print(f"xgrammar {version('xgrammar')}: {total} answers, {wrong} wrong")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
