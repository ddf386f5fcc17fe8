"""Checks of what the engine answers: first tokens, seeds, guides."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gemma4_client import Client, Gemma4Error, InvalidRequestError
from gemma4_runtime.capabilities import CAPABILITIES

from gemma4_serve.doctor.report import Level, Result
from gemma4_serve.doctor.trial.trial import REQUEST_S, TEXT, Trial, common

__all__ = ["first_tokens", "guides", "seeds"]

_SEED_TOKENS = 32
"""Tokens of a sampled answer: enough that two seeds hardly give the same."""
_BESIDE = 7
"""Requests that run beside a seeded one, if the engine has the slots."""
_GUIDE_TOKENS = 96
"""Tokens in which each guided answer has to be whole."""


def first_tokens(trial: Trial) -> Result:
    """Check that greedy tokens equal those that the source checkpoint gave at build time."""
    wanted = trial.manifest.first_tokens
    if not wanted:
        return Result("first tokens", "info", "the manifest holds no reference")
    right = total = 0
    leads: list[float] = []
    client = trial.client()
    for reference in wanted:
        try:
            answer = client.generate(
                reference.text, max_tokens=len(reference.ids), temperature=0.0, timeout=REQUEST_S
            ).result()
        except InvalidRequestError:
            continue  # longer than this engine's limit
        same = common(answer.ids, reference.ids)
        right += same
        total += len(reference.ids)
        if same < len(reference.margins):
            leads.append(reference.margins[same])
    if not total:
        return Result("first tokens", "info", "no reference fits this engine's limits")
    share = right / total
    least = _reference_share(trial.manifest.precision)
    return Result(
        "first tokens",
        "ok" if share >= least else "fail",
        f"{right} of {total} equal before the first difference, at least {least:.0%} wanted"
        + (f"; largest lead where one differs: {max(leads):.3g} nats" if leads else ""),
        "" if share >= least else "build again; if it stays, the runtime computes wrongly here",
        {"equal": right, "total": total},
    )


def _reference_share(precision: str) -> float:
    """Return the least share of equal first tokens: all of them where nothing was rounded; a
    quantized model may leave the greedy path of its source at a near tie."""
    return {"f32": 1.0, "bf16": 0.9}.get(precision, 0.5)


def seeds(trial: Trial) -> Result:
    """Check that a seed repeats an answer, alone and beside other requests."""
    if trial.manifest.runtime == "synthetic":
        return Result("seeds", "info", "the synthetic runtime samples nothing")
    client = trial.client()
    alone = [_sampled(client, 1), _sampled(client, 1), _sampled(client, 2), _sampled(client, 3)]
    again = alone[0] == alone[1]
    differ = len(set(map(tuple, alone))) > 1
    beside = min(_BESIDE, trial.manifest.limits.slots - 1)
    batch: bool | None = None
    if beside:
        others = [
            client.generate(
                f"{i} {TEXT}", max_tokens=trial.long, min_tokens=trial.long, random_seed=100 + i,
                temperature=1.0, timeout=REQUEST_S,
            )
            for i in range(beside)
        ]  # fmt: skip
        for other in others:
            next(iter(other))
        batch = _sampled(client, 1) == alone[0]
        for other in others:
            other.cancel()
        trial.server.wait_idle()
    level: Level = "ok" if again and differ else "fail"
    way_out = "" if again else "the runtime does not honor random_seed: use temperature 0"
    if again and not differ:
        way_out = "every seed gives the same answer: the sampler does not use it"
    if level == "ok" and batch is False and trial.manifest.runtime == "llama_cpp":
        level = "warn"
        way_out = "its arithmetic changes with the batch: only a seed alone repeats an answer"
    said = {True: "yes", False: "no", None: "not tried, there is one slot"}
    return Result(
        "seeds", level,
        f"the same answer again alone: {said[again]}; beside {beside} others: {said[batch]}; "
        f"another for another seed: {said[differ]}",
        way_out, {"alone": again, "in_batch": batch, "differ": differ, "beside": beside},
    )  # fmt: skip


def _sampled(client: Client, seed: int) -> list[int]:
    return client.generate(
        TEXT, max_tokens=_SEED_TOKENS, random_seed=seed, temperature=1.5, top_k=0, top_p=1.0,
        timeout=REQUEST_S,
    ).result().ids  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Guide:
    kind: str
    text: str
    keeps: Callable[[str], bool]


_REGEX = "[0-9]{3}-[a-f]{2}"
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "large": {"type": "boolean"}},
    "required": ["city", "large"],
    "additionalProperties": False,
}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _follows_schema(text: str) -> bool:
    found = _json(text)
    return (
        isinstance(found, dict)
        and found.keys() == {"city", "large"}
        and found["city"] in ("Paris", "Rome")
        and isinstance(found["large"], bool)
    )


_GUIDES = (
    _Guide("json_schema", json.dumps(_SCHEMA), _follows_schema),
    _Guide("regex", _REGEX, lambda text: re.fullmatch(_REGEX, text) is not None),
    _Guide("grammar", 'root ::= "left" | "right"', lambda text: text in ("left", "right")),
)


def guides(trial: Trial) -> Result:
    """Check that guided answers keep their guides, or that a runtime without guides refuses."""
    has = CAPABILITIES[trial.manifest.runtime].guides
    # TensorRT-LLM does no guided decoding beside an MTP assistant.
    if (trial.folder / "assistant").is_dir():
        has = frozenset()
    client = trial.client()
    found = {guide.kind: _guided(client, guide) for guide in _GUIDES}
    wanted = {kind: "kept" if kind in has else "refused" for kind in found}
    wrong = {kind: said for kind, said in found.items() if said != wanted[kind]}
    cut = all(said == "cut" for said in wrong.values())
    level: Level = "ok" if not wrong else "warn" if cut else "fail"
    return Result(
        "guides", level, ", ".join(f"{kind}: {said}" for kind, said in found.items()),
        f"expected {', '.join(f'{kind}: {wanted[kind]}' for kind in wrong)}" if wrong else "",
        {"answers": found},
    )  # fmt: skip


def _guided(client: Client, guide: _Guide) -> str:
    try:
        answer = client.chat(
            "Hello", guided_decoding_guide_type=guide.kind, guided_decoding_guide=guide.text,
            max_tokens=_GUIDE_TOKENS, temperature=0.0, timeout=REQUEST_S,
        ).result()  # fmt: skip
    except InvalidRequestError:
        return "refused"
    except Gemma4Error as error:
        return f"{type(error).__name__} ({error})"
    if guide.keeps(answer.text):
        return "kept"
    return "cut" if answer.finish_reason == "length" and answer.text[:1] == "{" else "broken"
