"""llama.cpp's own tokenizer, through its C API (``include/llama.h``) as the xllamacpp wheel exports
it."""

from __future__ import annotations

import ctypes

from gemma4_runtime.guides.wheel_llguidance import library
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["LlamaVocabulary"]


class LlamaVocabulary:
    """The vocabulary of a loaded model; ``address`` is that of its ``llama_vocab``, which lives as
    long as the model. Thread-safe."""

    def __init__(self, address: int, table: TokenTable) -> None:
        self._address = address
        self._special = table.special
        bytes_alone = {table.pieces[token][0]: token for token in table.byte_ids}
        self._letters = bytes_alone | table.letters()
        self._function = library().llama_tokenize
        self._function.restype = ctypes.c_int32
        self._function.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int32,
            ctypes.POINTER(ctypes.c_int32),
            ctypes.c_int32,
            ctypes.c_bool,
            ctypes.c_bool,
        ]

    def tokenize(self, text: bytes) -> list[int]:
        """Return the ids of UTF-8 ``text``, in which nothing is a control token: where llama.cpp
        sees one, the text is spelled in single bytes."""
        room = len(text) + 8
        found = (ctypes.c_int32 * room)()
        count = self._function(self._address, text, len(text), found, room, False, False)
        ids = list(found[: max(count, 0)])
        if count < 0 or self._special.intersection(ids):
            return [self._letters[byte] for byte in text]
        return ids
