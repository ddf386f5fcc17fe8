"""Byte tokens under guides, in llama.cpp.

llama.cpp makes llguidance's tokenizer once for each vocabulary, from the texts of the tokens, and
keeps it in a static variable (``llama_sampler_llg_new_tokenizer`` in common/llguidance.cpp). Our
engine files store byte tokens as literal text (``<0xF0>``), since llama.cpp's server withholds the
ids of tokens that end inside a character. Llguidance would take them at their word, so a character
that is no token of its own could not be written. There is no option for the tokenizer. So once a
guide has run, this module puts a tokenizer that knows the bytes into that variable; the load of the
engine then proves that it works.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from functools import cache
from pathlib import Path

import xllamacpp.xllamacpp

from gemma4_runtime.guides.wheel_llguidance import WheelTokenizer, library

__all__ = ["Static", "can_replace"]

_FUNCTION = "_ZZL31llama_sampler_llg_new_tokenizerPK11llama_vocabE"
_VOCAB, _TOKENIZER = _FUNCTION + "11vocab_cache", _FUNCTION + "15tokenizer_cache"
_EXPORTED = "llg_new_tokenizer"
_SYMBOLS = 2  # SHT_SYMTAB
_ENTRY = 24
"""Bytes of an entry of a symbol table (Elf64_Sym)."""


def can_replace() -> bool:
    """Return whether this wheel has the variables. When not, guides cannot use byte tokens."""
    return {_VOCAB, _TOKENIZER, _EXPORTED} <= set(_addresses())


class Static:
    """The two variables. Only where :func:`can_replace`."""

    def __init__(self) -> None:
        found = _addresses()
        exported = ctypes.cast(getattr(library(), _EXPORTED), ctypes.c_void_p).value or 0
        base = exported - found[_EXPORTED]
        self._vocab = ctypes.c_void_p.from_address(base + found[_VOCAB])
        self._tokenizer = ctypes.c_void_p.from_address(base + found[_TOKENIZER])

    def state(self) -> tuple[int, int]:
        """Return the addresses of the vocabulary and its tokenizer; 0 before the first guide."""
        return self._vocab.value or 0, self._tokenizer.value or 0

    def replace(self, tokenizer: WheelTokenizer) -> None:
        """Replace the tokenizer for the guides to come; none may begin meanwhile. As llama.cpp does
        when the vocabulary changes: the variable owns what it holds, and samplers have clones of
        it. Raises :class:`RuntimeError` before the first guide."""
        if 0 in self.state():
            raise RuntimeError("llama.cpp has not made a tokenizer for guides")
        old, self._tokenizer.value = (
            self._tokenizer.value,
            library().llg_clone_tokenizer(tokenizer.handle),
        )
        library().llg_free_tokenizer(old)


@cache
def _addresses() -> dict[str, int]:
    """Return the addresses of the symbols above, relative to where the library is loaded; those
    that it has."""
    path = Path(xllamacpp.xllamacpp.__file__)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:6] != b"\x7fELF\x02\x01":  # 64 bits, little endian
            return {}
        return _symbols(data, (_VOCAB, _TOKENIZER, _EXPORTED))


def _symbols(data: mmap.mmap, names: tuple[str, ...]) -> dict[str, int]:
    """Read the addresses from the table of symbols of an ELF file (System V ABI, chapter 4)."""
    (at,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * size) for i in range(count)]
    found: dict[str, int] = {}
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != _SYMBOLS:
            continue
        start, end = sections[link][4], sections[link][4] + sections[link][5]
        places = {name: data.find(b"\0" + name.encode() + b"\0", start, end) for name in names}
        by_place = {place + 1 - start: name for name, place in places.items() if place >= 0}
        for entry in range(offset, offset + length, _ENTRY):
            (name,) = struct.unpack_from("<I", data, entry)
            if name in by_place:
                (found[by_place[name]],) = struct.unpack_from("<Q", data, entry + 8)
    return found
