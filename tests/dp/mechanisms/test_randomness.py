"""The generator of noise and batches: its law, its streams, and the search for its key."""

import copy
import math
import multiprocessing
import os
import pickle
import secrets
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest, norm
from torch import Tensor

from dp.mechanisms import randomness
from dp.mechanisms.count_noise import discrete_gaussian
from dp.mechanisms.randomness import Generator
from dp.mechanisms.seed import KEY_BYTES, Seed

ROOT = Path(__file__).resolve().parents[3]
KNOWN = bytes(range(KEY_BYTES))
LIKE = torch.empty(300)


def key(number: int) -> bytes:
    return number.to_bytes(KEY_BYTES, "big")


def drawn(generator: Generator) -> tuple[Tensor, Tensor]:
    return generator.uniform(300), generator.normal(LIKE, 1.0)


# The search


def searched(seen: Tensor, candidates: list[bytes]) -> list[bytes]:
    """The attack: keys whose noise is the noise that was seen."""
    return [one for one in candidates if torch.equal(Generator(one).normal(LIKE, 1.0), seen)]


def test_a_shortened_key_is_found_by_trying_all() -> None:
    """What a generator with few states gives away; the same attack misses a whole key."""
    short = [key(number) for number in range(2**8)]
    assert searched(Generator(short[113]).normal(LIKE, 1.0), short) == [short[113]]
    assert searched(Generator().normal(LIKE, 1.0), short) == []


@pytest.mark.parametrize("apart", [7 * 2**32, 2**62, 2**64, 2**128, 2**255])
def test_keys_that_agree_in_their_low_bits_differ(apart: int) -> None:
    """torch's generator keeps 32 bits of a seed: s and s + 7·2^32 gave the same noise."""
    first, second = Generator(key(5)), Generator(key(5 + apart))
    for one, other in zip(drawn(first), drawn(second), strict=True):
        assert not torch.equal(one, other)


def test_every_bit_of_the_key_counts() -> None:
    whole = int.from_bytes(KNOWN, "big")
    streams = [drawn(Generator(key(whole ^ (1 << bit)))) for bit in range(8 * KEY_BYTES)]
    streams.append(drawn(Generator(KNOWN)))
    for part in range(2):
        values = torch.stack([stream[part] for stream in streams])
        assert len({tuple(row) for row in values.tolist()}) == 8 * KEY_BYTES + 1
        # and not by a little: no two are correlated beyond chance
        correlations = torch.corrcoef(values) - torch.eye(len(values), dtype=torch.float64)
        assert float(correlations.abs().max()) < 6 / math.sqrt(values.shape[1])


def test_the_key_is_whole_and_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def urandom(size: int) -> bytes:
        asked.append(size)
        return KNOWN[:size]

    monkeypatch.setattr(secrets, "token_bytes", urandom)
    for mine, known in zip(drawn(Generator()), drawn(Generator(KNOWN)), strict=True):
        assert torch.equal(mine, known)
    assert Seed().value == KNOWN
    assert asked == [KEY_BYTES, KEY_BYTES]


