"""Record greedy answers beside an engine: what a running server is compared with."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import cycle, islice
from pathlib import Path

from gemma4_runtime.manifest import FileEntry, FirstTokens
from gemma4_runtime.recorded_answers import (
    RECORD_NAME,
    RECORD_VERSION,
    RecordedAnswer,
    RecordedAnswers,
    synthetic_cycle,
)

from gemma4_build.manifest import file_entries
from gemma4_build.verify.engine_run import Generated
from gemma4_build.verify.prompts import Prompt

__all__ = ["RECORDED", "TOKENS", "of_engine", "of_reference", "of_synthetic", "write_recorded"]

RECORDED = ("english", "arithmetic", "french", "japanese", "code", "json")
"""Prompts that are replayed: several scripts, all of them short."""
TOKENS = 16
"""Tokens of an answer: 96 of all six, with 231 of prompts, each time the gate runs."""


def of_engine(prompts: Sequence[Prompt], generated: Sequence[Generated]) -> RecordedAnswers:
    """Return what the engine itself answered."""
    return _recorded(
        "engine",
        [
            RecordedAnswer(
                name=prompt.name,
                prompt=list(prompt.ids),
                answer=list(each.ids[:TOKENS]),
                margins=[_lead(top) for top in each.top[:TOKENS]],
                log_probs=[
                    _log_prob(token, top)
                    for token, top in zip(each.ids[:TOKENS], each.top[:TOKENS], strict=True)
                ],
            )
            for prompt, each in zip(prompts, generated, strict=True)
            if prompt.name in RECORDED and each.ids
        ],
    )


def of_reference(prompts: Sequence[Prompt], first: Sequence[FirstTokens]) -> RecordedAnswers | None:
    """Return what the source checkpoint answered; None for a build that did not ask it."""
    answers = {
        f"<bos>{each.text}": each
        for each in first
        if each.ids and len(each.margins) == len(each.ids)
    }
    found = [
        RecordedAnswer(
            name=prompt.name,
            prompt=list(prompt.ids),
            answer=list(answers[prompt.text].ids),
            margins=list(answers[prompt.text].margins),
        )
        for prompt in prompts
        if prompt.name in RECORDED and prompt.text in answers
    ]
    return _recorded("reference", found) if found else None


def of_synthetic(prompts: Sequence[Prompt], special: Collection[int]) -> RecordedAnswers:
    """Return what the synthetic runtime answers."""
    return _recorded(
        "engine",
        [
            RecordedAnswer(
                name=prompt.name,
                prompt=list(prompt.ids),
                answer=list(islice(cycle(synthetic_cycle(prompt.ids, special)), TOKENS)),
                margins=None,
            )
            for prompt in prompts
            if prompt.name in RECORDED
        ],
    )


def write_recorded(folder: Path, recorded: RecordedAnswers) -> dict[str, FileEntry]:
    """Write ``quality_gate.json`` whole or not at all; return its entry for the manifest. Raises
    :class:`OSError`."""
    temporary = folder / f".{RECORD_NAME}.new"
    temporary.write_text(recorded.model_dump_json() + "\n", encoding="utf-8")
    temporary.replace(folder / RECORD_NAME)
    return file_entries(folder, (RECORD_NAME,))


def _recorded(source: str, answers: list[RecordedAnswer]) -> RecordedAnswers:
    return RecordedAnswers.model_validate(
        {"schema_version": RECORD_VERSION, "source": source, "answers": answers}
    )


def _lead(top: tuple[tuple[int, float], ...]) -> float:
    """Return the lead of the most probable token over the second, in nats; where the second has no
    probability, the largest number that JSON can hold."""
    values = sorted((value for _, value in top), reverse=True)
    lead = values[0] - values[1] if len(values) > 1 else math.inf
    return round(lead, 4) if math.isfinite(lead) else 1e9


def _log_prob(token: int, top: tuple[tuple[int, float], ...]) -> float:
    """Return the log-probability of the chosen token, which is the most probable one or as probable
    as that."""
    return round(dict(top)[token], 6)
