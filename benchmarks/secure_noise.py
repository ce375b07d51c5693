"""What noise from the operating system costs: time of one update, as a ratio to torch's generator."""

import json
import statistics
import time

import torch

from dp.randomness import Generator, OperatingSystem, Randomness


def seconds(randomness: Randomness, like: torch.Tensor) -> float:
    started = time.perf_counter()
    randomness.normal(like, 1.0)
    return time.perf_counter() - started


torch.set_num_threads(1)
ways = {"torch": Generator(), "operating system": OperatingSystem()}
points = []
for values in (1_000, 10_000, 100_000):
    like = torch.empty(values)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(50):
        for name, randomness in ways.items():
            times[name].append(seconds(randomness, like))
    middle = {name: statistics.median(found) for name, found in times.items()}
    points.append(
        {
            "values": values,
            "torch_us": round(middle["torch"] * 1e6, 1),
            "ratio": round(middle["operating system"] / middle["torch"], 1),
        }
    )
print(json.dumps({"points": points}))
