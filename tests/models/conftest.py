"""Small series whose best forecast is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from data.panel import Panel
from data.windows import Windows, WindowSpec, make
from models.config import ForecasterConfig


def _panel(days: int = 20, noise: float = 20.0, seed: int = 0) -> Panel:
    """Two regions: a daily wave each, on top of a slow autoregression."""
    times = pd.date_range("2024-01-01", periods=days * 24, freq="1h", name="time")
    rng = np.random.default_rng(seed)
    day = 2 * np.pi * np.arange(len(times)) / 24
    drift = np.zeros((len(times), 2))
    for now in range(1, len(times)):
        drift[now] = 0.8 * drift[now - 1] + rng.normal(0, noise, 2)
    waves = np.stack([5000 + 2000 * np.sin(day), 900 + 300 * np.cos(day)], axis=1)
    counts = pd.DataFrame(np.round(waves + drift), index=times, columns=["north", "south"])
    return Panel(counts=counts, source="toy", public=True)


@pytest.fixture
def toy_panel() -> Panel:
    return _panel()


@pytest.fixture
def toy_windows(toy_panel: Panel) -> Callable[..., Windows]:
    def build(lags: int = 6, seasonal: tuple[int, ...] = (24,), horizon: int = 1) -> Windows:
        return make(toy_panel, toy_panel, WindowSpec(lags, seasonal, horizon))

    return build


@pytest.fixture
def config_of() -> Callable[..., ForecasterConfig]:
    def build(windows: Windows, model: str = "gru", **settings: object) -> ForecasterConfig:
        shape: dict[str, object] = {
            "regions": windows.regions,
            "lags": windows.past.shape[1],
            "seasonal": windows.seasonal.shape[1],
            "horizon": windows.target.shape[1],
            "hidden": 8,
        }
        return ForecasterConfig(model=model, **{**shape, **settings})  # type: ignore[arg-type]

    return build
