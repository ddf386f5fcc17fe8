"""The fitted efficiencies and their errors, as ``fitted.yaml`` has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from gemma4_runtime.strict_yaml import read_mapping
from pydantic import BaseModel, ConfigDict, Field

from gemma4_plan.speed.pace import Efficiency

__all__ = ["Fitted", "read_fitted", "write_fitted"]

FILE = Path(__file__).with_name("fitted.yaml")

Share = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(ge=1)]


class Fitted(BaseModel):
    """Efficiencies: see :class:`~gemma4_plan.speed.pace.Efficiency`. The errors are factors within
    which nine of ten held-out points lie: on ``gpus``, of which points were fitted, and
    ``elsewhere``, on a GPU of which none was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory: Share
    compute: Share
    launch_s: Annotated[float, Field(gt=0)]
    routing: Share
    decode_error: Factor
    prefill_error: Factor
    decode_error_elsewhere: Factor
    prefill_error_elsewhere: Factor
    gpus: tuple[str, ...]

    @property
    def efficiency(self) -> Efficiency:
        return Efficiency(
            memory=self.memory,
            compute=self.compute,
            launch_s=self.launch_s,
            routing=self.routing,
        )

    def errors(self, gpu: str) -> tuple[float, float]:
        """Return the factors of decode and prefill on a GPU of that name."""
        if gpu in self.gpus:
            return self.decode_error, self.prefill_error
        return self.decode_error_elsewhere, self.prefill_error_elsewhere


def read_fitted() -> Fitted:
    """Read our file of them."""
    return Fitted.model_validate(read_mapping(FILE))


def write_fitted(found: Fitted) -> None:
    """Write the file, with four digits."""
    values = {
        key: float(f"{value:.4g}") if isinstance(value, float) else value
        for key, value in found.model_dump(mode="json").items()
    }
    head = "# Made by `python -m gemma4_plan.speed.fitting` from measurements.yaml.\n"
    FILE.write_text(head + yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
