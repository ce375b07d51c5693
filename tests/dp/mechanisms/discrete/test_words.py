import os
from itertools import islice

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.mechanisms.discrete import KeyedWords, SystemWords

KEY = bytes(range(32))


def by_blocks(stream: int, count: int) -> list[int]:
    """Counter mode by hand: the cipher on one counter after the other."""
    cipher = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor()
    words = []
    for block in range((count + 1) // 2):
        out = cipher.update((2**63 + stream).to_bytes(8, "big") + block.to_bytes(8, "big"))
        words += [int.from_bytes(out[:8], "little"), int.from_bytes(out[8:], "little")]
    return words[:count]


@pytest.mark.parametrize("stream", [0, 1, 2**63 - 1])
def test_keyed_words_are_the_keystream(stream: int) -> None:
    assert KeyedWords(KEY, stream).take(0, 11).tolist() == by_blocks(stream, 11)


@given(st.integers(0, 40), st.integers(0, 40))
@settings(deadline=None)
def test_any_part_of_a_stream_can_be_taken(start: int, size: int) -> None:
    words = KeyedWords(KEY, 3)
    taken = words.take(start, size)
    assert taken.tolist() == words.take(0, start + size).tolist()[start:]
    assert taken.dtype == np.uint64


def test_a_known_stream() -> None:
    """Written down once; the same on every platform."""
    words = KeyedWords(KEY, 7)
    assert words.take(0, 2).tolist() == [16943620178049344653, 10416268438857713901]
    assert list(islice(words.further(5), 2)) == [6646294925618012884, 3392321743447227789]


def test_further_words_are_no_part_of_any_stream() -> None:
    words = KeyedWords(KEY, 0)
    others = [KeyedWords(KEY, number).take(0, 1000) for number in range(3)]
    further = [list(islice(words.further(position), 5)) for position in range(50)]
    every = [*np.concatenate(others).tolist(), *(word for some in further for word in some)]
    assert len(set(every)) == len(every)
    assert further[3] == list(islice(words.further(3), 5))


def test_streams_of_batches_and_gradients_are_others() -> None:
    from dp.mechanisms.randomness import Generator

    uniform = Generator(KEY).uniform(100).numpy()
    for stream in (0, 1):
        mine = (KeyedWords(KEY, stream).take(0, 100) >> np.uint64(11)) * 2.0**-53
        assert not np.isin(uniform, mine).any()


@pytest.mark.parametrize(
    ("key", "stream", "why"), [(b"short", 0, "32 bytes"), (KEY, -1, "below"), (KEY, 2**63, "below")]
)
def test_other_keys_and_streams_are_refused(key: bytes, stream: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        KeyedWords(key, stream)


def test_a_key_is_not_shown() -> None:
    assert KEY.hex() not in repr(KeyedWords(KEY, 1))
    assert repr(KEY)[2:-1] not in repr(KeyedWords(KEY, 1))


def test_the_systems_words_are_new_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    words = SystemWords()
    every = [*words.take(0, 50).tolist(), *words.take(0, 50).tolist()]
    every += [*islice(words.further(0), 5), *islice(words.further(0), 5)]
    assert len(set(every)) == len(every)
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))
    assert words.take(0, 1).tolist() == [int.from_bytes(bytes(range(8)), "little")]
    assert next(words.further(0)) == int.from_bytes(bytes(range(8)), "little")
