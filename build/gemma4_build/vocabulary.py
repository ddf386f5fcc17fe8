"""The tokenizer files as llama.cpp's GGUF keys need them.

Layout of the keys: llama.cpp ``conversion/gemma.py`` (Gemma4Model.set_vocab), except for byte
tokens and for the markers of channels and tools: see :class:`Vocabulary`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.added_tokens import split_added
from gguf import TokenType

from gemma4_build.errors import TokenizerError
from gemma4_build.model_spec import ModelSpec
from gemma4_build.text_files import (
    GenerationConfig,
    TokenizerFile,
    check_template,
    check_tokenizer,
    load,
)

__all__ = ["Vocabulary", "read_vocabulary"]

_BYTE = re.compile(r"<0x[0-9A-F]{2}>\Z")
_WAY_OUT = "not Gemma 4's: download it again"
_STOPS = ("<eos>", "<turn|>", "<|tool_response>")
"""Tokens that llama.cpp takes for end of generation by their text (llama-vocab.cpp)."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``types`` are GGUF token types by id.

    With literal byte tokens, ``<0x00>``..``<0xFF>`` are NORMAL instead of BYTE: llama.cpp's
    server withholds a token whose text ends inside a UTF-8 sequence and then reports only the
    last id of the run (server-context.cpp, process_token). We use ids and never its text.

    The markers of channels and tools are CONTROL instead of USER_DEFINED, which llama.cpp renders:
    a guide would take them for text, so that ``<|tool_call>`` could stand in a guided string.
    """

    tokens: list[str]
    types: list[int]
    merges: list[str]
    special: dict[str, int]
    eos_ids: list[int]
    sampling: GenerationConfig
    chat_template: str


def read_vocabulary(folder: Path, spec: ModelSpec, *, literal_bytes: bool = True) -> Vocabulary:
    """Read and check tokenizer.json, generation_config.json and chat_template.jinja.

    Raises :class:`TokenizerError`.
    """
    path = folder / "tokenizer.json"
    data = load(path, TokenizerFile)
    model = data.model
    if model.type != "BPE" or not model.byte_fallback:
        raise TokenizerError(f"{path}: not a BPE tokenizer with byte fallback; {_WAY_OUT}")
    added = {entry.content: entry for entry in data.added_tokens}
    ids = {**model.vocab, **{text: entry.id for text, entry in added.items()}}
    tokens = _by_id(path, ids, spec.vocab)
    control = _control(path, data)
    types = [int(_token_type(text, control, literal_bytes=literal_bytes)) for text in tokens]
    if sum(1 for text in tokens if _BYTE.match(text)) != 256:
        raise TokenizerError(f"{path}: need 256 byte tokens <0x00>..<0xFF>; {_WAY_OUT}")
    stops = [ids.get(text) for text in _STOPS]
    generation = load(folder / "generation_config.json", GenerationConfig)
    eos = generation.eos_token_id
    eos_ids = eos if isinstance(eos, list) else [eos]
    if set(stops) != set(eos_ids):
        raise TokenizerError(
            f"{folder / 'generation_config.json'}: eos_token_id is {eos_ids}, but {_STOPS} have "
            f"the ids {stops}, where llama.cpp stops; the files do not belong together"
        )
    special = {"bos": spec.bos_id, "eos": spec.eos_id, "pad": spec.pad_id}
    special |= {"unk": _id(path, ids, "<unk>"), "mask": _id(path, ids, "<mask>")}
    for name, text in (("bos", "<bos>"), ("eos", "<eos>"), ("pad", "<pad>")):
        if ids.get(text) != special[name]:
            raise TokenizerError(
                f"{path}: {text} has id {ids.get(text)}, config.json says {special[name]}; "
                "download both again"
            )
    check_tokenizer(path)
    return Vocabulary(
        tokens=tokens,
        types=types,
        merges=[m if isinstance(m, str) else " ".join(m) for m in model.merges],
        special=special,
        eos_ids=eos_ids,
        sampling=generation,
        chat_template=check_template(folder / "chat_template.jinja"),
    )


def _control(path: Path, data: TokenizerFile) -> set[str]:
    try:
        return set(split_added([entry.model_dump() for entry in data.added_tokens])[0])
    except ValueError as error:
        raise TokenizerError(f"{path}: {error}") from None


def _by_id(path: Path, ids: dict[str, int], size: int) -> list[str]:
    tokens: list[str | None] = [None] * size
    for text, token_id in ids.items():
        if not 0 <= token_id < size or tokens[token_id] is not None:
            raise TokenizerError(
                f"{path}: id {token_id} of {text!r} is used twice or not below vocab_size {size}; "
                "config.json and tokenizer.json do not belong together: download both again"
            )
        tokens[token_id] = text
    empty = next((i for i, text in enumerate(tokens) if text is None), None)
    if empty is not None:
        raise TokenizerError(
            f"{path}: {len(ids)} tokens, vocab_size is {size}; id {empty} is free: config.json and "
            "tokenizer.json do not belong together; download both again"
        )
    return [text for text in tokens if text is not None]


def _token_type(text: str, control: set[str], *, literal_bytes: bool) -> TokenType:
    if text in control:
        return TokenType.CONTROL
    if _BYTE.match(text) and not literal_bytes:
        return TokenType.BYTE
    return TokenType.NORMAL


def _id(path: Path, ids: dict[str, int], text: str) -> int:
    if text not in ids:
        raise TokenizerError(f"{path}: no token {text}; {_WAY_OUT}")
    return ids[text]
