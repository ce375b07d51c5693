"""Many runs at once: runs trained as one computation against the same runs one after another.

The peer is a single training (`models.training.train.train`): torch's own layers for the plain step,
`dp.private.training` for the private one. Both train the same windows from the same weights and seeds;
whole trainings are timed, optimizer, noise and all. CPU seconds of the process stand beside wall time:
on a machine that others use they are the steadier of the two, but they hide what a second core saves.
Peak memory is what a fresh process needs beyond its windows and models.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import torch

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from dp.clipping import Stack
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling
from dp.private import training
from models.config import ForecasterConfig
from models.forecaster import Forecaster, fit_scaler
from models.forecasters import new
from models.training.config import TrainingConfig
from models.training.stacked import Job, train_together
from models.training.train import History, train

REGIONS, LAGS = 6, 48


def windows_of(count: int) -> Windows:
    """Made-up counts of six regions, half-hourly, with a daily rhythm."""
    times = pd.date_range("2024-01-01", periods=count + LAGS + 48, freq="30min", name="time")
    rng = np.random.default_rng(0)
    wave = 2000 * np.sin(np.arange(len(times)) / 48 * 2 * np.pi)[:, None]
    values = 5000 + wave + rng.normal(0, 200, (len(times), REGIONS)).cumsum(axis=0) / 10
    frame = pd.DataFrame(values, times, [f"r{number}" for number in range(REGIONS)])
    panel = Panel(counts=frame, source="made up", public=True)
    windows = make(panel, panel, WindowSpec(LAGS, (48,), 1))
    return windows.take(slice(0, count))


def jobs_of(windows: Windows, asked: argparse.Namespace) -> list[Job]:
    """Runs that differ in seed, learning rate and, if private, noise."""
    found = []
    for seed in range(asked.runs):
        config = TrainingConfig(
            batch_size=asked.batch,
            epochs=asked.epochs,
            seed=seed,
            device="cpu",
            learning_rate=1e-3 * (1 + seed % 4),
            average=0.98,
        )
        shape = ForecasterConfig(
            model=asked.model,
            hidden=asked.hidden,
            regions=windows.regions,
            lags=LAGS,
            seasonal=windows.seasonal.shape[1],
            seasonal_context=windows.seasonal_context.shape[2],
            seasonal_change=windows.seasonal_change.shape[1],
        )
        model = new(shape, seed)
        fit_scaler(model, windows)
        updates = None
        if asked.step == "private":
            steps = asked.epochs * -(-len(windows) // asked.batch)
            sampling = WindowSampling(len(windows), asked.batch, steps, 1, 1.0 + 0.1 * seed)
            # made-up data, so that nobody has to pay
            updates = training._Steps(sampling, 1.0, Generator(seed.to_bytes(32, "big")))
        found.append(Job(model, windows, None, config, updates))
    return found


def one_by_one(jobs: list[Job]) -> list[History]:
    """As a loop over runs does it."""
    return [train(job.model, job.train, None, job.config, updates=job.updates) for job in jobs]


def at_once(jobs: list[Job]) -> list[Any]:
    """As one computation."""
    return train_together(jobs, Stack())


WAYS = {"sequential": one_by_one, "stacked": at_once}


def apart(one: Forecaster, other: Forecaster) -> float:
    """Largest difference of the weights, relative to the largest weight of each tensor."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-12)) for a, b in pairs)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Trainings both ways, one after the other, `--repeats` times; the best of each."""
    windows = windows_of(asked.windows)
    wall: dict[str, list[float]] = {name: [] for name in WAYS}
    cpu: dict[str, list[float]] = {name: [] for name in WAYS}
    models: dict[str, list[Job]] = {}
    for way in WAYS.values():  # libraries set themselves up
        way(jobs_of(windows.take(slice(0, asked.batch)), asked)[:2])
    for _ in range(asked.repeats):
        for name, way in WAYS.items():
            models[name] = jobs_of(windows, asked)
            started, spent = time.perf_counter(), time.process_time()
            way(models[name])
            wall[name].append(time.perf_counter() - started)
            cpu[name].append(time.process_time() - spent)
    best = {name: min(values) for name, values in wall.items()}
    spent_ = {name: min(values) for name, values in cpu.items()}
    pairs = zip(models["sequential"], models["stacked"], strict=True)
    return {
        "model": f"{asked.model}({asked.hidden})",
        "lags": LAGS,
        "runs": asked.runs,
        "batch": asked.batch,
        "step": asked.step,
        "threads": asked.threads,
        "updates": asked.epochs * -(-asked.windows // asked.batch),
        "seconds": {name: round(value, 2) for name, value in best.items()},
        "ratio": round(best["sequential"] / best["stacked"], 2),
        "cpu_seconds": {name: round(value, 2) for name, value in spent_.items()},
        "cpu_ratio": round(spent_["sequential"] / spent_["stacked"], 2),
        "peak_mib": {name: round(peak(name, asked)) for name in WAYS},
        "weights_apart": max(apart(a.model, b.model) for a, b in pairs),
    }


def peak(way: str, asked: argparse.Namespace) -> float:
    """MiB that a training needs, measured in a process of its own."""
    settings = {**vars(asked), "peak": way, "epochs": 1}
    command = [sys.executable, __file__, "--settings", json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def peak_here(asked: argparse.Namespace) -> float:
    """The same for this process."""
    windows = windows_of(asked.windows)
    WAYS[asked.peak](
        jobs_of(windows.take(slice(0, 2)), argparse.Namespace(**{**vars(asked), "batch": 2}))[:2]
    )
    jobs = jobs_of(windows, asked)
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    WAYS[asked.peak](jobs)
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=16)
    options.add_argument("--model", default="bigru")
    options.add_argument("--hidden", type=int, default=32)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--windows", type=int, default=640)
    options.add_argument("--epochs", type=int, default=1)
    options.add_argument("--repeats", type=int, default=2)
    options.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    options.add_argument("--step", nargs="*", default=["plain", "private"])
    options.add_argument("--settings", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.settings:
        asked = argparse.Namespace(**json.loads(asked.settings))
        torch.set_num_threads(asked.threads)
        print(peak_here(asked))
        return
    for threads in asked.threads:
        torch.set_num_threads(threads)
        for step in asked.step:
            one = argparse.Namespace(**{**vars(asked), "threads": threads, "step": step})
            print(json.dumps(measure(one)), flush=True)


if __name__ == "__main__":
    main()
