"""However an answer is cut into chunks, its pieces are the whole, byte for byte."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.render import render
from gemma4_runtime.output.utf8 import unfinished_tail
from gemma4_runtime.output.vocab import TokenTable
from gemma4_testing.cases.stream_pieces import joined, make_request, run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer


def token_ids(table: TokenTable) -> Any:
    """Any ids, rich in byte tokens (malformed runs) and control tokens (channels, calls)."""
    control = table.control
    steering = [control.think_open, control.think_close, control.call_open, control.call_close]
    body = [table.pieces.index(piece) for piece in (b"f", b"{", b"}", b"a", b":", b"1", b",", b'"')]
    return st.lists(
        st.one_of(
            st.integers(0, len(table.pieces) + 3),
            st.sampled_from(sorted(table.byte_ids)),
            st.sampled_from([*steering, control.quote]),
            st.sampled_from(body),
        ).filter(lambda i: i not in (1, 106, 50)),
        max_size=40,
    )


@settings(max_examples=400)
@given(data=st.data())
def test_pieces_are_the_whole(table: TokenTable, data: Any) -> None:
    ids = data.draw(token_ids(table))
    cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=12))
    tools = data.draw(st.booleans())
    channel = data.draw(st.sampled_from(["content", "reasoning"]))
    stop = data.draw(st.lists(st.text(min_size=1, max_size=4), max_size=2))
    options = {"parse_tools": tools, "channel": channel, "stop": stop}
    reason = data.draw(st.sampled_from(["stop", "length"]))
    streamed = run(make_request(**options), table, ids, cuts, reason)
    whole = run(make_request(stream=False, **options), table, ids, [], reason)
    assert len(whole) == 1
    assert joined(streamed) == joined(whole)


@settings(max_examples=300)
@given(data=st.data())
def test_plain_bytes_decode_as_a_whole(table: TokenTable, data: Any) -> None:
    """Malformed runs too: one U+FFFD for each maximal invalid part, as the whole would have."""
    plain = [i for i in range(len(table.pieces)) if i not in table.special]
    ids = data.draw(
        st.lists(
            st.one_of(st.sampled_from(plain), st.sampled_from(sorted(table.byte_ids))), max_size=40
        )
    )
    cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=12))
    text, reasoning, _, out = joined(run(make_request(), table, ids, cuts))
    raw = b"".join(table.pieces[i] for i in ids)
    assert text == raw.decode("utf-8", errors="replace")
    assert reasoning == ""
    assert out == ids


@settings(max_examples=200)
@given(text=st.text(max_size=60))
@example("👨‍👩‍👧 cafe\u0301 สวัสดี \n\n  龙")
def test_text_equals_the_tokenizers_own_decode(
    checkpoint: Path, table: TokenTable, text: str
) -> None:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    ids = [i for i in tokenizer.encode(text).ids if i not in table.special]
    got = joined(run(make_request(), table, ids, range(len(ids))))[0]
    assert got == tokenizer.decode(ids, skip_special_tokens=True)


@settings(max_examples=300)
@given(
    pieces=st.lists(
        st.sampled_from(["a", "ab", "b", "é", "龙", "STOP", "ST", "OP", " "]), max_size=20
    ),
    stops=st.lists(
        st.sampled_from(["STOP", "ab", "aba", "é", "龙龙", "b a", "OPS"]), min_size=1, max_size=3
    ),
)
def test_stop_strings_never_leak(
    checkpoint: Path, table: TokenTable, pieces: list[str], stops: list[str]
) -> None:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    ids = tokenizer.encode("".join(pieces)).ids
    whole = "".join(pieces)
    chunks = run(make_request(stop=stops), table, ids, range(len(ids)))
    text = joined(chunks)[0]
    ends = [(whole.find(s) + len(s), -len(s)) for s in stops if s in whole]
    if not ends:
        assert (text, chunks[-1].stop_word) == (whole, "")
        return
    end, length = min(ends)  # the first to be complete, the longest of those
    assert chunks[-1].stop_word == whole[end + length : end]
    assert text == whole[: end + length]
    assert chunks[-1].finish_reason == "stop"


def test_holds_back_no_more_than_needed(checkpoint: Path, table: TokenTable) -> None:
    """After each token the client has all but what may still become a stop string."""
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    whole, stop = "xxSTxSTOxxSTOPyy", "STOP"
    assembler = StreamAssembler(make_request(stop=[stop]), table, prompt_tokens=1)
    sent, seen = "", b""
    for token in tokenizer.encode(whole).ids:
        ended = assembler.push([token])
        seen += table.pieces[token]
        if assembler.pending():
            sent += render(assembler.take()).text_output
        if ended:
            break
        text = seen.decode()
        held = max(n for n in range(len(stop)) if n == 0 or text.endswith(stop[:n]))
        assert sent == text[: len(text) - held]
    assert sent == "xxSTxSTOxx"


@given(st.binary(max_size=12), st.binary(max_size=6))
@example(b"\xf0\x9f\x98", b"\x80")
@example(b"\xed\xa0", b"\x80")
@example(b"\xe0\x80", b"a")
def test_unfinished_tail_is_what_a_decoder_holds(head: bytes, tail: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(head)
    held = unfinished_tail(head)
    pending = len(decoder.getstate()[0])
    # CPython waits for the third byte of a surrogate, which can complete nothing.
    assert held == pending or (held == 0 and head[-2:-1] == b"\xed")
    cut = len(head) - held
    whole = (head + tail).decode("utf-8", errors="replace")
    assert (
        head[:cut].decode("utf-8", errors="replace")
        + (head[cut:] + tail).decode("utf-8", errors="replace")
        == whole
    )
