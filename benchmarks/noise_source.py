"""What cryptographic noise costs: of an update's noise, and of a whole private step.

Compared with torch's generator, which was the default and has 2^32 states. CPU time of one
thread, the ways interleaved.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dp.mechanisms.randomness import Generator, Randomness
from dp.mechanisms.window_sampling import WindowSampling
from dp.private import training

FEATURES, OUT = 17, 6


class Torch:
    """Noise of torch's generator, as it was."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)

    def uniform(self, size: int) -> Tensor:  # noqa: D102
        return torch.rand(size, generator=self._generator, dtype=torch.float64)

    def normal(self, like: Tensor, std: float) -> Tensor:  # noqa: D102
        return torch.empty(like.shape).normal_(0.0, std, generator=self._generator)


class Net(nn.Module):
    """A BiGRU with a linear head."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, OUT)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        _, end = self.rnn(x)
        return self.head(torch.cat([end[0], end[1]], dim=1))


class Windows:
    """Made-up windows."""

    def __init__(self, batch: int, length: int) -> None:
        self.x, self.y = torch.randn(batch, length, FEATURES), torch.randn(batch, OUT)

    def __len__(self) -> int:
        return len(self.x)


def loss(model: nn.Module, batch: Windows) -> Tensor:
    """Squared error of each window."""
    return (model(batch.x) - batch.y).square().mean(dim=1)


def step(source: Randomness, hidden: int, batch: int, length: int) -> Callable[[], None]:
    """A whole private step: forward, backward, clip, noise, Adam."""
    torch.manual_seed(0)
    model, windows = Net(hidden), Windows(batch, length)
    sampling = WindowSampling(10 * batch, batch, 10**6, 5, 2.0)
    steps, optimizer = training._Steps(sampling, 1.0, source), torch.optim.Adam(model.parameters())
    return lambda: steps.step(model, optimizer, windows, loss)


def compared(make: Callable[[Randomness], Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of both ways, and their ratio."""
    ways = {"torch": make(Torch()), "cryptographic": make(Generator())}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        run()
    for _ in range(rounds):
        for name, run in ways.items():
            started = time.thread_time()
            run()
            times[name].append(time.thread_time() - started)
    # means: noise is made in blocks, so that most calls find some that is left
    found = {f"{name}_ms": round(statistics.fmean(all_) * 1e3, 4) for name, all_ in times.items()}
    return {**found, "ratio": round(found["cryptographic_ms"] / found["torch_ms"], 2)}


def main() -> None:
    """Print one JSON document."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=200)
    rounds = options.parse_args().rounds
    torch.set_num_threads(1)
    noise = [
        {"values": len(like), **compared(lambda one, v=like: lambda: one.normal(v, 1.0), rounds)}
        for like in map(torch.empty, (1_000, 10_000, 100_000))
    ]
    steps = [
        {
            "hidden": 32,
            "batch": 512,
            "length": length,
            **compared(lambda one, t=length: step(one, 32, 512, t), max(10, rounds // 4)),
        }
        for length in (6, 48)
    ]
    print(json.dumps({"noise of an update": noise, "BiGRU step": steps}, indent=1))


if __name__ == "__main__":
    main()
