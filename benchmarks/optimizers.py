"""Time of one optimizer step on the weights of a BiGRU(200), as ratios to torch's Adam.

The step alone: gradients are drawn once. One process, one thread, the optimizers interleaved so that
each finds the caches as the others left them, medians. Ratios are to Adam's foreach loops and, on
processors that have it, to its fused kernel.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Adam, Optimizer

from models.config import ForecasterConfig
from models.forecasters import new
from models.optimizers.adabelief import AdaBelief
from models.optimizers.adamp import AdamP
from models.optimizers.diffgrad import DiffGrad
from models.optimizers.private import DpAdaBelief, DpAdam, DpAdamP, DpDiffGrad, DpSgdp
from models.optimizers.sgdp import SGDP

REGIONS = ("r1", "r2", "r3", "r4", "r5", "r6")
NOISE = (30.0 * 1.0 / 512) ** 2

Make = Callable[[list[nn.Parameter]], Optimizer]

WAYS: dict[str, Make] = {
    "torch Adam, foreach": lambda params: Adam(params, foreach=True),
    "torch Adam, fused": lambda params: Adam(params, fused=True),
    "DiffGrad": DiffGrad,
    "AdaBelief": AdaBelief,
    "AdamP": AdamP,
    "AdamP, all projected": lambda params: AdamP(params, delta=1e9),
    "SGDP": lambda params: SGDP(params, lr=1e-3),
    "DpAdam": lambda params: DpAdam(params, noise_variance=NOISE),
    "DpAdaBelief": lambda params: DpAdaBelief(params, noise_variance=NOISE),
    "DpDiffGrad": lambda params: DpDiffGrad(params, noise_variance=NOISE),
    "DpAdamP": lambda params: DpAdamP(params, noise_variance=NOISE, scale_invariant=rows(params)),
    "DpSgdp": lambda params: DpSgdp(
        params, lr=1e-3, noise_variance=NOISE, scale_invariant=rows(params)
    ),
}


def rows(params: list[nn.Parameter]) -> list[nn.Parameter]:
    """All weights that have rows: the dearest declaration."""
    return [param for param in params if param.dim() > 1]


def step_of(make: Make) -> Callable[[], None]:
    """One step over a network of its own."""
    config = ForecasterConfig(model="bigru", hidden=200, regions=REGIONS, lags=6)
    params = list(new(config, seed=0).parameters())
    torch.manual_seed(0)
    for param in params:
        param.grad = torch.randn_like(param) * NOISE**0.5
    return make(params).step


def measure(seconds: float) -> dict[str, float]:
    """Median milliseconds of each way."""
    steps = {}
    for name, make in WAYS.items():
        try:
            steps[name] = step_of(make)
            steps[name]()
        except RuntimeError:  # no fused kernel here
            steps.pop(name, None)
    times: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, step in steps.items():
            for _ in range(5):
                started = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) * 1e3 for name, taken in times.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=20.0)
    asked = options.parse_args()
    torch.set_num_threads(1)
    middle = measure(asked.seconds)
    peers = [name for name in middle if name.startswith("torch")]
    for name, each in middle.items():
        ratios = {f"to {peer}": round(each / middle[peer], 2) for peer in peers}
        print(json.dumps({"optimizer": name, "ms": round(each, 3), **ratios}), flush=True)


if __name__ == "__main__":
    main()
