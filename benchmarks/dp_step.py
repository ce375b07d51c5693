"""Time and peak memory of one DP step on recurrent networks, as ratios to the step without privacy.

Forward, backward, clip; noise and the optimizer's step are left out, for they are the same in all.
One process, one thread, the ways interleaved, medians; peak memory is what a fresh process needs for its
steps, beyond its model, its data and a first small step. Ways: `torch` (not private), `veilcast`, Opacus
with hooks (`GradSampleModule` on `DPGRU`/`DPLSTM`), Opacus with ghost clipping.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dp.clipping import Clipper

Shape = tuple[str, int, int, int]
"""Network, time steps, width of the hidden state, batch size."""

FEATURES, OUT, CLIP = 17, 6, 1.0


class Net(nn.Module):
    """Last hidden states of both directions, and a linear head."""

    def __init__(self, rnn: nn.Module, hidden: int) -> None:
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(2 * hidden, OUT)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        _, end = self.rnn(x)
        hidden = end[0] if isinstance(end, tuple) else end
        return self.head(torch.cat([hidden[0], hidden[1]], dim=1))


def ways(kind: str, hidden: int, x: Tensor, y: Tensor) -> dict[str, Callable[[], Any]]:
    """One step of each way, all on the same network and data."""
    from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
    from opacus.layers import DPGRU, DPLSTM
    from opacus.optimizers import DPOptimizer

    options = {"batch_first": True, "bidirectional": True}
    stock = {"gru": nn.GRU, "lstm": nn.LSTM}[kind]
    theirs = {"gru": DPGRU, "lstm": DPLSTM}[kind]

    def losses(model: nn.Module) -> Tensor:
        return (model(x) - y).square().mean(dim=1)

    plain = Net(stock(FEATURES, hidden, **options), hidden)

    def without_privacy() -> None:
        plain.zero_grad(set_to_none=True)
        losses(plain).mean().backward()

    ours = Net(stock(FEATURES, hidden, **options), hidden)
    clipper = Clipper(ours, CLIP)

    hooked = GradSampleModule(Net(theirs(FEATURES, hidden, **options), hidden))
    optimizer = DPOptimizer(
        torch.optim.SGD(hooked.parameters(), lr=0.0),
        noise_multiplier=0.0,
        max_grad_norm=CLIP,
        expected_batch_size=len(x),
    )

    def hooks() -> None:
        optimizer.zero_grad()
        losses(hooked).mean().backward()
        optimizer.clip_and_accumulate()

    ghost = GradSampleModuleFastGradientClipping(
        Net(theirs(FEATURES, hidden, **options), hidden),
        max_grad_norm=CLIP,
        use_ghost_clipping=True,
        loss_reduction="sum",
    )

    def ghosts() -> None:
        ghost.zero_grad(set_to_none=True)
        for parameter in ghost.parameters():  # norms of the last step would be added to
            parameter._norm_sample = None
        each = losses(ghost)
        each.sum().backward(retain_graph=True)
        factors = ghost.get_clipping_coef()
        ghost.zero_grad(set_to_none=True)
        ghost.disable_hooks()
        (factors * each).sum().backward()
        ghost.enable_hooks()

    return {
        "torch": without_privacy,
        "veilcast": lambda: clipper(lambda: losses(ours)),
        "opacus hooks": hooks,
        "opacus ghost": ghosts,
    }


def peak(way: str, shape: Shape) -> float:
    """MiB that two steps need, measured in a process of its own."""
    command = [sys.executable, __file__, "--peak", way, *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def peak_here(way: str, shape: Shape) -> float:
    """The same for this process, which has done nothing else yet."""
    kind, length, hidden, batch = shape
    ways(kind, 8, *data(2, 2))[way]()  # libraries set themselves up
    step = ways(kind, hidden, *data(length, batch))[way]
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    step()
    step()
    return (status("VmHWM") - before) / 1024


def data(length: int, batch: int) -> tuple[Tensor, Tensor]:
    """Made-up windows and targets."""
    torch.manual_seed(0)
    return torch.randn(batch, length, FEATURES), torch.randn(batch, OUT)


def status(name: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def measure(kind: str, length: int, hidden: int, batch: int, seconds: float) -> dict[str, Any]:
    """Medians of interleaved steps, for about `seconds`."""
    steps = ways(kind, hidden, *data(length, batch))
    memory = {name: peak(name, (kind, length, hidden, batch)) for name in steps}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    end = time.perf_counter() + seconds
    while len(times["torch"]) < 3 or time.perf_counter() < end:
        for name, step in steps.items():
            repeats = 1 if name.startswith("opacus") else 5  # the slow ones need fewer
            for _ in range(repeats):
                started = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - started)
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "network": f"bi{kind}",
        "T": length,
        "H": hidden,
        "B": batch,
        "torch_ms": round(middle["torch"] * 1e3, 2),
        "torch_mib": round(memory["torch"], 1),
        "time": {name: round(middle[name] / middle["torch"], 2) for name in steps},
        "memory": {name: round(memory[name] / memory["torch"], 2) for name in steps},
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=8.0, help="for each row")
    options.add_argument("--network", choices=("gru", "lstm"), nargs="*", default=("gru", "lstm"))
    options.add_argument("--length", type=int, nargs="*", default=(6, 48))
    options.add_argument("--hidden", type=int, nargs="*", default=(64, 200))
    options.add_argument("--batch", type=int, nargs="*", default=(64, 256, 512))
    options.add_argument("--peak", nargs=5, metavar=("WAY", "NETWORK", "T", "H", "B"))
    asked = options.parse_args()
    torch.set_num_threads(1)
    if asked.peak:
        way, kind, *sizes = asked.peak
        print(peak_here(way, (kind, *map(int, sizes))))
        return
    for kind in asked.network:
        for length in asked.length:
            for hidden in asked.hidden:
                for batch in asked.batch:
                    print(
                        json.dumps(measure(kind, length, hidden, batch, asked.seconds)), flush=True
                    )


if __name__ == "__main__":
    main()
