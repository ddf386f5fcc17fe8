"""The tensors in the ``config.pbtxt`` of each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gemma4_runtime.contract.models import MODELS, Model
from gemma4_runtime.contract.nvidia_models import NVIDIA_MODELS, OVERLAY, Shaped
from gemma4_runtime.contract.tensors import Tensor

from declare.regions import Region

__all__ = ["regions"]

_OURS, _THEIRS = "model_repository", "nvidia_repository"
_ALL = {**NVIDIA_MODELS, **MODELS}
_BETWEEN = ("request", "chunk")
"""Tensors that pass between the steps of an ensemble; the engine's others are for its clients."""


def regions() -> Iterator[Region]:
    """Of every model, and the steps of the ensembles."""
    yield from _of_repository(_OURS, MODELS)
    yield _ensemble(_OURS, "gemma4", ("preprocessing", "engine", "postprocessing"))
    yield from _of_repository(_THEIRS, NVIDIA_MODELS)
    for name in OVERLAY:
        steps = ("nvidia_preprocessing", "engine", "nvidia_postprocessing")
        yield _ensemble(_THEIRS, name, steps)


def _of_repository(repository: str, models: Mapping[str, Model]) -> Iterator[Region]:
    for name, model in models.items():
        yield Region(_path(repository, name), "tensors", tuple(_tensors(model)))


def _ensemble(repository: str, name: str, steps: Sequence[str]) -> Region:
    return Region(_path(repository, name), "steps", tuple(_steps(steps)))


def _path(repository: str, model: str) -> str:
    return f"{repository}/{model}/config.pbtxt"


def _tensors(model: Model) -> Iterator[str]:
    yield from _list("input", model.inputs, " optional: true" if model.optional else "")
    yield from _list("output", model.outputs, "")


def _list(key: str, tensors: Sequence[Tensor], more: str) -> Iterator[str]:
    yield f"{key} ["
    last = tensors[-1]
    for tensor in tensors:
        yield (
            f'  {{ name: "{tensor.name}" data_type: TYPE_{tensor.dtype} dims: [ {_dims(tensor)} ]'
            f"{more} }}{'' if tensor is last else ','}"
        )
    yield "]"


def _dims(tensor: Tensor) -> str:
    return ", ".join(map(str, tensor.shape if isinstance(tensor, Shaped) else (tensor.dims,)))


def _steps(steps: Sequence[str]) -> Iterator[str]:
    yield "step ["
    for step in steps:
        model = _ALL[step]
        yield "  {"
        yield f'    model_name: "{step}"'
        yield "    model_version: -1"
        for key, tensors in (("input_map", model.inputs), ("output_map", model.outputs)):
            for tensor in tensors:
                if step != "engine" or tensor.name in _BETWEEN:
                    yield f'    {key} {{ key: "{tensor.name}" value: "{tensor.name}" }}'
        yield "  }" if step == steps[-1] else "  },"
    yield "]"
