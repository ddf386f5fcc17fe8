"""What a declaration says of a tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "DataType",
    "Input",
    "Output",
    "PassedOn",
    "Range",
    "SamplingOption",
    "SdkOption",
    "Tensor",
    "Translated",
    "Value",
]

DataType = Literal["STRING", "BOOL", "INT32", "INT64", "UINT64", "FP16", "FP32", "UINT8"]
"""A type of Triton, as in ``config.pbtxt`` without ``TYPE_``."""

Value = bool | int | float | str

_BOUNDS: dict[DataType, tuple[float, float]] = {
    "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
    "UINT64": (0, 2**64 - 1),
    "FP32": (-3.4028234663852886e38, 3.4028234663852886e38),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """``many`` ones have shape [1, n] with n up to ``most``, others [1, 1]."""

    name: str
    dtype: DataType
    many: bool = False
    most: int = 4096

    @property
    def wire_type(self) -> str:
        """The type's name in requests and responses, where Triton calls a string BYTES."""
        return "BYTES" if self.dtype == "STRING" else self.dtype

    @property
    def dims(self) -> int:
        """The shape without the batch dimension, as in ``config.pbtxt``."""
        return -1 if self.many else 1


@dataclass(frozen=True, slots=True)
class Range:
    """The values of a number: from ``least``, or greater than ``above``, up to ``most``. What is
    None is bounded by the type alone."""

    least: float | None = None
    above: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class SdkOption:
    """A keyword argument of the SDK. ``none`` allows None, which is the same as leaving it out.
    ``help`` and ``kind``, the type, stand in for those of the tensor."""

    none: bool = True
    help: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A parameter of the gateway with the name, the range and the meaning of the tensor."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A parameter of the gateway with a name or a meaning of its own; the gateway's code says
    how the tensor is made of it."""

    name: str


@dataclass(frozen=True, slots=True)
class Input(Tensor):
    """An input, which a request may leave out; ``absent`` says what it means then. ``help`` is one
    or more sentences. ``example`` has valid values. ``sdk`` and ``gateway`` say how the clients
    offer it; None: as no option, or not at all."""

    help: str = ""
    example: tuple[Value, ...] = ()
    absent: str = ""
    range: Range = Range()
    sdk: SdkOption | None = SdkOption()
    gateway: PassedOn | Translated | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest number that range and type allow, both included."""
        least, most = _BOUNDS[self.dtype]
        number = float if self.dtype == "FP32" else int
        if self.range.least is not None:
            least = number(self.range.least)
        if self.range.above is not None:
            least = math.nextafter(self.range.above, math.inf)
        return least, most if self.range.most is None else number(self.range.most)


@dataclass(frozen=True, slots=True)
class SamplingOption(Input):
    """A number that says how tokens are drawn. It is a field of
    :class:`~gemma4_runtime.messages.SamplingParams`, ``field`` if that has another name, which the
    engines read.

    ``default`` None draws a value for each request. With ``from_checkpoint`` the default is that of
    the checkpoint's generation_config.json, and ``default`` is for files that lack it."""

    default: float | None = None
    from_checkpoint: bool = False
    field: str = ""

    @property
    def param(self) -> str:
        """The field's name."""
        return self.field or self.name

    @property
    def whole(self) -> bool:
        """Whether it is an integer."""
        return self.dtype != "FP32"


@dataclass(frozen=True, slots=True)
class Output(Tensor):
    """An output. ``help`` is one or more sentences."""

    help: str = ""

    @property
    def absent(self) -> Value | list[Value]:
        """What it is when ``engine`` leaves it out of ``packed``: nothing, in its type."""
        if self.many:
            return []
        return "" if self.dtype == "STRING" else 0.0 if self.dtype == "FP32" else 0
