"""Who may hand a request to the engine step, a chunk to postprocessing, a key to preprocessing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.messages import KEY_PARAMETER, Chunk, decode_chunk, encode
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.server.request_key import new_key, refuse_key, request_key, sealed_key
from gemma4_runtime.server.seal import KEY_BYTES, Kind, Sealer
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(KEY_BYTES))
SEALER = Sealer(KEY)
MESSAGE = encode(Chunk(key="k", index=3, ids=[1, 2]))


def refused(sealer: Sealer, kind: Kind, data: bytes) -> bool:
    with pytest.raises(RequestError) as caught:
        sealer.unseal(kind, data)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert caught.value.field == kind.value[0]
    return True


@given(message=st.binary(max_size=300), kind=st.sampled_from(Kind))
def test_what_was_sealed_is_taken(message: bytes, kind: Kind) -> None:
    assert SEALER.unseal(kind, SEALER.seal(kind, message)) == message


@given(kind=st.sampled_from(Kind), at=st.integers(0, len(MESSAGE) + 15), bit=st.integers(0, 7))
def test_one_changed_bit_is_refused(kind: Kind, at: int, bit: int) -> None:
    data = bytearray(SEALER.seal(kind, MESSAGE))
    data[at] ^= 1 << bit
    assert refused(SEALER, kind, bytes(data))


@given(kind=st.sampled_from(Kind), data=st.binary(max_size=100))
def test_made_up_bytes_are_refused(kind: Kind, data: bytes) -> None:
    assert refused(SEALER, kind, data)
    assert refused(SEALER, kind, bytes(16) + MESSAGE)


@pytest.mark.parametrize("size", range(0, 17))
def test_a_cut_message_is_refused(size: int) -> None:
    sealed = SEALER.seal(Kind.CHUNK, MESSAGE)
    assert refused(SEALER, Kind.CHUNK, sealed[:size])
    assert refused(SEALER, Kind.CHUNK, sealed + b"x")


@pytest.mark.parametrize("made", Kind)
@pytest.mark.parametrize("shown", Kind)
def test_one_kind_is_not_another(made: Kind, shown: Kind) -> None:
    """A client that has a sealed chunk has no request."""
    data = SEALER.seal(made, MESSAGE)
    if made is shown:
        assert decode_chunk(SEALER.unseal(shown, data)).ids == [1, 2]
    else:
        assert refused(SEALER, shown, data)


def test_another_runs_key_is_refused() -> None:
    assert refused(Sealer(KEY[::-1]), Kind.REQUEST, SEALER.seal(Kind.REQUEST, MESSAGE))


def test_a_client_cannot_choose_a_key() -> None:
    key = new_key()
    assert request_key({KEY_PARAMETER: sealed_key(key, SEALER)}, SEALER) == key
    assert len({request_key({}, SEALER) for _ in range(9)}) == 9
    refuse_key({})
    for forged in (key, key + "00" * 16, "", "x", "\ud800", "\0", 7, True, -1, 1.5, [], {}):
        with pytest.raises(RequestError, match="gemma4_key: is a parameter of this server's"):
            refuse_key({KEY_PARAMETER: forged})
        with pytest.raises(RequestError, match="gemma4_key: is a parameter of this server's"):
            request_key({KEY_PARAMETER: forged}, SEALER)


def test_the_key_is_the_boards_and_stays_there(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        board = Board(tmp_path / "run" / "board", create=True)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "run" / "board").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert len(board.key) == KEY_BYTES
    assert board.key == Board(tmp_path / "run" / "board").key
    assert board.key != Board(tmp_path / "other", create=True).key
    words = {int.from_bytes(board.key[i : i + 8], "little") for i in range(0, KEY_BYTES, 8)}
    assert 0 not in words
    assert not words & {board[field] for field in Field if field is not Field.KEY}


def test_no_count_lies_on_the_key(tmp_path: Path) -> None:
    board = Board(tmp_path / "board", create=True)
    key = board.key
    for field in Field:
        if field not in (Field.MAGIC, Field.KEY):
            board[field] = 2**64 - 1
    assert board.key == key


def test_a_board_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "board"
    live = LiveBoard(path)
    with pytest.raises(RequestError, match="not ready yet"):
        live.get()
    first = Board(path, create=True)
    seen = live.get()
    assert seen.sealer.unseal(Kind.CHUNK, Sealer(first.key).seal(Kind.CHUNK, b"a")) == b"a"
    assert live.get() is seen
    second = Board(path, create=True)
    assert live.get().sealer.unseal(Kind.CHUNK, Sealer(second.key).seal(Kind.CHUNK, b"b")) == b"b"
    second[Field.SLOTS] = 5
    assert live.get().board[Field.SLOTS] == 5
