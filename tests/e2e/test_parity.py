"""The f32 engine answers as transformers does in float32, token for token."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from gemma4_client.results import Answer
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.text import PromptTokenizer
from gemma4_testing.servers.served import Served, user
from transformers import Gemma4ForConditionalGeneration

LONG = "The queue was full of questions, and the server answered them one after another. "
LOG_PROBS: dict[str, Any] = {"return_log_probs": True, "top_logprobs": 20}
OTHER = [
    "Wie heißt die Hauptstadt von Österreich?", "¿Cuál es la capital de España?", "日本の首都はどこですか。",
    "中国的首都是哪里？", "Какая столица России?", "ما هي عاصمة مصر؟", "भारत की राजधानी क्या है?",
    "한국의 수도는 어디입니까?", "สวัสดี", "🌊 👨‍👩‍👧 cafe\u0301", "def f(n):\n    return n\n",
]  # fmt: skip


@pytest.fixture(scope="module")
def prompts(checkpoint: Path) -> list[list[dict[str, Any]]]:
    """At least 64, short and long (the window of the demo is 64 tokens), in several languages."""
    lines = (checkpoint.parent / "eval_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines]
    plain = [e["messages"] for e in asked if not e["tools"] and not e["thinking"]]
    chosen = plain[:: max(1, len(plain) // 48)][:48]
    return [
        *chosen,
        *(user(t) for t in OTHER),
        *(user(LONG * n + "Hello") for n in (4, 6, 9, 14, 20)),
    ]


@pytest.fixture(scope="module")
def answers(server: Served, prompts: list[list[dict[str, Any]]]) -> list[Answer]:
    with server.client() as client:
        return [
            client.chat(m, temperature=0.0, max_tokens=48, **LOG_PROBS).result() for m in prompts
        ]


def test_greedy_tokens_and_log_probs_are_those_of_transformers(
    checkpoint: Path, prompts: list[list[dict[str, Any]]], answers: list[Answer]
) -> None:
    """Teacher-forced: at every step the reference's best token, given the same tokens before, is
    the engine's; so the greedy answers are equal."""
    assert len(prompts) >= 64
    tokenizer = PromptTokenizer(checkpoint / "tokenizer.json")
    template = ChatTemplate(checkpoint / "chat_template.jinja")
    model = Gemma4ForConditionalGeneration.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    window = model.config.text_config.sliding_window
    assert sum(a.prompt_tokens > window for a in answers) >= 5
    worst, positions = 0.0, 0
    for messages, answer in zip(prompts, answers, strict=True):
        ids = tokenizer.encode_rendered(template.render(messages, [], thinking=False))
        assert len(ids) == answer.prompt_tokens
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids + answer.ids[:-1]])).logits[0]
        rows = torch.log_softmax(logits[len(ids) - 1 :].float(), dim=-1)
        assert rows.argmax(dim=-1).tolist() == answer.ids
        chosen = rows.gather(1, torch.tensor(answer.ids)[:, None])[:, 0]
        errors = (chosen - torch.tensor(answer.log_probs)).abs()
        worst = max(worst, errors.max().item())
        positions += len(errors)
        least = rows.topk(20).values[:, -1]
        for place, top in enumerate(answer.top_log_probs):
            theirs = rows[place, [token for token, _ in top]]
            ours = torch.tensor([log_prob for _, log_prob in top])
            assert ours.tolist() == sorted(ours.tolist(), reverse=True)
            # Of tokens that are never drawn, the logits differ by some tenths.
            assert (theirs.exp() - ours.exp()).abs().max() < 1e-3
            assert (theirs - ours).abs().max() < 0.5
            assert theirs.min() > least[place] - 0.5
        assert len(answer.top_log_probs) == len(answer.ids)
    print(f"{positions} positions, largest difference of a log-probability {worst:.5f}")
    assert worst <= 1e-2


def test_the_same_tokens_whole_and_eight_at_once(
    server: Served, prompts: list[list[dict[str, Any]]], answers: list[Answer]
) -> None:
    with server.client() as client, ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda m: client.chat(m, temperature=0.0, max_tokens=48).result().ids, prompts)
        )
        whole = list(
            pool.map(
                lambda m: client.chat(m, temperature=0.0, max_tokens=48, stream=False).result().ids,
                prompts,
            )
        )
    expected = [answer.ids for answer in answers]
    assert together == expected
    assert whole == expected
