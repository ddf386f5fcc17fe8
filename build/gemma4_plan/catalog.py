"""The GPUs of ``catalog.yaml``, or of a file that a user made from it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Self

from gemma4_runtime.strict_yaml import YamlFileError, read_mapping
from gemma4_runtime.trtllm.gpus import Gpu
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from gemma4_plan.catalog_errors import explain
from gemma4_plan.errors import BadCatalogError, BadQuestionError

__all__ = ["BUILT_IN", "CPU", "Card", "Catalog", "Cpu", "Figure", "Price", "Tflops", "read_catalog"]

BUILT_IN = Path(__file__).with_name("catalog.yaml")
CPU = "cpu"
"""The name of the machine without a GPU."""

FigureValue = Annotated[float, Field(ge=0.001, le=1e15, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Sourced(_Part):
    """``source`` is an address or a file; ``date`` a year, month or day, as the source has it."""

    source: Annotated[str, Field(min_length=1)]
    date: Annotated[str, BeforeValidator(str), Field(pattern=r"^\d{4}(-\d\d(-\d\d)?)?$")]


class Figure(_Sourced):
    """One number."""

    value: FigureValue


class Tflops(_Sourced):
    """Dense tensor operations, 10^12 a second, by the type of their inputs."""

    bf16: FigureValue | None = None
    fp8: FigureValue | None = None
    nvfp4: FigureValue | None = None


class Price(_Sourced):
    """US dollars for one GPU and hour."""

    low: FigureValue
    high: FigureValue

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class Card(_Part):
    """A kind of GPU. Units: see ``catalog.yaml``."""

    product: Annotated[str, Field(min_length=1)]
    sm: Annotated[int, Field(ge=50, le=999)]
    memory_gb: Annotated[int, Field(gt=0, le=10_000)]
    usable_bytes: Figure | None = None
    bandwidth_gbs: Figure | None = None
    tflops: Tflops | None = None
    link_gbs: Figure | None = None
    usd_per_hour: Price | None = None

    @property
    def memory_bytes(self) -> int:
        """What a process can use, or the nominal memory where that is not known."""
        return self.memory_gb * 10**9 if self.usable_bytes is None else int(self.usable_bytes.value)

    def as_gpu(self, name: str) -> Gpu:
        """Return the row that the compatibility table asks for."""
        return Gpu(name, self.product, self.sm, self.memory_gb)


class Cpu(_Part):
    """A machine that serves with llama.cpp."""

    product: Annotated[str, Field(min_length=1)]
    bandwidth_gbs: Figure | None = None
    usd_per_hour: Price | None = None


class Catalog(_Part):
    """All that can be planned for."""

    schema_version: Annotated[int, Field(ge=1, le=1)]
    gpus: Annotated[dict[Name, Card], Field(min_length=1)]
    cpu: Cpu

    @field_validator("gpus")
    @classmethod
    def _no_cpu(cls, gpus: dict[str, Card]) -> dict[str, Card]:
        if CPU in gpus:
            raise ValueError(f"{CPU} is the name of the machine without a GPU; choose another")
        return gpus

    def find(self, name: str) -> tuple[str, Card]:
        """Return the name as the catalog has it, and the GPU. Raises :class:`BadQuestionError`."""
        wanted = name.strip().lower()
        if wanted in self.gpus:
            return wanted, self.gpus[wanted]
        known = [*self.gpus, CPU]
        near = difflib.get_close_matches(wanted.replace(" ", "-"), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BadQuestionError(
            f"--gpu {name}: is not in the catalog; {hint}Known are {', '.join(known)}. Add another "
            "to a copy (`gemma4 plan catalog --yaml`) and give it with --catalog"
        )


def read_catalog(path: Path | None = None) -> Catalog:
    """Read ``path``, or our own catalog. Raises :class:`BadCatalogError`."""
    file = BUILT_IN if path is None else path
    try:
        return Catalog.model_validate(read_mapping(file))
    except OSError as error:
        raise BadCatalogError(
            f"--catalog {file}: {error.strerror}; write one with `gemma4 plan catalog --yaml`"
        ) from None
    except YamlFileError as error:
        raise BadCatalogError(f"--catalog {file}: {error}") from None
    except ValidationError as error:
        raise BadCatalogError(
            f"--catalog {file}: {explain(error.errors()[0], read_mapping(BUILT_IN))}"
        ) from None
