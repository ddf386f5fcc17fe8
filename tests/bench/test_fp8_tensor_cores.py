"""The parts of bench/fp8_tensor_cores.py that need no GPU; torch has the same product on a CPU."""

from __future__ import annotations

import fp8_tensor_cores as cores
import numpy as np
import pytest
from gemma4_build.trtllm.decode import round_fp8


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "DEVICE", "cpu")


def test_numbers_of_another_scale_are_refused() -> None:
    values = np.random.default_rng(0).standard_normal((8, 32)).astype(np.float32)
    rounded = round_fp8(values, 0.013)
    found = cores.exactly_fp8(rounded, 0.013)
    assert np.allclose(found.float().numpy() * np.float32(0.013), rounded, rtol=1e-6)
    assert cores.exactly_fp8(values, 0.013) is None
    assert cores.exactly_fp8(rounded, 0.0131) is None
    with pytest.raises(ValueError, match="a width of 24 is no multiple of 16"):
        cores.exactly_fp8(rounded[:, :24], 0.013)


def test_a_float32_product_has_no_error_worth_naming() -> None:
    assert cores.product_error(704, fast=False) < 1e-6


def test_divergence() -> None:
    same = np.log(np.array([[0.5, 0.5], [0.9, 0.1]]))
    other = np.log(np.array([[0.4, 0.6], [0.9, 0.1]]))
    mean, most, agreed = cores.divergence(same, other)
    assert most == pytest.approx(0.5 * np.log(0.5 / 0.4) + 0.5 * np.log(0.5 / 0.6))
    assert mean == pytest.approx(most / 2)
    assert agreed == 0.5
