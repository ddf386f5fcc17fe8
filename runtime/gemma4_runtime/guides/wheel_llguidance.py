"""llguidance's C API (``parser/llguidance.h`` of 1.0.1) as the xllamacpp wheel exports it.

llama.cpp enforces guides with the llguidance that is linked into the wheel. It is another version
than the Python package of that name, and takes other schemas. So what a guide can do is asked here,
of the very code that will enforce it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import xllamacpp.xllamacpp

from gemma4_runtime.output.vocab import TokenTable

__all__ = ["WheelMatcher", "WheelTokenizer", "library"]

_SPECIAL = b"\xff"
"""Before the name of a token that no text can match; not in UTF-8."""
_END = b"<turn|>"
_ERROR_BYTES = 1024
"""Bytes of the buffer for llguidance's error message."""


class _Limits(ctypes.Structure):
    _fields_ = (
        ("max_items_in_row", ctypes.c_size_t),
        ("initial_lexer_fuel", ctypes.c_uint64),
        ("step_lexer_fuel", ctypes.c_uint64),
        ("step_max_items", ctypes.c_size_t),
        ("max_lexer_states", ctypes.c_size_t),
        ("max_grammar_size", ctypes.c_size_t),
        ("precompute_large_lexemes", ctypes.c_bool),
    )


class _ConstraintInit(ctypes.Structure):
    _fields_ = (
        ("tokenizer", ctypes.c_void_p),
        ("log_buffer_level", ctypes.c_uint32),
        ("log_stderr_level", ctypes.c_uint32),
        ("ff_tokens_ok", ctypes.c_bool),
        ("backtrack_ok", ctypes.c_bool),
        ("limits", _Limits),
        ("room", ctypes.c_uint8 * 256),  # for what a later version may write
    )


_Tokenize = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint8),
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_uint32),
    ctypes.c_size_t,
)


class _TokenizerInit(ctypes.Structure):
    _fields_ = (
        ("vocab_size", ctypes.c_uint32),
        ("tok_eos", ctypes.c_uint32),
        ("token_lens", ctypes.POINTER(ctypes.c_uint32)),
        ("token_bytes", ctypes.c_char_p),
        ("tokenizer_json", ctypes.c_char_p),
        ("tokenize_assumes_string", ctypes.c_bool),
        ("tokenize_fn", _Tokenize),
        ("use_approximate_greedy_tokenize_fn", ctypes.c_bool),
        ("tokenize_user_data", ctypes.c_void_p),
        ("slices", ctypes.c_void_p),
    )


