"""Recorded answers against those of an engine: what passes, what fails, what is no evidence."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.manifest import FileEntry, Manifest, Quality
from gemma4_runtime.recorded_answers import (
    RECORD_NAME,
    NoRecordError,
    RecordedAnswer,
    RecordedAnswers,
    read_recorded,
)
from gemma4_runtime.server.gate.verdict import (
    Agreement,
    Answer,
    Rules,
    compare,
    hopeless,
    judge,
    rules_for,
)
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from hypothesis import given
from hypothesis import strategies as st

RULES = Rules(least=0.9, tie=0.1)
CLEAR, TIE = 3.0, 0.05


def recorded(*margins: float | None) -> RecordedAnswer:
    answer = list(range(10, 10 + (len(margins) or 4)))
    leads = [m for m in margins if m is not None]
    return RecordedAnswer(name="a", prompt=[2], answer=answer, margins=leads or None)


@pytest.mark.parametrize(
    ("ids", "margins", "equal", "positions", "near_tie"),
    [
        ([10, 11, 12, 13], [CLEAR] * 4, 4, 4, False),
        ([10, 11, 12, 13, 99], [CLEAR] * 4, 4, 4, False),
        ([10, 11, 99, 13], [CLEAR] * 4, 2, 4, False),
        ([10, 11, 99, 13], [CLEAR, CLEAR, TIE, CLEAR], 2, 2, True),
        ([99, 11, 12, 13], [TIE, CLEAR, CLEAR, CLEAR], 0, 0, True),
        ([99, 11, 12, 13], [CLEAR, TIE, TIE, TIE], 0, 4, False),
        ([10, 11], [CLEAR] * 4, 2, 4, False),
        ([], [CLEAR] * 4, 0, 4, False),
        ([10, 99], [], 1, 4, False),
    ],
)
def test_one_answer(
    ids: list[int], margins: list[float], equal: int, positions: int, near_tie: bool
) -> None:
    found = compare(recorded(*margins), Answer(ids), RULES)
    assert (found.equal, found.positions, found.near_tie) == (equal, positions, near_tie)


@given(st.lists(st.lists(st.sampled_from([10, 11, 12, 13, 99]), max_size=5), min_size=1))
def test_an_engine_passes_only_if_it_agrees(answers: list[list[int]]) -> None:
    found = [compare(recorded(*[CLEAR] * 4), Answer(ids), RULES) for ids in answers]
    verdict = judge(found, RULES)
    assert verdict is not None and 0 <= verdict.agreement <= 1
    assert verdict.passed is (sum(f.equal for f in found) >= 0.9 * 4 * len(found))


def test_near_ties_alone_are_no_evidence() -> None:
    assert judge([compare(recorded(TIE, CLEAR), Answer([99]), RULES)], RULES) is None


def test_the_worst_answer_is_named() -> None:
    good, bad = recorded(CLEAR, CLEAR), recorded(CLEAR, CLEAR).model_copy(update={"name": "b"})
    verdict = judge(
        [compare(good, Answer(good.answer), RULES), compare(bad, Answer([10, 9]), RULES)], RULES
    )
    assert verdict is not None and not verdict.passed
    assert (verdict.worst, verdict.agreement) == ("b", 0.75)


NARROW = Rules(least=0.5, tie=0.1, moved_build=0.25, moved_start=0.001)
PROBS = [-0.1, -0.2, -0.3, -0.4]


@pytest.mark.parametrize(
    ("ids", "log_probs", "first", "moved", "since", "fails"),
    [
        ([10, 11, 12, 13], PROBS, None, 0.0, "build", False),
        ([10, 11, 12, 13], [-0.1, -0.2, -0.3, -0.6], None, 0.2, "build", False),
        ([10, 11, 12, 13], [-0.1, -0.2, -0.3, -0.7], None, 0.3, "build", True),
        ([10, 11, 12, 13], PROBS, PROBS, 0.0, "build", False),
        ([10, 11, 12, 13], [-0.1, -0.2, -0.302, -0.4], PROBS, 0.002, "start", True),
        # Another machine than the one that built: what its first run said counts.
        ([10, 11, 12, 13], [-0.2] * 4, [-0.2] * 4, 0.2, "build", False),
        # Behind another token nothing is compared, and it has no probability to compare.
        ([10, 11, 99, 13], [-0.1, -0.2, -9.0, -9.0], PROBS, 0.0, "build", False),
        ([10, 11, 99, 13], [-0.1, -0.2, None, None], PROBS, 9999.0, "start", True),
        ([10, 11, 12, 13], [-0.1, math.nan, -0.3, -0.4], None, 9999.0, "build", True),
        ([10, 11, 12, 13], [], PROBS, None, "build", False),
        ([99, 11, 12, 13], [-0.1] * 4, PROBS, None, "build", False),
    ],
)
def test_probabilities(
    ids: list[int], log_probs: Any, first: Any, moved: float | None, since: str, fails: bool
) -> None:
    of = recorded(*[CLEAR] * 4).model_copy(update={"log_probs": PROBS})
    before = None if first is None else Answer(of.answer, first)
    found = compare(of, Answer(ids, log_probs), NARROW, before)
    assert found.moved == pytest.approx(moved)
    assert found.since == since
    assert (found.excess > 1) is fails
    verdict = judge([found, Agreement("other", 40, 40, False)], NARROW)
    assert verdict is not None and verdict.passed is not fails
    assert verdict.reason == (
        f"other probabilities of the same tokens than at the {since}" if fails else ""
    )
    assert hopeless([found], 40, NARROW) is fails


def test_no_number_at_a_near_tie_fails_all_the_same() -> None:
    found = compare(
        recorded(TIE, CLEAR).model_copy(update={"log_probs": [-0.1, -0.1]}),
        Answer([99, 99], [None, None]),
        NARROW,
    )
    verdict = judge([found], NARROW)
    assert found.positions == 0 and verdict is not None and not verdict.passed


@given(
    st.lists(st.lists(st.sampled_from([10, 11, 12, 13, 99]), max_size=5), min_size=1),
    st.integers(0, 8),
)
def test_a_run_without_hope_fails(answers: list[list[int]], asked: int) -> None:
    """Whatever the answers are that were not asked for any more."""
    found = [compare(recorded(*[CLEAR] * 4), Answer(ids), RULES) for ids in answers]
    left = 4 * len(found[asked:])
    verdict = judge(found, RULES)
    assert verdict is not None
    if hopeless(found[:asked], left, RULES):
        assert not verdict.passed
    assert hopeless(found, 0, RULES) is not verdict.passed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_engine(tmp_path_factory.mktemp("gate") / "e", tokens_per_s=1000, slots=2)


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    from gemma4_runtime.manifest import read_manifest

    return read_manifest(folder)


def quality(**limits: float) -> Quality:
    return Quality(
        prompts=1, positions=1, top_k=1, mean_kl=0.1, p99_kl=0.1, top1_agreement=0.9,
        max_abs_delta_logprob=0.4, reference="r", thresholds=limits,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("precision", "source", "figures", "rules"),
    [
        ("int4", "engine", {"top1_agreement": 0.8}, Rules(0.8, 0.1, 0.25, 0.0001)),
        ("int4", "engine", None, Rules(0.88, 0.1, 0.25, 0.0001)),
        ("none", "engine", None, Rules(1.0, 0.1, 0.25, 0.0001)),
        ("bf16", "reference", None, Rules(0.9, 0.1, math.inf, 0.0001)),
        ("fp8", "reference", {}, Rules(0.5, 0.8, math.inf, 0.0001)),
    ],
)
def test_rules_follow_the_manifest(
    manifest: Manifest, precision: str, source: Any, figures: Any, rules: Rules
) -> None:
    of = manifest.model_copy(
        update={
            "precision": precision,
            "quality": None if figures is None else quality(**figures),
        }
    )
    answers = RecordedAnswers(schema_version=1, source=source, answers=[recorded(CLEAR)])
    assert rules_for(of, answers) == rules
    gpu = of.model_copy(update={"runtime": "tensorrt_llm"})
    assert rules_for(gpu, answers) == replace(rules, tie=max(0.5, rules.tie), moved_start=0.5)


def test_the_recorded_file_is_in_the_sums(folder: Path, manifest: Manifest) -> None:
    found = read_recorded(folder, manifest)
    assert found.source == "engine" and len(found.answers) == 6
    assert manifest.files[RECORD_NAME].size == (folder / RECORD_NAME).stat().st_size


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "built without .* run the same `gemma4 build` again"),
        ("{", "not JSON"),
        ("[]", "schema_version is None"),
        ('{"schema_version": 3}', "schema_version is 3, this version reads 1 to 2"),
        ('{"schema_version": 1, "source": "engine", "answers": []}', "answers"),
        ({"margins": [1.0]}, "1 margins for 2 tokens"),
        ({"log_probs": [-1.0, -2.0, -3.0]}, "3 log_probs for 2 tokens"),
        ({"answer": [1, 10**6]}, "beyond the vocabulary"),
        ({"prompt": [-1]}, "prompt"),
    ],
)
def test_a_file_that_cannot_be_used(
    manifest: Manifest, tmp_path: Path, text: Any, says: str
) -> None:
    files = manifest.files | {RECORD_NAME: FileEntry(size=1, sha256="0" * 64)}
    if text is None:
        del files[RECORD_NAME]
    elif isinstance(text, dict):
        answer = {"name": "a", "prompt": [2], "answer": [3, 4], "margins": None} | text
        text = json.dumps({"schema_version": 1, "source": "engine", "answers": [answer]})
    if text is not None:
        (tmp_path / RECORD_NAME).write_text(text)
    with pytest.raises(NoRecordError, match=says):
        read_recorded(tmp_path, manifest.model_copy(update={"files": files}))
