"""The texts that quantizing reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_build import errors
from gemma4_build.trtllm.calibration import calibration_ids
from gemma4_testing.engine_folders.trtllm_build import build
from tokenizers import Tokenizer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no text"),
        ("{", "line 1: not JSON"),
        ('{"text": 3}', "line 1: need"),
        ('{"messages": [{"content": "x"}]}', "line 1: every message"),
        ('{"text": "a b c d e f g"}\n{"prompt": "x"}', "line 2: need"),
    ],
)
def test_bad_calibration(text: str, words: str, demo_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(errors.BadOptionError, match=words):
        build(demo_checkpoint, tmp_path / "engine", "fp8", calibration=tmp_path / "c.jsonl")


def test_calibration_is_rendered(demo_checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    file.write_text(
        '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]}'
        '\n\n{"text": "plain text, long enough"}\n'
    )
    tokenizer = Tokenizer.from_file(str(demo_checkpoint / "tokenizer.json"))
    one, two = calibration_ids(demo_checkpoint, file, samples=9, length=100)
    text = tokenizer.decode(one, skip_special_tokens=False)
    assert text.startswith("<bos><|turn>user\nHi<turn|>\n<|turn>model\n")
    assert text.endswith("Yo<turn|>")
    assert two[0] == 2
    own = calibration_ids(demo_checkpoint, None, samples=99, length=20)
    assert len(own) == 50 and max(map(len, own)) == 20
