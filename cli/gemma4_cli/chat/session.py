"""A conversation and how it is asked for. No terminal, no network."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemma4_client import Answer

__all__ = ["Session", "Totals"]


@dataclass
class Totals:
    """What was answered since the start; seconds."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_s: list[float] = field(default_factory=list)
    decode_s: float = 0.0

    def add(self, answer: Answer) -> None:
        self.answers += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        if "ttft" in answer.timings:
            self.first_s.append(answer.timings["ttft"])
        self.decode_s += answer.timings.get("decode", 0.0)


@dataclass
class Session:
    """``turns`` are messages in OpenAI's form, without the system message."""

    system: str = ""
    thinking: bool = False
    turns: list[dict[str, Any]] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)

    def messages(self, question: str) -> list[dict[str, Any]]:
        """Return what to send to get ``question`` answered."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, *self.turns, {"role": "user", "content": question}]

    def keep(self, question: str, answer: Answer) -> None:
        """Add a turn. An answer that was stopped is kept as far as it came."""
        self.turns += [{"role": "user", "content": question}, answer.as_message()]
        if answer.finish_reason:
            self.totals.add(answer)

    def take_back(self) -> str | None:
        """Remove the last turn; its question, or None when there is none."""
        for index in range(len(self.turns) - 1, -1, -1):
            if self.turns[index]["role"] == "user":
                question: str = self.turns[index]["content"]
                del self.turns[index:]
                return question
        return None

    def save(self, path: Path) -> None:
        """Write the file. Raises :class:`OSError`."""
        data = {"system": self.system, "thinking": self.thinking, "messages": self.turns}
        path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def load(self, path: Path) -> None:
        """Load a saved chat. Raises :class:`OSError`, or :class:`ValueError` when it is no saved
        chat; then nothing has changed."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            system, thinking, turns = data["system"], data["thinking"], data["messages"]
            good = (
                isinstance(system, str)
                and isinstance(thinking, bool)
                and isinstance(turns, list)
                and all(isinstance(t["role"], str) and isinstance(t["content"], str) for t in turns)
            )
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            raise ValueError(f"{path} is no chat that /save wrote")
        self.system, self.thinking, self.turns = system, thinking, turns
