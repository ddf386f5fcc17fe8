"""What is made of the declaration is up to date, and says what the declaration says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from declare import __main__ as command
from declare.made import ROOT, made
from declare.regions import Region, mark
from gemma4_client.options import Options
from gemma4_client.wire import INPUT_TYPES
from gemma4_gateway.schemas.declared import PASSED_ON
from gemma4_gateway.translate import fields
from gemma4_runtime.contract.inputs import INPUT, INPUTS, SAMPLING
from gemma4_runtime.contract.models import MODELS
from gemma4_runtime.contract.nvidia_models import INPUT_NAMES, NVIDIA_MODELS, OVERLAY, Shaped
from gemma4_runtime.contract.outputs import OUTPUTS
from gemma4_runtime.contract.tensors import Tensor, Translated
from gemma4_runtime.messages import SamplingParams
from gemma4_runtime.output.render import ChunkText
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2


def test_every_file_is_up_to_date(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["declare", "--check"])
    assert command.main() == 0
    assert capsys.readouterr().out == ""


def test_a_file_that_was_edited_is_found_and_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {tmp_path / path.relative_to(ROOT): text for path, text in made(ROOT).items()}
    for path, text in texts.items():
        path.parent.mkdir(parents=True)
        path.write_text(text.replace("min_p", "max_p"), encoding="utf-8")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["declare", "--check"])
    assert command.main() == 1
    stale = capsys.readouterr().out.splitlines()
    assert len(stale) == sum("min_p" in text for text in texts.values()) >= 8
    assert all("run `make generate`" in line for line in stale)
    monkeypatch.setattr(sys, "argv", ["declare"])
    assert command.main() == 0
    assert {path: path.read_text(encoding="utf-8") for path in texts} == texts


def test_a_region_needs_both_comments_once() -> None:
    begin, end = (f"  # {words}\n" for words in mark("x"))
    region = Region("f", "x", ("new", ""))
    assert region.put(f"a\n{begin}  old\n{end}b\n") == f"a\n{begin}  new\n\n{end}b\n"
    for text in ("a\n", begin, end + begin, begin + end + begin + end, begin + begin + end):
        with pytest.raises(ValueError, match="f: needs the lines"):
            region.put(text)


REPOSITORIES = {"model_repository": MODELS, "nvidia_repository": NVIDIA_MODELS}
EACH = [(folder, name) for folder, models in REPOSITORIES.items() for name in models]


def config_of(folder: str, name: str) -> model_config_pb2.ModelConfig:
    text = (ROOT / folder / name / "config.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize(("folder", "name"), EACH)
def test_tritons_own_reader_finds_the_declared_tensors(folder: str, name: str) -> None:
    config, model = config_of(folder, name), REPOSITORIES[folder][name]
    kind = model_config_pb2.DataType.Name
    assert config.name == name
    for found, declared in ((config.input, model.inputs), (config.output, model.outputs)):
        assert [(t.name, kind(t.data_type), list(t.dims)) for t in found] == [
            (t.name, f"TYPE_{t.dtype}", list(t.shape) if isinstance(t, Shaped) else [t.dims])
            for t in declared
        ]
    assert {t.optional for t in config.input} == {model.optional}


@pytest.mark.parametrize("folder", REPOSITORIES)
def test_every_model_of_a_repository_is_declared(folder: str) -> None:
    found = {path.parent.name for path in Path(ROOT, folder).glob("*/config.pbtxt")}
    assert found == set(REPOSITORIES[folder])
    assert not set(MODELS) & set(NVIDIA_MODELS)


@pytest.mark.parametrize(
    ("folder", "name", "inputs", "outputs"),
    [
        ("model_repository", "gemma4", tuple(INPUT), OUTPUTS),
        *(
            ("nvidia_repository", name, INPUT_NAMES, NVIDIA_MODELS[name].outputs)
            for name in OVERLAY
        ),
    ],
)
def test_an_ensemble_passes_every_tensor_on(
    folder: str, name: str, inputs: tuple[str, ...], outputs: tuple[Tensor, ...]
) -> None:
    first, engine, last = config_of(folder, name).ensemble_scheduling.step
    assert engine.model_name == "engine"
    assert dict(first.input_map) == {name: name for name in inputs}
    assert dict(engine.input_map) == dict(first.output_map) == {"request": "request"}
    assert dict(last.input_map) == dict(engine.output_map) == {"chunk": "chunk"}
    assert dict(last.output_map) == {tensor.name: tensor.name for tensor in outputs}


def test_fields_of_the_messages() -> None:
    default = SamplingParams(max_tokens=1)
    for option in SAMPLING:
        assert getattr(default, option.param) == option.default, option.name
    text = ChunkText()
    assert ChunkText.__struct_fields__[: len(OUTPUTS)] == tuple(t.name for t in OUTPUTS)
    for tensor in OUTPUTS:
        assert getattr(text, tensor.name) == tensor.absent
        assert type(getattr(text, tensor.name)) is type(tensor.absent)


def test_what_the_clients_offer() -> None:
    assert list(INPUT_TYPES) == [tensor.name for tensor in INPUTS]
    offered = {tensor.name for tensor in INPUTS if tensor.sdk is not None}
    assert set(Options.__annotations__) & set(INPUT_TYPES) == offered
    assert offered >= {option.name for option in SAMPLING}
    assert set(PASSED_ON) <= offered


def test_the_gateways_errors_name_the_declared_parameters() -> None:
    for tensor in INPUTS:
        if isinstance(tensor.gateway, Translated):
            assert fields._NAMES.get(tensor.name, tensor.name) == tensor.gateway.name
        else:
            assert tensor.name not in fields._NAMES