@pytest.mark.parametrize("size", [0, 4, 16, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, got {size}"):
        Generator(bytes(size))
    with pytest.raises(ValueError, match=f"32 bytes, got {size}"):
        Seed(bytes(size))


def test_known_answer() -> None:
    """AES-256-CTR of SP 800-38A: the keystream is the cipher's and nothing else."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    ecb = Cipher(algorithms.AES(KNOWN), modes.ECB()).encryptor()
    blocks = b"".join(ecb.update(bytes(8) + block.to_bytes(8, "big")) for block in range(10))
    words = np.frombuffer(blocks, "<u8") >> np.uint64(11)
    assert Generator(KNOWN).uniform(20).tolist() == (words * 2.0**-53).tolist()


# Law


def test_uniform_values_follow_their_law() -> None:
    values = Generator(KNOWN).uniform(200_000).numpy()
    assert values.dtype == np.float64
    assert 0 <= values.min() < values.max() < 1
    assert kstest(values, "uniform").pvalue > 1e-3
    bits = (values * 2.0**53).astype(np.uint64)
    ones = [int((bits >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(53)]
    assert max(abs(one - 100_000) for one in ones) < 5 * math.sqrt(50_000)


def test_gaussian_values_follow_their_law() -> None:
    values = Generator(KNOWN).normal(torch.empty(1_000_000), 1.0).numpy()
    assert values.dtype == np.float64
    assert kstest(values, norm.cdf).pvalue > 1e-3
    low, high = chi2.ppf([5e-4, 1 - 5e-4], len(values)) / len(values)
    assert low < (values**2).mean() < high
    for end in (2.0, 3.0, 4.0):  # both tails, as many as there should be
        for beyond in (values > end, values < -end):
            wanted = len(values) * norm.sf(end)
            assert abs(beyond.sum() - wanted) < 4 * math.sqrt(wanted)


def test_tails_reach_far_beyond_six_deviations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least and the largest uniform value, through the transform."""
    for words, most in ((0.0, 2 * math.sqrt(2 * 54 * math.log(2))), (1 - 2.0**-53, 1e-7)):

        def uniform(_: object, out: np.ndarray, words: float = words) -> np.ndarray:
            out[: len(out) // 2], out[len(out) // 2 :] = words, 0.0
            return out

        monkeypatch.setattr(randomness._Uniforms, "uniform", uniform)
        values = Generator(KNOWN).normal(LIKE, 1.0)
        assert bool(torch.isfinite(values).all())
        assert float(values.max()) == pytest.approx(most, rel=1e-9, abs=1e-7)  # 17 and 0


@pytest.mark.parametrize("shift", [1, 2, 4096, 4097, 8192])
def test_values_are_independent_within_and_across_blocks(shift: int) -> None:
    """Of one pair's radius cos and sin are used for two values that are 4096 apart."""
    values = Generator(KNOWN).normal(torch.empty(400_000), 1.0)
    for power in (1, 2):
        moved = values.pow(power) - values.pow(power).mean()
        product = moved[:-shift] * moved[shift:]
        assert abs(float(product.mean() / moved.square().mean())) < 5 / math.sqrt(len(product))


def test_streams_of_one_key_are_independent() -> None:
    one, other = Generator(KNOWN), Generator(KNOWN)
    one.uniform(12_345)  # more batches, the same noise
    assert torch.equal(one.normal(LIKE, 1.0), other.normal(LIKE, 1.0))
    size = 200_000
    mine = Generator(KNOWN)
    batches, noise = mine.uniform(size), mine.normal(torch.empty(size), 1.0)
    both = torch.stack([batches, torch.special.ndtr(noise)])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 5 / math.sqrt(size)


# Repetition


@pytest.mark.parametrize("parts", [[300], [1, 299], [150, 0, 150], [100] * 3])
def test_the_same_key_draws_the_same_numbers_however_they_are_asked_for(parts: list[int]) -> None:
    whole, again = Generator(KNOWN).normal(LIKE, 2.0), Generator(KNOWN)
    found = torch.cat([again.normal(torch.empty(part), 2.0) for part in parts])
    assert torch.equal(whole, found)


def test_shapes_and_deviation() -> None:
    like = torch.empty(3, 5, dtype=torch.float32)
    flat, shaped = Generator(KNOWN).normal(torch.empty(15), 1.0), Generator(KNOWN).normal(like, 3.0)
    assert shaped.shape == like.shape
    assert torch.equal(shaped.flatten(), 3.0 * flat)


def test_generators_never_agree_and_cannot_be_copied() -> None:
    for one, other in zip(drawn(Generator()), drawn(Generator()), strict=True):
        assert not torch.equal(one, other)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="the same noise"):
            copied(Generator())


def told(value: object, connection: Connection) -> None:
    connection.send(value)
    connection.close()


def in_fork(draw: Callable[[], list[float] | str]) -> list[float] | str:
    """What a forked child draws."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=lambda: told(draw(), there))
    child.start()
    there.close()
    found: list[float] | str = here.recv()
    child.join()
    return found


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "fresh"])
def test_a_fork_never_draws_what_its_parent_draws(begun: bool) -> None:
    # in a process that has used nothing else: torch's threads of a busy one are not there in a fork
    code = f"import runpy, sys; runpy.run_path(sys.argv[1])['forks'](begun={begun})"
    ended = subprocess.run(
        [sys.executable, "-c", code, __file__],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr


def forks(begun: bool) -> None:
    """Two forks and their parent, none of which may draw what another one draws."""
    generator = Generator()
    if begun:  # values that are made and not used yet
        generator.normal(torch.empty(10), 1.0)
        generator.uniform(10)

    def draw() -> list[float]:
        return [*generator.normal(torch.empty(10), 1.0).tolist(), *generator.uniform(10).tolist()]

    first, second, mine = in_fork(draw), in_fork(draw), draw()
    every = [*first, *second, *mine]
    assert len(set(every)) == len(every) == 60


def test_process_numbers_that_come_back_are_no_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    number = os.getpid()
    generator = Generator()

    def draw() -> list[float]:
        monkeypatch.setattr(os, "getpid", lambda: number)
        return generator.uniform(10).tolist()

    assert in_fork(draw) != generator.uniform(10).tolist()


def test_a_given_key_is_not_continued_in_a_fork() -> None:
    generator = Generator(KNOWN)

    def draw() -> str:
        try:
            generator.uniform(10)
        except RuntimeError as error:
            return str(error)
        return "drawn"

    assert "not continued in a forked process" in in_fork(draw)
    assert draw() == "drawn"


def test_the_sampler_of_counts_is_not_continued_in_a_fork() -> None:
    """OpenDP's: it draws from OpenSSL's generator, which takes new entropy after a fork."""
    still = np.zeros(40, dtype=np.int64)
    discrete_gaussian(still, 1e9)  # it has begun

    def draw() -> list[float]:
        return discrete_gaussian(still, 1e9).tolist()

    every = [*in_fork(draw), *in_fork(draw), *draw()]
    assert len(set(every)) == len(every)


def test_a_seed_travels_and_says_nothing() -> None:
    seed = Seed()
    assert pickle.loads(pickle.dumps(seed)) == seed
    for form in (repr(seed), str(seed), f"{[seed]}"):
        assert seed.value.hex() not in form
        assert repr(seed.value)[2:-1] not in form
