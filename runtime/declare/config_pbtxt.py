"""The tensors in the ``config.pbtxt`` of each model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gemma4_runtime.contract.models import MODELS, Model
from gemma4_runtime.contract.tensors import Tensor

from declare.regions import Region

__all__ = ["regions"]

_ENSEMBLE = "gemma4"
_STEPS = ("preprocessing", "engine", "postprocessing")
_BETWEEN = ("request", "chunk")
"""Tensors that pass between the steps of the ensemble; the engine's others are for its clients."""


def regions() -> Iterator[Region]:
    """Of every model, and the steps of the ensemble."""
    for name, model in MODELS.items():
        yield Region(_path(name), "tensors", tuple(_tensors(model)))
    yield Region(_path(_ENSEMBLE), "steps", tuple(_steps()))


def _path(model: str) -> str:
    return f"model_repository/{model}/config.pbtxt"


def _tensors(model: Model) -> Iterator[str]:
    yield from _list("input", model.inputs, " optional: true" if model.optional else "")
    yield from _list("output", model.outputs, "")


def _list(key: str, tensors: Sequence[Tensor], more: str) -> Iterator[str]:
    yield f"{key} ["
    last = tensors[-1]
    for tensor in tensors:
        yield (
            f'  {{ name: "{tensor.name}" data_type: TYPE_{tensor.dtype} dims: [ {tensor.dims} ]'
            f"{more} }}{'' if tensor is last else ','}"
        )
    yield "]"


def _steps() -> Iterator[str]:
    yield "step ["
    for step in _STEPS:
        model = MODELS[step]
        yield "  {"
        yield f'    model_name: "{step}"'
        yield "    model_version: -1"
        for key, tensors in (("input_map", model.inputs), ("output_map", model.outputs)):
            for tensor in tensors:
                if step != "engine" or tensor.name in _BETWEEN:
                    yield f'    {key} {{ key: "{tensor.name}" value: "{tensor.name}" }}'
        yield "  }" if step == _STEPS[-1] else "  },"
    yield "]"
