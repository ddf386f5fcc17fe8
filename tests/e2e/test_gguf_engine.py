"""An engine from somebody else's GGUF file is served: it answers, and says what it is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_testing.engine_folders.published_gguf import publish
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until
from gguf import GGMLQuantizationType as Kind


@pytest.fixture(scope="module")
def engine(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    source = publish(checkpoint, Kind.Q4_K, Kind.Q6_K).write(folder / "demo-Q4_K_M.gguf")
    request = BuildRequest(
        checkpoint=source, tokenizer=checkpoint, out=folder / "engine", precision="gguf"
    )
    build_engine(request, SilentReporter())
    return request.out


@pytest.fixture(scope="module")
def served(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(engine, tmp_path_factory.mktemp("run"))
    yield server
    assert server.stop() == 0, "".join(server.output[-30:])


def test_it_answers(served: Served) -> None:
    with served.client() as client:
        answer = client.chat(user("What is 7 + 8?"), max_tokens=24, temperature=0.0).result()
        assert answer.text and answer.completion_tokens == len(answer.ids)


def test_every_id_of_a_byte_token_is_streamed(served: Served) -> None:
    """In the file they have llama.cpp's type, with which its server loses some of them."""
    with served.client() as client:
        answer = client.chat(
            user("Say something"), max_tokens=12, temperature=0.0,
            guided_decoding_guide_type="regex", guided_decoding_guide="[\U0001f980\U0001f99e]{3}",
        ).result()  # fmt: skip
    assert len(answer.text) == 3 and set(answer.text) <= {"\U0001f980", "\U0001f99e"}
    assert len(answer.ids) >= 12


def test_the_banner_and_doctor_say_what_it_is(served: Served, engine: Path) -> None:
    shown = "".join(served.output)
    assert "as published in demo-Q4_K_M.gguf (44 Q5_0, 8 Q4_K, 1 Q8_0, 80 F32 tensors)" in shown
    assert "closeness to the original unknown" in shown
    ran = subprocess.run(
        [GEMMA4, "doctor", "--engine", str(engine)], capture_output=True, text=True
    )
    said = " ".join(ran.stdout.split())
    assert "as published in demo-Q4_K_M.gguf" in said and "rounded: how close it is" in said


def test_the_quality_gate_passes(served: Served) -> None:
    wait_until(lambda: any("quality_gate_passed" in line for line in served.output), 60)
