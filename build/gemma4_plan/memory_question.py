"""The question of ``gemma4 plan memory``, checked, and its answers."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_runtime.trtllm.presets import PRESETS, Preset
from gemma4_runtime.trtllm.setup import PRECISIONS

from gemma4_plan.catalog import CPU, Catalog
from gemma4_plan.cpu_memory import CPU_PRECISIONS, CpuMemory, plan_cpu
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.gpu_memory import DEFAULT_SLOTS, GpuMemory, Split, plan_gpu
from gemma4_plan.model import published_model

__all__ = ["MemoryQuestion", "Refused", "answers", "fits", "parse_tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryQuestion:
    """``gpu`` and ``precision`` None: all of them. ``slots`` None: as many as fit (of a CPU: the
    build's default). ``memory_gb`` is the CPU machine's, in 10^9 bytes. The rest None: not asked,
    tp 1, preset throughput, experts only."""

    tokens: tuple[int, ...]
    gpu: str | None = None
    precision: str | None = None
    tp: int | None = None
    ep: int | None = None
    preset: str | None = None
    quantize: str | None = None
    pad_experts: bool = False
    slots: int | None = None
    memory_gb: float | None = None

    def __post_init__(self) -> None:
        if self.gpu == CPU:
            self._check_cpu()
        elif self.memory_gb is not None:
            raise BadQuestionError(
                f"--memory-gb {self.memory_gb:g}: is for --gpu cpu only; the catalog has the "
                "memory of GPUs"
            )
        known = CPU_PRECISIONS if self.gpu == CPU else PRECISIONS
        if self.precision is not None and self.precision not in known:
            raise BadQuestionError(f"--precision {self.precision}: known are {', '.join(known)}")
        if self.preset is not None and self.preset not in PRESETS:
            raise BadQuestionError(f"--preset {self.preset}: known are {', '.join(PRESETS)}")
        if self.quantize is not None:
            if self.quantize not in ("experts", "mlp"):
                raise BadQuestionError(f"--quantize {self.quantize}: known are experts, mlp")
            if self.precision not in (None, "nvfp4"):
                raise BadQuestionError(
                    f"--quantize {self.quantize}: is for --precision nvfp4 only; leave it out"
                )

    def _check_cpu(self) -> None:
        given = {
            "--tp": self.tp, "--ep": self.ep, "--preset": self.preset, "--quantize": self.quantize,
            "--pad-experts": self.pad_experts or None,
        }  # fmt: skip
        for option, value in given.items():
            if value is not None:
                raise BadQuestionError(f"{option}: is for GPUs only; leave it out with --gpu cpu")

    def split(self, precision: str) -> Split:
        tp = self.tp or 1
        return Split(
            precision=precision,  # type: ignore[arg-type]
            tp=tp,
            ep=tp if self.ep == 0 else self.ep or 1,
            quantize=self.quantize or "experts" if precision == "nvfp4" else "experts",
            pad=self.pad_experts,
        )

    def chosen_preset(self) -> Preset:
        return self.preset or "throughput"  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A GPU and precision that do not go together at all, and why."""

    gpu: str
    product: str
    precision: str
    reason: str


def parse_tokens(text: str) -> tuple[int, ...]:
    """Parse ``2048,8192``, the lengths of requests. Raises :class:`BadQuestionError`."""
    context = published_model().context
    lengths = []
    for part in text.split(","):
        word = part.strip().replace("_", "")
        length = int(word) if word.isdecimal() and len(word) < 10 else 0
        if length < 2:
            raise BadQuestionError(
                f"--tokens {text}: {part.strip() or 'nothing'} is no length; give prompt and "
                "answer of a request together, as in 8192 or 2048,8192"
            )
        if length > context:
            raise BadQuestionError(
                f"--tokens {length}: the model's context is {context} tokens; give at most that"
            )
        lengths.append(length)
    return tuple(dict.fromkeys(lengths))


def answers(question: MemoryQuestion, catalog: Catalog) -> list[GpuMemory | CpuMemory | Refused]:
    """Return an answer for each GPU and precision that was asked for. Raises
    :class:`BadQuestionError` where one of both was named and cannot be."""
    if question.gpu == CPU:
        names = CPU_PRECISIONS if question.precision is None else (question.precision,)
        memory = question.memory_gb
        return [
            plan_cpu(
                name, tokens=question.tokens, slots=question.slots or DEFAULT_SLOTS,
                available=None if memory is None else int(memory * 1e9),
            )
            for name in names
        ]  # fmt: skip
    cards = dict([catalog.find(question.gpu)]) if question.gpu else catalog.gpus
    precisions = PRECISIONS if question.precision is None else (question.precision,)
    found: list[GpuMemory | CpuMemory | Refused] = []
    for name, card in cards.items():
        for precision in precisions:
            try:
                found.append(
                    plan_gpu(
                        name, card, question.split(precision), tokens=question.tokens,
                        slots=question.slots, preset=question.chosen_preset(),
                    )
                )  # fmt: skip
            except BadQuestionError as error:
                if question.precision is not None:
                    raise
                found.append(
                    Refused(gpu=name, product=card.product, precision=precision, reason=str(error))
                )
    return found


def fits(answer: GpuMemory | CpuMemory | Refused) -> bool:
    """Return whether something of it may run: for a CPU of unknown size, yes."""
    if isinstance(answer, Refused):
        return False
    if isinstance(answer, CpuMemory):
        if answer.available is None:
            return True
        return answer.total(min(room.tokens for room in answer.rooms)) <= answer.available
    return answer.verdict.status != "no" and answer.fits != "no"
