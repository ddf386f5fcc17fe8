"""Tokenize and detokenize exactly as the served engine does, for clients without its files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gemma4_runtime.contract.models import TOKENIZER_INPUTS
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.input.sampling import load_defaults
from gemma4_runtime.input.tensors import only_one, read_inputs
from gemma4_runtime.manifest import CHAT_TEMPLATE, MANIFEST_NAME, Manifest, read_manifest
from gemma4_runtime.model_name import model_name
from gemma4_runtime.output.vocab import load_token_table
from gemma4_runtime.preparation.client import PreparationClient, Result
from gemma4_runtime.preparation.worker import ids_of
from gemma4_runtime.server.admission import refusal
from gemma4_runtime.server.board import BOARD_NAME, Field
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.settings import Settings

__all__ = ["Tokenized", "TokenizerService"]

_INPUTS = {tensor.name: tensor for tensor in TOKENIZER_INPUTS}
_SOURCES = ("token_ids", "text", "messages")


@dataclass(frozen=True, slots=True)
class Tokenized:
    """``token_bytes[i]`` are the bytes of ``token_ids[i]``, the literal of a control token, part of
    a character for a byte token; ``text`` is their concatenation, decoded, with one U+FFFD for
    each malformed part. ``engine`` is JSON: see :meth:`TokenizerService.answer`."""

    token_ids: list[int]
    text: str
    token_bytes: list[bytes]
    engine: str


class TokenizerService:
    """Holds the tokenizer of an engine folder. :meth:`answer` is called by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.engine_dir
        manifest = read_manifest(folder)
        self._client = PreparationClient(settings.run_dir)
        self._pieces = load_token_table(folder / "tokenizer.json").pieces
        template = hashlib.sha256((folder / CHAT_TEMPLATE).read_bytes()).hexdigest()
        identity = hashlib.sha256((folder / MANIFEST_NAME).read_bytes() + template.encode())
        described = _describe(manifest, identity.hexdigest(), template)
        self._described = described | {"sampling": _sampling(folder)}
        self._engine = json.dumps(self._described)
        self._live = LiveBoard(settings.run_dir / BOARD_NAME)

    def answer(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        done: Callable[[Tokenized | RequestError], None],
        *,
        gone: Callable[[], bool],
    ) -> None:
        """Answer for one of ``text`` (a prompt that the caller rendered, as ``text_input``),
        ``messages`` (with ``tools``, ``enable_thinking``, ``continue_final_message``) and
        ``token_ids``, which may be empty: for ``engine`` alone, since Triton takes no call without
        inputs. ``engine`` has ``id`` (changes with every build and chat template), ``model``,
        ``runtime``, ``runtime_version``, ``precision``, ``max_prompt_tokens``,
        ``max_total_tokens``, ``vocab_size``, ``chat_template`` (SHA-256 of the one that this server
        renders with), ``created`` (seconds since 1970), ``sampling`` (by its name, what a sampling
        option is when a request leaves it out; one that is drawn for each request is not there).
        Where no ids were sent and an engine runs it also has ``slots`` and ``max_queued`` (requests
        that run and that wait, at most), ``kv_tokens`` (of its paged KV cache; 0: each slot has its
        own), ``in_flight`` (requests that run or wait now) and ``refusal`` (the code with which
        every request is refused now, or "").

        ``done`` is called once, here or in another thread, which also asks ``gone`` whether the
        client has left. Raises :class:`~gemma4_runtime.errors.RequestError`, and does not call it
        then."""
        values = read_inputs(tensors, _INPUTS)
        source = only_one(values, _SOURCES, usual="token_ids")
        for name in ("tools", "enable_thinking", "continue_final_message"):
            if name in values and source != "messages":
                raise invalid(Code.CONFLICTING_INPUTS, name, "needs messages", other="messages")
        if "add_bos" in values and source != "text":
            raise invalid(
                Code.CONFLICTING_INPUTS,
                "add_bos",
                "needs text; a chat has its own BOS, and ids are as they are",
                other="text",
            )
        if source == "token_ids":
            ids = self._known(values["token_ids"])
            done(self._tokenized(ids) if ids else Tokenized([], "", [], self._with_capacity()))
            return

        def prepared(result: Result) -> None:
            done(result if isinstance(result, RequestError) else self._tokenized(ids_of(result)))

        self._client.ask(values, kind="tokens", done=prepared, gone=gone, now=time.monotonic())

    def close(self) -> None:
        """Close: calls that still wait get UNAVAILABLE."""
        self._client.close()

    def _tokenized(self, ids: list[int]) -> Tokenized:
        data = [self._pieces[token] for token in ids]
        return Tokenized(ids, b"".join(data).decode("utf-8", "replace"), data, self._engine)

    def _with_capacity(self) -> str:
        try:
            board = self._live.get().board
        except RequestError:
            return self._engine
        refused = refusal(board)
        now = {
            "slots": board[Field.SLOTS],
            "max_queued": board[Field.MAX_QUEUED],
            "kv_tokens": board[Field.KV_BLOCKS] * board[Field.KV_BLOCK_TOKENS],
            "in_flight": board[Field.IN_FLIGHT],
            "refusal": "" if refused is None else str(refused.code),
        }
        return json.dumps(self._described | now)

    def _known(self, ids: list[int]) -> list[int]:
        for token in ids:
            if not 0 <= token < len(self._pieces):
                raise invalid(
                    Code.OUT_OF_RANGE,
                    "token_ids",
                    f"{token} is not in 0 to {len(self._pieces) - 1}",
                    least=0,
                    most=len(self._pieces) - 1,
                )
        return ids


def _describe(manifest: Manifest, identity: str, template: str) -> dict[str, Any]:
    return {
        "id": identity,
        "model": model_name(manifest.source.name),
        "runtime": manifest.runtime,
        "runtime_version": manifest.runtime_version,
        "precision": manifest.precision,
        "max_prompt_tokens": manifest.limits.max_prompt_tokens,
        "max_total_tokens": manifest.limits.max_total_tokens,
        "vocab_size": manifest.model.vocab_size,
        "chat_template": template,
        "created": int(manifest.created_at.timestamp()),
    }


def _sampling(folder: Path) -> dict[str, float]:
    defaults = load_defaults(folder / "generation_config.json").sampling
    return {name: value for name, value in defaults.items() if value is not None}