@cache
def library() -> Any:
    """Return the shared library, with the types of what is called here."""
    found = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
    pointer, words = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "llg_new_tokenizer": (
            pointer,
            [ctypes.POINTER(_TokenizerInit), ctypes.c_char_p, ctypes.c_size_t],
        ),
        "llg_clone_tokenizer": (pointer, [pointer]),
        "llg_free_tokenizer": (None, [pointer]),
        "llg_constraint_init_set_defaults": (None, [ctypes.POINTER(_ConstraintInit), pointer]),
        "llg_new_matcher": (
            pointer,
            [ctypes.POINTER(_ConstraintInit), ctypes.c_char_p, ctypes.c_char_p],
        ),
        "llg_free_matcher": (None, [pointer]),
        "llg_matcher_get_error": (ctypes.c_char_p, [pointer]),
        "llg_matcher_compute_mask_into": (ctypes.c_int32, [pointer, words, ctypes.c_size_t]),
        "llg_matcher_get_mask_byte_size": (ctypes.c_size_t, [pointer]),
        "llg_matcher_consume_tokens": (ctypes.c_int32, [pointer, words, ctypes.c_size_t]),
        "llg_matcher_is_accepting": (ctypes.c_bool, [pointer]),
        "llg_matcher_is_stopped": (ctypes.c_bool, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


class WheelTokenizer:
    """The tokens of ``table`` as llguidance sees them: byte tokens are bytes where no other token
    is that byte (no model writes those for which there is one; without ``byte_tokens`` none match
    anything), control tokens match no text, ``<turn|>`` ends an answer.

    With ``tokenize``, text that a guide forces is written in the tokens that it gives, which are
    those that the model has learned. Without it any tokens may spell it, single letters too. It
    gets UTF-8, and may be called from any thread.

    Never freed: a process has one, for as long as it lives."""

    def __init__(
        self,
        table: TokenTable,
        *,
        byte_tokens: bool = True,
        tokenize: Callable[[bytes], Sequence[int]] | None = None,
    ) -> None:
        letters = table.letters() if byte_tokens else range(256)
        never = set(letters) | set(_SPECIAL)
        special = table.special | {t for t in table.byte_ids if table.pieces[t][0] in never}
        self.end_id = table.pieces.index(_END)
        pieces = [
            _name(token) if token in special or not piece else piece
            for token, piece in enumerate(table.pieces)
        ]
        lengths = (ctypes.c_uint32 * len(pieces))(*map(len, pieces))
        self._tokenize = _Tokenize() if tokenize is None else _Tokenize(_filling(tokenize))
        setup = _TokenizerInit(
            vocab_size=len(pieces),
            tok_eos=self.end_id,
            token_lens=lengths,
            token_bytes=b"".join(pieces),
            tokenize_assumes_string=True,
            use_approximate_greedy_tokenize_fn=tokenize is None,
            tokenize_fn=self._tokenize,
        )
        problem = ctypes.create_string_buffer(_ERROR_BYTES)
        self.handle: int | None = library().llg_new_tokenizer(
            ctypes.byref(setup), problem, _ERROR_BYTES
        )
        if not self.handle:
            raise RuntimeError(f"llguidance cannot use the tokenizer: {problem.value!r}")


def _name(token: int) -> bytes:
    """Return bytes for a special token. Where a grammar has the token 48, ``<[48]>``, llguidance
    allows every token whose bytes begin ``\\xff[48]``, a lone ``\\xff`` and ``\\xff[`` too, and
    then refuses them when they are drawn. So no name begins like that."""
    return _SPECIAL + b"<%d>" % token


def _filling(tokenize: Callable[[bytes], Sequence[int]]) -> Callable[..., int]:
    """Return ``tokenize`` as llguidance calls it: fill its buffer, say how many there are."""

    def fill(_: int, data: Any, length: int, found: Any, room: int) -> int:
        ids = tokenize(ctypes.string_at(data, length))
        for place, token in enumerate(ids[:room]):
            found[place] = token
        return len(ids)

    return fill


class WheelMatcher:
    """One guide, ``grammar`` in llguidance's Lark. One thread at a time."""

    def __init__(self, tokenizer: WheelTokenizer, grammar: str) -> None:
        lib = library()
        setup = _ConstraintInit()
        lib.llg_constraint_init_set_defaults(ctypes.byref(setup), tokenizer.handle)
        setup.log_stderr_level = 0
        self._handle = lib.llg_new_matcher(
            ctypes.byref(setup), b"lark", grammar.encode().replace(b"\0", b"\\x00")
        )

    def __del__(self) -> None:
        handle = self.__dict__.pop("_handle", None)
        if handle:
            library().llg_free_matcher(handle)

    def error(self) -> str:
        """Return the error; "" while there is none."""
        found: bytes | None = library().llg_matcher_get_error(self._handle)
        return (found or b"").decode(errors="replace")

    def mask(self) -> int:
        """Return a mask whose bit ``n`` is set when token ``n`` may come next; 0 in an error."""
        lib = library()
        size = lib.llg_matcher_get_mask_byte_size(self._handle)
        words = (ctypes.c_uint32 * (size // 4))()
        if lib.llg_matcher_compute_mask_into(self._handle, words, size):
            return 0
        return int.from_bytes(bytes(words), "little")

    def consume(self, tokens: Sequence[int]) -> bool:
        """Go on by ``tokens``; False when the guide does not allow them, which is an error."""
        words = (ctypes.c_uint32 * len(tokens))(*tokens)
        failed: int = library().llg_matcher_consume_tokens(self._handle, words, len(tokens))
        return not failed

    def is_accepting(self) -> bool:
        """Return whether what was consumed is a whole answer."""
        return bool(library().llg_matcher_is_accepting(self._handle))

    def is_stopped(self) -> bool:
        """Return whether nothing more may come; also true in an error."""
        return bool(library().llg_matcher_is_stopped(self._handle))
